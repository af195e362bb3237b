"""The `http` rules of VirtualServices as routes of one frontend, in the order that they stand in: the first match that
fits counts, as in Istio (BuildHTTPRoutesForVirtualService, waypointInboundRoute).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from proxy.mesh.kinds.header_edits import Headers
from proxy.mesh.kinds.string_match import StringMatch
from proxy.mesh.kinds.virtual_faults import PPM
from proxy.mesh.kinds.virtual_match import ANY, Match, claim_of
from proxy.mesh.kinds.virtual_route import (
    RETRIED,
    RETRIED_GRPC,
    Destination,
    Redirecting,
    Rewriting,
    is_status,
)
from proxy.mesh.kinds.virtual_service import Http, VirtualService
from proxy.mesh.reading.lines import Path
from proxy.mesh.resolving.delegation import Placed
from proxy.mesh.traffic.retries import DEFAULT_RETRIES, RetryPolicy
from proxy.mesh.traffic.routing import (
    Backend,
    Condition,
    Mirror,
    Op,
    Part,
    PathOp,
    PathRewrite,
    Redirect,
    Rewrite,
    RouteMatch,
    RouteRule,
    Routing,
)

NOT_FOUND = 503
"""What is answered for a destination that is not there; a route of the Gateway API answers 500."""
_PORT_OF_HTTP = 80
_LONGER, _LONGEST_MS = 10, 86_400_000
"""How many times as long as the first pause others may be, as Envoy has it, and at most how long for that."""
_PSEUDO = {":authority": Part.AUTHORITY, "host": Part.AUTHORITY, ":method": Part.METHOD, ":scheme": Part.SCHEME}
_ROOT = StringMatch(Op.STARTS, "/")


class Sent(NamedTuple):
    """Who sends requests where, and where that is said."""

    by: VirtualService
    to: Destination
    path: Path


Find = Callable[[Sent, int], str]
"""The cluster that a destination is for requests to a port; "" if there is none."""


def routing(rules: Iterable[Placed], port: int, find: Find) -> Routing | None:
    """The routes of a Service's `port`. None: none of the rules is for it, and it is served as if there were none."""
    matches: list[RouteMatch] = []
    made: dict[RouteRule, int] = {}
    for placed in rules:
        for match in _for_port(placed.rule, port):
            rule = _rule(placed, match, port, find)
            matches.append(RouteMatch(made.setdefault(rule, len(made)), tuple(_conditions(match))))
            if not matches[-1].conditions:
                return Routing(tuple(matches), tuple(made))
    return Routing(tuple(matches), tuple(made)) if matches else None


def _for_port(rule: Http, port: int) -> Iterator[Match]:
    """The matches that may hold there."""
    for match in rule.match or (ANY,):
        if match.port in (0, port) and match.for_mesh and not match.unknowable:
            yield match


def _conditions(match: Match) -> Iterator[Condition]:
    if match.uri and not match.is_root:
        fold = match.ignore_uri_case and match.uri.op is not Op.LIKE
        yield Condition(Part.PATH, *match.uri, fold=fold)
    for part, found in (
        (Part.METHOD, match.method),
        (Part.AUTHORITY, match.authority),
        (Part.SCHEME, match.scheme),
    ):
        if found:
            yield Condition(part, *found)
    if match.source_namespace:
        yield Condition(Part.NAMESPACE, Op.IS, match.source_namespace)
    for name, found in match.query_params.items():
        yield Condition(Part.QUERY, *found, name=name)
    for names, negated in ((match.headers, False), (match.without_headers, True)):
        for name, found in names.items():
            yield _of_header(name, found, negated)


def _of_header(name: str, found: StringMatch, negated: bool) -> Condition:
    if claim := claim_of(name):
        return Condition(Part.CLAIM, *found, name=claim, negated=negated)
    if part := _PSEUDO.get(name.lower()):
        return Condition(part, *found, negated=negated)
    return Condition(Part.HEADER, *found, name=name.lower(), negated=negated)


def _rule(placed: Placed, match: Match, port: int, find: Find) -> RouteRule:
    rule = placed.rule
    edits = rule.headers or Headers()
    found = RouteRule(
        name=placed.name,
        request=edits.request,
        response=edits.response,
        cors=rule.cors_policy,
        fault=rule.fault if rule.fault and (rule.fault.delay_ppm or rule.fault.abort_ppm) else None,
        retries=retries(rule),
    ).under(placed.owner.rate_limits, f"{placed.owner.manifest.kind} {placed.owner.manifest.id}")
    if rule.redirect:
        return replace(found, redirect=_redirect(rule.redirect, match, port))
    if rule.direct_response:
        return replace(found, direct=rule.direct_response)
    rewrite = _rewrite(rule.rewrite, edits.host, match)
    return replace(
        found,
        backends=tuple(_backends(placed, bool(rewrite and rewrite.host), lambda sent: find(sent, port))),
        mirrors=tuple(_mirrors(placed, lambda sent: find(sent, port))),
        rewrite=rewrite,
    )


def _backends(placed: Placed, has_host: bool, find: Callable[[Sent], str]) -> Iterator[Backend]:
    """A host that the rule gives goes before those of destinations."""
    shares = placed.rule.route or ()
    for index, share in enumerate(shares):
        if share.weight or len(shares) == 1:
            edits = share.headers or Headers()
            path = (*placed.path, "route", index, "destination")
            yield Backend(
                cluster=find(Sent(placed.owner, share.destination, path)),
                weight=share.weight or 1,
                status=NOT_FOUND,
                request=edits.request,
                response=edits.response,
                rewrite=Rewrite(edits.host) if edits.host and not has_host else None,
            )


def _mirrors(placed: Placed, find: Callable[[Sent], str]) -> Iterator[Mirror]:
    rule = placed.rule
    asked: list[tuple[Destination, float | None, Path]] = []
    if rule.mirror:
        percent = rule.mirror_percent if rule.mirror_percentage is None else rule.mirror_percentage
        asked.append((rule.mirror, percent, (*placed.path, "mirror")))
    for index, each in enumerate(rule.mirrors or ()):
        asked.append((each.destination, each.percentage, (*placed.path, "mirrors", index, "destination")))
    for destination, percent, path in asked:
        if percent != 0 and (cluster := find(Sent(placed.owner, destination, path))):
            yield Mirror(cluster) if percent is None else Mirror(cluster, int(percent * PPM), 100 * PPM)


def retries(rule: Http) -> RetryPolicy:
    """How often and how long it is tried."""
    asked = rule.retries
    if asked is None:
        return replace(DEFAULT_RETRIES, timeout_ms=rule.timeout)
    pauses = {}
    if asked.backoff:
        longest = max(asked.backoff, min(_LONGER * asked.backoff, _LONGEST_MS))
        pauses = {"pause_ms": asked.backoff, "longest_pause_ms": longest}
    return RetryPolicy(
        attempts=asked.attempts,
        attempt_ms=asked.per_try_timeout,
        timeout_ms=rule.timeout,
        codes=tuple(int(each) for each in asked.retry_on if is_status(each)),
        on=tuple(each for each in asked.retry_on if each in (*RETRIED, *RETRIED_GRPC)),
        **pauses,
    )


def _rewrite(asked: Rewriting | None, host: str, match: Match) -> Rewrite | None:
    if asked is None:
        return Rewrite(host) if host else None
    path = None
    if regex := asked.uri_regex_rewrite:
        path = PathRewrite(PathOp.LIKE, regex.rewrite, regex.match)
    elif asked.uri:
        path = _new_path(asked.uri, match)
    host = asked.authority or host
    return Rewrite(host, path) if host or path else None


def _new_path(text: str, match: Match) -> PathRewrite:
    """Instead of the prefix that is matched; what is equal, or matched by an expression, is all of the path."""
    uri = match.uri or _ROOT
    return PathRewrite(PathOp.STRING, text, uri.text) if uri.op is Op.STARTS else PathRewrite(PathOp.FULL, text)


def _redirect(asked: Redirecting, match: Match, port: int) -> Redirect:
    """Who says nothing of the port gets the one that the host has: with another host that of HTTP."""
    host, _, given = asked.authority.partition(":") if asked.authority.count(":") == 1 else (asked.authority, "", "")
    path = None
    if asked.prefix_rewrite:
        path = _new_path(asked.prefix_rewrite, match)
    elif asked.uri:
        path = PathRewrite(PathOp.FULL, asked.uri)
    to = asked.port or int(given if given.isdecimal() else 0)
    return Redirect(
        status=asked.redirect_code,
        scheme=asked.scheme,
        host=host,
        port=port if asked.derive_port == "FROM_REQUEST_PORT" else to,
        path=path,
        own_port=_PORT_OF_HTTP if asked.authority or asked.derive_port else port,
    )
