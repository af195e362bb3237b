"""Endpoints of a cluster's form as they are kept: packed, a tenth of what dictionaries would weigh. There may be tens
of thousands, and what is done with them is done cluster by cluster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast, overload

import msgpack

from proxy.ipc.snapshot import EndpointForm

_FIELDS = tuple(EndpointForm.__annotations__)


class Endpoints(Sequence[EndpointForm]):
    """Reads as a list of them, which is equal to it; each time anew, so nobody keeps or changes one."""

    __slots__ = ("_count", "_packed")

    def __init__(self, forms: Iterable[EndpointForm]) -> None:
        rows = [[cast(dict[str, Any], form)[field] for field in _FIELDS] for form in forms]
        self._count, self._packed = len(rows), msgpack.packb(rows)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[EndpointForm]:
        for row in msgpack.unpackb(self._packed):
            yield cast(EndpointForm, dict(zip(_FIELDS, row, strict=True)))

    @overload
    def __getitem__(self, index: int) -> EndpointForm: ...
    @overload
    def __getitem__(self, index: slice) -> list[EndpointForm]: ...
    def __getitem__(self, index: int | slice) -> EndpointForm | list[EndpointForm]:
        return list(self)[index]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Endpoints):
            return bool(self._packed == other._packed)
        return list(self) == other

    __hash__ = None  # type: ignore[assignment]
