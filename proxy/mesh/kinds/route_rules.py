"""A rule of an HTTPRoute or a GRPCRoute: which requests it is for, and what becomes of them.

What is wrong with the former is a fault of the route, since nobody knows what it is for. What is wrong with the latter
breaks the rule alone: its requests are answered with 500, and a warning says why where the route is in force.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

from proxy.mesh.kinds import patterns
from proxy.mesh.kinds.edited import TOO_MUCH, is_too_much
from proxy.mesh.kinds.rate_limits import rate_limits
from proxy.mesh.kinds.route_filters import OF_BACKEND, filters, within
from proxy.mesh.kinds.route_times import (
    Retry,
    Session,
    Timeouts,
    persistence,
    retries,
    retry,
    session,
    timeouts,
)
from proxy.mesh.kinds.routes import (
    NO_FILTERS,
    BackendRef,
    Filters,
    ParentRef,
    Ranked,
    ReferredFields,
    Route,
    Rule,
    has_port,
    parents,
    referred,
)
from proxy.mesh.reading.manifests import Body, Manifest
from proxy.mesh.reading.metadata import is_stored
from proxy.mesh.reading.records import optional, struct
from proxy.mesh.reading.report import Report
from proxy.mesh.reading.schema import At, Check, absent, anything, few, integer, items, one_of, spec
from proxy.mesh.traffic.routing import NO_EDITS

_BROKEN = "so requests of this rule get 500 (gRPC: 14) until that is mended"
_MOST_RULES, _MOST_MATCHES, _MOST_BACKENDS, _MOST_HOSTNAMES = 16, 128, 16, 16
Matching = tuple[tuple[Ranked, ...], str | None]
"""What a rule is for, and the prefix of its only match, if that is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Backend(ReferredFields):
    weight: int = optional(integer(0, 1_000_000), 1)
    filters: Filters = optional(filters(OF_BACKEND), NO_FILTERS)


_backend = struct(_Backend, rules=(has_port,))


def _backend_ref(at: At, value: object) -> BackendRef | None:
    found = _backend(at, value)
    return BackendRef(referred(at, found), found.weight, found.filters) if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Doing:
    """The fields of a rule but `name` and `matches`."""

    filters: Filters = optional(filters(()), NO_FILTERS)
    backend_refs: tuple[BackendRef, ...] = optional(few(items(_backend_ref), _MOST_BACKENDS), ())
    timeouts: Timeouts | None = optional(timeouts, None)
    retry: Retry | None = optional(retry, None)
    session_persistence: Session | None = optional(session, None)


def _no_backends(at: At, found: _Doing) -> None:
    if found.filters.redirect and found.backend_refs:
        at.down("backendRefs").fault("cannot be given beside a RequestRedirect, with which nothing is sent on")


def _idle(at: At, found: _Doing) -> None:
    """What does nothing where nothing is sent on."""
    if not found.filters.redirect:
        return
    idle = {"RequestHeaderModifier": found.filters.request != NO_EDITS, "RequestMirror": found.filters.mirrors}
    idle |= {"retry": found.retry, "sessionPersistence": found.session_persistence}
    if names := ", ".join(name for name, said in idle.items() if said):
        at.warn(f"has {names} beside a RequestRedirect, with which nothing is sent on, so that does nothing")


def rule(matching: Callable[[At, object], Matching | None], types: tuple[str, ...], timed: bool) -> Check[Rule]:
    """A rule with filters of these types; only `timed` ones have timeouts and retries."""
    also = {"filters": filters(types)} | ({} if timed else {"timeouts": absent, "retry": absent})
    doing = struct(_Doing, also=also, rules=(_no_backends, _idle))

    def check(at: At, value: object) -> Rule | None:
        if not isinstance(value, dict):
            at.fault("must be a mapping")
            return None
        index, name = int(at.path[-1]), patterns.section(at.down("name"), value.get("name") or "rule")
        found = matching(at.down("matches"), value.get("matches") or [])
        if name is None or found is None:
            return None
        matches, prefix = found
        made = Rule(index, name if value.get("name") else "", matches)
        apart = Report()
        rest = {key: each for key, each in value.items() if key not in ("name", "matches")}
        done = _done(at.apart(apart), doing, rest, made, prefix)
        broken = tuple(each._replace(text=f"{each.text}, {_BROKEN}") for each in apart.faults)
        kept = replace(made, broken=True) if done is None or broken else done
        return replace(kept, remarks=(*apart.warnings, *broken))

    return check


def _fits(at: At, rule: Filters, backends: tuple[BackendRef, ...]) -> None:
    """That heads have room for what the rule puts in, and after it each backend."""
    of_rule = rule.rewrite.host if rule.rewrite else ""
    if is_too_much((rule.request,), of_rule) or is_too_much((rule.response,)):
        at.down("filters").fault(TOO_MUCH)
        return
    for index, each in enumerate(backends):
        own = each.filters
        host = own.rewrite.host if own.rewrite and own.rewrite.host else of_rule
        if is_too_much((rule.request, own.request), host) or is_too_much((rule.response, own.response)):
            at.down("backendRefs", index, "filters").fault(f"{TOO_MUCH}, those of the rule among them")


def _done(at: At, doing: Check[_Doing], rest: Body, made: Rule, prefix: str | None) -> Rule | None:
    """The rule with what it does; None: something is wrong with it."""
    found = doing(at, rest)
    if found is None:
        return None
    backends = tuple(
        replace(each, filters=within(at.down("backendRefs", index, "filters"), each.filters, prefix))
        for index, each in enumerate(found.backend_refs)
    )
    _fits(at, found.filters, backends)
    named = f"waypointd-{at.manifest.namespace}-{at.manifest.name}-{made.index}"
    return replace(
        made,
        filters=within(at.down("filters"), found.filters, prefix),
        backends=backends,
        retries=retries(found.timeouts, found.retry),
        persistence=persistence(found.session_persistence, named) if found.session_persistence else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spec:
    parent_refs: tuple[ParentRef, ...] = optional(parents, ())
    hostnames: tuple[str, ...] = optional(few(items(patterns.any_hostname), _MOST_HOSTNAMES), ())
    use_default_gateways: str = optional(one_of("All", "None"), "None")
    rules: tuple[Rule, ...] | None = cast("tuple[Rule, ...] | None", optional(anything, None))


def _in_all(at: At, found: _Spec) -> None:
    total = sum(len(each.matches) for each in found.rules or ())
    if total > _MOST_MATCHES:
        at.down("rules").fault(f"have {total} matches in all; at most {_MOST_MATCHES} are allowed")
    seen: set[str] = set()
    for each in found.rules or ():
        if each.name and each.name in seen:
            at.down("rules", each.index, "name").fault(f"{each.name} is given twice")
        seen.add(each.name)


def reader(check: Check[Rule], default: Rule) -> Callable[[Manifest, Body, Report], Route | None]:
    """Of routes with such rules, and one by `default` where there are none."""
    whole = struct(_Spec, also={"rules": few(items(check), _MOST_RULES)}, rules=(_in_all,))

    def read(manifest: Manifest, body: Body, report: Report) -> Route | None:
        found = spec(manifest, body, report, whole, stored=is_stored(body))
        if found is None:
            return None
        if not found.parent_refs and found.use_default_gateways != "All":
            report.warn(manifest, ("spec", "parentRefs"), "is empty, so the route attaches to nothing")
        limits = rate_limits(manifest, body, report)
        return Route(manifest, found.parent_refs, found.hostnames, found.rules or (default,), limits)

    return read
