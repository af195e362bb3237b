"""Objects one by one, as an API gives them: a bad one keeps its own last good version, and nothing else waits for it.

One that was never good is left out, but for a policy: what it guards cannot be known, so it closes its namespace.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import replace

from proxy.mesh.kinds.guards import Guard
from proxy.mesh.model import Fault, printable
from proxy.mesh.reading.lines import Lines
from proxy.mesh.reading.manifests import Body
from proxy.mesh.reading.remarks import Place, Remark
from proxy.mesh.reading.sheets import Record, Sheet, read_sheet
from proxy.mesh.reading.tree import Tree
from proxy.mesh.resolving.load import READERS, Loader


class Live:
    """Puts single objects into a loader. An `id` is whatever tells objects apart."""

    def __init__(self, loader: Loader, origin: str) -> None:
        self._loader = loader
        self._place = Place(origin)
        self._good: set[Hashable] = set()
        self._refused: dict[Hashable, tuple[Fault, ...]] = {}

    def put(self, id: Hashable, body: Body) -> None:
        """The object came or changed."""
        sheet = read_sheet(Tree(body, Lines(0)), READERS)
        faults = tuple(fault.at(self._place) for fault in _faults(sheet))
        if not faults:
            self._refused.pop(id, None)
            self._good.add(id)
            self._loader.put(id, [(sheet, self._place)])
            return
        self._refused[id] = faults
        if id not in self._good:
            self._loader.put(id, [(_closing(sheet), self._place)])

    def drop(self, id: Hashable) -> None:
        """The object is gone."""
        self._refused.pop(id, None)
        self._good.discard(id)
        self._loader.put(id, [])

    @property
    def refused_count(self) -> int:
        """How many objects cannot be used as they are now. May be asked from another thread."""
        return len(self._refused)

    def refused(self) -> list[str]:
        """What is wrong with objects as they are now. May be asked from another thread."""
        return [f"{fault}; {self._instead(id)}" for id, faults in list(self._refused.items()) for fault in faults]

    def refusals(self) -> dict[Hashable, str]:
        """The same by object, without its name: for whoever is looking at the object."""
        return {id: f"{_in_it(faults)}; {self._instead(id)}" for id, faults in self._refused.items()}

    def _instead(self, id: Hashable) -> str:
        return "its last good version stays in force" if id in self._good else "it is left out until that is mended"


def _in_it(faults: Iterable[Fault]) -> str:
    return "; ".join(printable(f"{fault.field}: {fault.text}" if fault.field else fault.text) for fault in faults)


def _faults(sheet: Sheet) -> Iterator[Remark]:
    yield from sheet.faults
    for record in sheet.records:
        yield from record.faults


def _closing(sheet: Sheet) -> Sheet:
    """What of a bad object goes in force."""
    policies = tuple(_closed(each) for each in sheet.records if isinstance(each.value, Guard))
    return replace(sheet, records=policies, faults=(), warnings=(), names=())


def _closed(record: Record) -> Record:
    assert isinstance(record.value, Guard)
    return replace(record, value=record.value.unreadable(), faults=(), warnings=())
