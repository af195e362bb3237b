"""GRPCRoutes: which calls a rule is for, and what is asked first (grpcroute_types.go)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from proxy.mesh.kinds import patterns, route_rules
from proxy.mesh.kinds.http_route import EXACT, REGULAR, Named, conditions, named
from proxy.mesh.kinds.route_filters import OF_GRPC
from proxy.mesh.kinds.routes import Ranked, Rule
from proxy.mesh.reading.records import optional, struct
from proxy.mesh.reading.remarks import shown
from proxy.mesh.reading.schema import At, few, items, one_of, text
from proxy.mesh.traffic.routing import Condition, Op, Part

_MOST_MATCHES = 64
_LONGEST = 1024
_is_service = re.compile(r"\.?[a-z_][a-z_0-9]*(\.[a-z_][a-z_0-9]*)*", re.IGNORECASE | re.ASCII).fullmatch
_is_method = re.compile(r"[A-Za-z_][A-Za-z_0-9]*").fullmatch
_SEGMENT = "[^/]+"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Method:
    type: str = optional(one_of(EXACT, REGULAR), EXACT)
    service: str = optional(text, "")
    method: str = optional(text, "")


def _right_names(at: At, found: _Method) -> None:
    if not found.service and not found.method:
        at.fault("must have a service or a method")
    for name, given, good in (("service", found.service, _is_service), ("method", found.method, _is_method)):
        if len(given) > _LONGEST:
            at.down(name).fault(f"has {len(given)} characters; at most {_LONGEST} are allowed")
        elif given and found.type == REGULAR:
            patterns.expression(at.down(name), given)
        elif given and not good(given):
            at.down(name).fault(f"must be the name of a gRPC {name}, not {shown(given)}")


_method = struct(_Method, rules=(_right_names,))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Match:
    method: _Method | None = optional(_method, None)
    headers: tuple[Named, ...] = optional(named, ())


_matches = few(items(struct(_Match)), _MOST_MATCHES)
_ANY = _Match(method=None, headers=())


def _called(found: _Method) -> Condition:
    """A call is a POST to /service/method."""
    if found.type == REGULAR:
        return Condition(Part.PATH, Op.LIKE, f"/(?:{found.service or _SEGMENT})/(?:{found.method or _SEGMENT})")
    if not found.service:
        return Condition(Part.PATH, Op.LIKE, f"/{_SEGMENT}/{re.escape(found.method)}")
    if not found.method:
        return Condition(Part.PATH, Op.STARTS, f"/{found.service}/")
    return Condition(Part.PATH, Op.IS, f"/{found.service}/{found.method}")


def _ranked(match: _Match) -> Ranked:
    headers = conditions(Part.HEADER, match.headers)
    called = match.method
    if called is None:
        return Ranked((0, 0, -len(headers)), headers)
    return Ranked((-len(called.service), -len(called.method), -len(headers)), (_called(called), *headers))


def _matching(at: At, value: object) -> route_rules.Matching | None:
    found = _matches(at, value)
    return None if found is None else (tuple(map(_ranked, found or (_ANY,))), None)


_rule = route_rules.rule(_matching, OF_GRPC, timed=False)
read = route_rules.reader(_rule, Rule(0, "", (_ranked(_ANY),)))
