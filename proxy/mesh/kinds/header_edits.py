"""What a VirtualService does to headers: `headers`, of a route or of one of its destinations."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from proxy.mesh.reading.remarks import shown
from proxy.mesh.reading.schema import At, Check, Given, fields, items, mapping, matching, text
from proxy.mesh.traffic.routing import NO_EDITS, HeaderEdits

FRAMING = frozenset({"connection", "content-length", "expect", "http2-settings", "keep-alive", "proxy-connection"}) | {
    *("te", "trailer", "transfer-encoding", "upgrade")
}
"""Names of what says where a message ends, and whose it is: that is written by who sends it (RFC 9110, 7.6.1)."""
_AUTHORITY = (":authority", "host")
_is_authority = re.compile(r"(?:[-A-Za-z0-9._~%!$&'()*+,;=]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?").fullmatch
authority = matching(lambda host: _is_authority(host) is not None, "a host, with or without a port")
"""What may stand as the Host of a request."""
_is_token = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
_is_value = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*").fullmatch
_PERCENT = re.compile(r"%%|%[A-Z_]+(?:\([^)]*\))?(?::[0-9]+)?%|%")


@dataclass(frozen=True, slots=True)
class Headers:
    """`host`: what the endpoint is sent as the authority, "": as it came."""

    request: HeaderEdits = NO_EDITS
    response: HeaderEdits = NO_EDITS
    host: str = ""


def has_variable(value: str) -> bool:
    """Whether Envoy would put something else in: %NAME% or %NAME(...)%."""
    return any(len(each) > 2 for each in _PERCENT.findall(value))


def _value(at: At, value: object) -> str | None:
    found = text(at, value)
    if found is not None and not _is_value(found):
        at.fault("must not have control characters")
    elif found is not None and "%" in _PERCENT.findall(found):
        at.fault("has a % that stands alone: write %% for one")
    else:
        return found
    return None


def _name(at: At, name: str, settable: bool) -> str | None:
    if settable and name.lower() in _AUTHORITY:
        return _AUTHORITY[0]
    if name.lower() in _AUTHORITY:
        at.fault("is the authority of a request, which can only be set or added")
    elif not _is_token(name):
        at.fault(f"must be the name of a header, not {shown(name)}")
    elif name.lower() in FRAMING:
        at.warn("is left out: it says how the message is framed, which is for who sends it")
    else:
        return name.lower()
    return None


def _values(settable: bool) -> Check[dict[str, str]]:
    """By name in lower case; what Envoy would put other text into is left out (`virtual_in_force` tells it)."""
    shape = mapping(_value)

    def check(at: At, value: object) -> dict[str, str] | None:
        before, found = at.faults, shape(at, value)
        named = {_name(at.down(name), name, settable): each for name, each in (found or {}).items()}
        if found is None or at.faults != before:
            return None
        return {name: each.replace("%%", "%") for name, each in named.items() if name and not has_variable(each)}

    return check


def _names(at: At, value: object) -> tuple[str, ...] | None:
    before, found = at.faults, items(text)(at, value)
    named = [_name(at.down(index), name, False) for index, name in enumerate(found or ())]
    return None if found is None or at.faults != before else tuple(name for name in named if name)


def _operations(settable: bool) -> Check[Given]:
    values = _values(settable)
    return fields({"set": values, "add": values, "remove": _names})


_shape = fields({"request": _operations(True), "response": _operations(False)})


def headers(at: At, value: object) -> Headers | None:
    """`headers`."""
    found = _shape(at, value)
    if found is None:
        return None
    request, response = _edits(found.get("request")), _edits(found.get("response"))
    hosts = [each for name, each in (*request.set, *request.add) if name == _AUTHORITY[0]]
    if len(hosts) > 1:
        at.down("request").fault("gives the authority twice")
        return None
    if hosts and authority(at.down("request"), hosts[0]) is None:
        return None
    return Headers(_without_host(request), response, hosts[0] if hosts else "")


def _edits(given: object) -> HeaderEdits:
    if not isinstance(given, Mapping):
        return NO_EDITS
    return HeaderEdits(_pairs(given.get("set", {})), _pairs(given.get("add", {})), tuple(given.get("remove", ())))


def _pairs(given: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(given.items()))


def _without_host(edits: HeaderEdits) -> HeaderEdits:
    def kept(pairs: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
        return tuple(each for each in pairs if each[0] != _AUTHORITY[0])

    return HeaderEdits(kept(edits.set), kept(edits.add), edits.remove)
