"""The filters of a route's rule or of one of its backends, read into what is done to requests and answers.

Rules are those of the CRD (its CEL) and of httproute_types.go. A fault here breaks the rule (`route_rules`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from proxy.mesh.kinds import patterns
from proxy.mesh.kinds.header_edits import FRAMING, authority
from proxy.mesh.kinds.route_cors import cors
from proxy.mesh.kinds.routes import Filters, MirrorRef, ReferredFields, has_port, referred
from proxy.mesh.reading.records import optional, required, struct
from proxy.mesh.reading.schema import (
    UINT32_MAX,
    AnyCheck,
    At,
    Check,
    Given,
    anything,
    few,
    fields,
    integer,
    items,
    one_of,
    percent,
    port_number,
    text,
)
from proxy.mesh.traffic.routing import Cors, HeaderEdits, PathOp, PathRewrite, Redirect, Rewrite

_MOST = 16
_LONGEST_VALUE = 4096
_LONGEST_PATH = 1024
_STATUSES = (301, 302, 303, 307, 308)
_has_control = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]").search


def _value(at: At, value: object) -> str | None:
    found = patterns.short(_LONGEST_VALUE)(at, value)
    if found is not None and _has_control(found):
        at.fault("holds a control character, which no header can have")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    name: str = required(patterns.token)
    value: str = required(_value)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Modifier:
    set: tuple[_Header, ...] = optional(few(items(struct(_Header)), _MOST), ())
    add: tuple[_Header, ...] = optional(few(items(struct(_Header)), _MOST), ())
    remove: tuple[str, ...] = optional(few(items(patterns.token), _MOST), ())


def _names_once(at: At, found: _Modifier) -> None:
    seen: set[str] = set()
    for field, names in (
        ("set", [each.name for each in found.set]),
        ("add", [each.name for each in found.add]),
        ("remove", found.remove),
    ):
        for index, name in enumerate(each.lower() for each in names):
            if name in seen:
                at.down(field, index).fault(f"{name} is named twice; a name may stand once in set, add and remove")
            if name in FRAMING or (name == "host" and field != "set"):
                at.down(field, index).fault(f"{name} is not a header that may be changed so")
            seen.add(name)


def _host_is_one(at: At, found: _Modifier) -> None:
    for index, each in enumerate(found.set):
        if each.name.lower() == "host":
            authority(at.down("set", index, "value"), each.value)


def _no_host(at: At, found: _Modifier) -> None:
    for index, each in enumerate(found.set):
        if each.name.lower() == "host":
            at.down("set", index).fault("host is not a header of answers")


_request_modifier = struct(_Modifier, rules=(_names_once, _host_is_one))
_response_modifier = struct(_Modifier, rules=(_names_once, _no_host))


def _edits(found: _Modifier) -> HeaderEdits:
    return HeaderEdits(
        set=tuple((each.name.lower(), each.value) for each in found.set),
        add=tuple((each.name.lower(), each.value) for each in found.add),
        remove=tuple(name.lower() for name in found.remove),
    )


def _path_text(at: At, value: object) -> str | None:
    found = text(at, value)
    if found is not None and (len(found) > _LONGEST_PATH or re.search(r"[\x00-\x20\x7f?#]", found)):
        at.fault(f"must be a path of at most {_LONGEST_PATH} characters, without blanks, ? and #")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Path:
    type: str = required(one_of("ReplaceFullPath", "ReplacePrefixMatch"))
    replace_full_path: str | None = optional(_path_text, None)
    replace_prefix_match: str | None = optional(_path_text, None)


def _as_its_type(at: At, found: _Path) -> None:
    fields = {"ReplaceFullPath": found.replace_full_path, "ReplacePrefixMatch": found.replace_prefix_match}
    for kind, given in fields.items():
        name = kind[0].lower() + kind[1:]
        if kind == found.type and given is None:
            at.down(name).fault(f"is required with type {kind}")
        elif kind != found.type and given is not None:
            at.down(name).fault(f"cannot be given with type {found.type}")


_path = struct(_Path, rules=(_as_its_type,))


def _rewritten(found: _Path | None) -> PathRewrite | None:
    """Of a prefix it is not known yet which (`within`)."""
    if found is None:
        return None
    if found.replace_full_path is not None:
        path = found.replace_full_path
        return PathRewrite(PathOp.FULL, path if path.startswith("/") else f"/{path}")
    return PathRewrite(PathOp.PREFIX, found.replace_prefix_match or "")


def _status(at: At, value: object) -> int | None:
    if value in _STATUSES and isinstance(value, int):
        return value
    at.fault(f"must be one of {', '.join(map(str, _STATUSES))}")
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Redirect:
    scheme: str = optional(one_of("http", "https"), "")
    hostname: str = optional(patterns.hostname, "")
    path: _Path | None = optional(_path, None)
    port: int = optional(port_number, 0)
    status_code: int = optional(_status, 302)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rewrite:
    hostname: str = optional(patterns.hostname, "")
    path: _Path | None = optional(_path, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fraction:
    numerator: int = required(integer(0, UINT32_MAX))
    denominator: int = optional(integer(1, UINT32_MAX), 100)


def _a_part(at: At, found: _Fraction) -> None:
    if found.numerator > found.denominator:
        at.down("numerator").fault(f"must not be more than the denominator, {found.denominator}")


_fraction = struct(_Fraction, rules=(_a_part,))
_backend = struct(ReferredFields, rules=(has_port,))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mirror:
    backend_ref: ReferredFields = required(_backend)
    percent: int | None = optional(percent, None)
    fraction: _Fraction | None = optional(_fraction, None)


def _one_share(at: At, found: _Mirror) -> None:
    if found.percent is not None and found.fraction is not None:
        at.down("fraction").fault("cannot be used together with percent")


_mirror = struct(_Mirror, rules=(_one_share,))


def _mirror_ref(at: At, value: object) -> MirrorRef | None:
    found = _mirror(at, value)
    if found is None:
        return None
    part = found.fraction or _Fraction(numerator=100 if found.percent is None else found.percent, denominator=100)
    return MirrorRef(referred(at.down("backendRef"), found.backend_ref), part.numerator, part.denominator)


_CHECKS: Mapping[str, AnyCheck] = {
    "requestHeaderModifier": _request_modifier,
    "responseHeaderModifier": _response_modifier,
    "requestMirror": _mirror_ref,
    "requestRedirect": struct(_Redirect),
    "urlRewrite": struct(_Rewrite),
    "cors": cors,
    "extensionRef": anything,
    "externalAuth": anything,
}
_TYPES = {
    "RequestHeaderModifier": "requestHeaderModifier",
    "ResponseHeaderModifier": "responseHeaderModifier",
    "RequestMirror": "requestMirror",
    "RequestRedirect": "requestRedirect",
    "URLRewrite": "urlRewrite",
    "CORS": "cors",
    "ExtensionRef": "extensionRef",
    "ExternalAuth": "externalAuth",
}
"""What `type` says, and the field that says more of it."""
OF_GRPC = ("RequestHeaderModifier", "ResponseHeaderModifier", "RequestMirror")
OF_HTTP = (*OF_GRPC, "RequestRedirect", "URLRewrite", "CORS")
OF_BACKEND = ("RequestHeaderModifier", "ResponseHeaderModifier", "RequestRedirect", "URLRewrite")
_REPEATED = ("RequestMirror",)
INCOMPATIBLE = frozenset({"RequestRedirect", "URLRewrite"})
"""Those that one rule cannot have together."""
_shape = fields({"type": one_of(*_TYPES), **_CHECKS}, ("type",))


def filters(known: Sequence[str]) -> Check[Filters]:
    """A list of filters of these types; of each type one, but for mirrors."""

    def one(at: At, value: object) -> Given | None:
        found = _shape(at, value)
        if found is None:
            return None
        before, kind = at.faults, cast(str, found["type"])
        if kind not in known:
            at.down("type").fault(f"{kind} is not built in this version here")
        elif _TYPES[kind] not in found:
            at.down(_TYPES[kind]).fault(f"is required with type {kind}")
        for name in found.keys() - {"type", _TYPES[kind]}:
            at.down(name).fault(f"cannot be given with type {kind}")
        return found if at.faults == before else None

    listed = few(items(one), _MOST)

    def check(at: At, value: object) -> Filters | None:
        found = listed(at, value)
        if found is None:
            return None
        before = at.faults
        _once(at, [cast(str, each["type"]) for each in found])
        return _together(found) if at.faults == before else None

    return check


def _once(at: At, types: Sequence[str]) -> None:
    for index, kind in enumerate(types):
        if kind in types[:index] and kind not in _REPEATED:
            at.down(index).fault(f"is a second {kind}; at most one is allowed")
    if set(types) >= INCOMPATIBLE:
        at.down(types.index("URLRewrite")).fault("cannot be used together with RequestRedirect")


def _together(found: Sequence[Given]) -> Filters:
    by_type = {cast(str, each["type"]): each[_TYPES[cast(str, each["type"])]] for each in found}
    made = Filters(
        mirrors=tuple(cast(MirrorRef, each["requestMirror"]) for each in found if each["type"] == "RequestMirror")
    )
    for kind, said in by_type.items():
        if isinstance(said, _Modifier):
            edits = _edits(said)
            made = replace(made, response=edits) if kind == "ResponseHeaderModifier" else _requested(made, edits)
        elif isinstance(said, _Redirect):
            path = _rewritten(said.path)
            redirect = Redirect(said.status_code, said.scheme, said.hostname, said.port, path)
            made = replace(made, redirect=redirect)
        elif isinstance(said, _Rewrite):
            host = said.hostname or (made.rewrite.host if made.rewrite else "")
            made = replace(made, rewrite=Rewrite(host, _rewritten(said.path)))
        elif isinstance(said, Cors):
            made = replace(made, cors=said)
    return made


def _requested(made: Filters, edits: HeaderEdits) -> Filters:
    """A Host that is set is the host that the request goes to, as in Istio."""
    hosts = [value for name, value in edits.set if name == "host"]
    edits = replace(edits, set=tuple(each for each in edits.set if each[0] != "host"))
    if hosts and not (made.rewrite and made.rewrite.host):
        made = replace(made, rewrite=Rewrite(hosts[0], made.rewrite.path if made.rewrite else None))
    return replace(made, request=edits)


def within(at: At, found: Filters, prefix: str | None) -> Filters:
    """With the prefix whose place ReplacePrefixMatch takes: that of the only match of the rule, if it has one."""
    redirect, rewrite = found.redirect, found.rewrite
    for path in (redirect and redirect.path, rewrite and rewrite.path):
        if path and path.op is PathOp.PREFIX and prefix is None:
            at.fault(
                "have a ReplacePrefixMatch, for which the rule must have one match, with a path of type PathPrefix"
            )
            return found
    return replace(
        found,
        redirect=redirect and replace(redirect, path=_of(redirect.path, prefix)),
        rewrite=rewrite and replace(rewrite, path=_of(rewrite.path, prefix)),
    )


def _of(path: PathRewrite | None, prefix: str | None) -> PathRewrite | None:
    return replace(path, matched=prefix or "") if path and path.op is PathOp.PREFIX else path
