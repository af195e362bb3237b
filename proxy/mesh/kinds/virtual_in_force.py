"""Which fields of a VirtualService for the mesh are not in force in this version. This table is the only place that
says so, but for headers' values in which Envoy would put something else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from proxy.mesh.kinds.header_edits import has_variable
from proxy.mesh.kinds.in_force import Row, Told, tell_all
from proxy.mesh.kinds.virtual_match import UNSEEN
from proxy.mesh.kinds.virtual_route import NEVER
from proxy.mesh.reading.lines import Path
from proxy.mesh.reading.manifests import Body
from proxy.mesh.reading.schema import At


def _not(instead: str, *but: object) -> Row:
    return Row(lambda value: value in (None, *but), instead)


_BYTES = "connections go where tcp says, or to the Service itself: nor do Istio's waypoints go by names in TLS"
_NO_MATCH = "the match never holds"
_UNLABELLED = f"{_NO_MATCH}: nobody here knows the labels of clients, nor do Istio's waypoints"
_FIELDS: Mapping[str, Row] = {
    "tls": _not(_BYTES, []),
    "tcp.match.sourceLabels": _not(_UNLABELLED, {}),
    "tcp.match.sourceSubnet": _not(_NO_MATCH, ""),
    "http.match.sourceLabels": _not(_UNLABELLED, {}),
    "http.match.statPrefix": _not("there are no such metrics", ""),
    "http.retries.retryRemoteLocalities": _not("retries go where all requests go", False),
    "http.retries.retryIgnorePreviousHosts": _not("retries go to another endpoint where there is one", True),
    "http.retries.retryOn": Row(
        lambda value: not set(str(value).split(",")) & set(NEVER), f"{', '.join(NEVER)} are nothing that happens here"
    ),
} | {f"http.match.{where}.{name}": _not(_NO_MATCH) for where in ("headers", "withoutHeaders") for name in UNSEEN}
_VARIABLE = Row(lambda value: not has_variable(str(value)), "the header is left as it is")


def tell(at: At, spec: Body) -> None:
    """One warning, at the first such field of a valid `spec`; it names the others."""
    tell_all(at, list(_of(spec, (), "")))


def _of(given: object, path: Path, name: str) -> Iterator[Told]:
    if isinstance(given, list) and name not in _FIELDS:
        for index, item in enumerate(given):
            yield from _of(item, (*path, index), name)
    elif isinstance(given, dict) and name not in _FIELDS:
        for step, value in given.items():
            yield from _of(value, (*path, step), f"{name}.{step}" if name else step)
    elif (row := _VARIABLE if _is_value(path) else _FIELDS.get(name)) and not row.done(given):
        yield Told(path, given, row)


def _is_value(path: Path) -> bool:
    """Whether it is what a header is set to."""
    return path[-2:-1] in (("set",), ("add",)) and path[-3:-2] in (("request",), ("response",))
