"""HTTPRoutes: which requests a rule is for, and what is asked first (httproute_types.go, Istio's sortHTTPRoutes)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from proxy.mesh.kinds import patterns, route_rules
from proxy.mesh.kinds.route_filters import OF_HTTP
from proxy.mesh.kinds.routes import Ranked, Rule
from proxy.mesh.reading.records import optional, required, struct
from proxy.mesh.reading.remarks import shown
from proxy.mesh.reading.schema import At, few, items, one_of, text
from proxy.mesh.traffic.routing import Condition, Op, Part

EXACT, REGULAR = "Exact", "RegularExpression"
_PREFIX = "PathPrefix"
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
_MOST_MATCHES, _MOST_CONDITIONS = 64, 16
_LONGEST_PATH = 1024
_is_path = re.compile(r"/(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})*").fullmatch
_odd_path = re.compile(r"//|/\.\.?(?:/|$)|%2[fF]").search
_RANKS = {EXACT: 0, _PREFIX: 1, REGULAR: 2}
"""Istio's: the Gateway API leaves it open where regular expressions stand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Path:
    type: str = optional(one_of(*_RANKS), _PREFIX)
    value: str = optional(text, "/")


def _right_path(at: At, found: _Path) -> None:
    here = at.down("value")
    if len(found.value) > _LONGEST_PATH:
        here.fault(f"has {len(found.value)} characters; at most {_LONGEST_PATH} are allowed")
    elif found.type == REGULAR:
        patterns.expression(here, found.value)
    elif not _is_path(found.value) or _odd_path(found.value):
        here.fault(f"must begin with /, and hold no //, /./, /../, %2F and #, not {shown(found.value)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A header, or a query parameter, that must have a value."""

    type: str = optional(one_of(EXACT, REGULAR), EXACT)
    name: str = required(patterns.token)
    value: str = required(patterns.short(4096))


def _right_value(at: At, found: Named) -> None:
    if found.type == REGULAR:
        patterns.expression(at.down("value"), found.value)


_named = struct(Named, rules=(_right_value,))
named = few(items(_named), _MOST_CONDITIONS)
_path = struct(_Path, rules=(_right_path,))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Match:
    path: _Path | None = optional(_path, None)
    headers: tuple[Named, ...] = optional(named, ())
    query_params: tuple[Named, ...] = optional(named, ())
    method: str = optional(one_of(*_METHODS), "")


_matches = few(items(struct(_Match)), _MOST_MATCHES)
_ANY_PATH = _Path(type=_PREFIX, value="/")
_ANY = _Match(path=None, headers=(), query_params=(), method="")


def conditions(part: Part, given: tuple[Named, ...]) -> tuple[Condition, ...]:
    """Of a name that is given twice the first counts; names of headers are the same in upper and lower case."""
    first: dict[str, Named] = {}
    for each in given:
        first.setdefault(each.name.lower() if part is Part.HEADER else each.name, each)
    return tuple(
        Condition(part, Op.LIKE if each.type == REGULAR else Op.IS, each.value, name) for name, each in first.items()
    )


def _path_condition(path: _Path) -> Condition:
    if path.type == _PREFIX:
        return Condition(Part.PATH, Op.SEGMENTS, path.value.rstrip("/") or "/")
    return Condition(Part.PATH, Op.IS if path.type == EXACT else Op.LIKE, path.value)


def _ranked(match: _Match) -> Ranked:
    path = match.path or _ANY_PATH
    found = _path_condition(path)
    headers, query = conditions(Part.HEADER, match.headers), conditions(Part.QUERY, match.query_params)
    method = (Condition(Part.METHOD, Op.IS, match.method),) if match.method else ()
    rank = (_RANKS[path.type], -len(found.text), -len(method), -len(headers), -len(query))
    return Ranked(rank, (found, *method, *headers, *query))


def _matching(at: At, value: object) -> route_rules.Matching | None:
    found = _matches(at, value)
    if found is None:
        return None
    found = found or (_ANY,)
    path = found[0].path or _ANY_PATH
    prefix = path.value.rstrip("/") or "/"
    return tuple(map(_ranked, found)), prefix if len(found) == 1 and path.type == _PREFIX else None


_rule = route_rules.rule(_matching, OF_HTTP, timed=True)
read = route_rules.reader(_rule, Rule(0, "", (_ranked(_ANY),)))
