"""What `--check -v` says of the routes of a frontend: in their order, what each match is for and where it leads."""

from __future__ import annotations

from collections.abc import Iterator

from proxy.mesh.traffic.routing import Backend, Condition, Op, Part, Redirect, RouteMatch, RouteRule, Routing

_MOST = 20
"""Matches that are shown."""
_COMPARED = {Op.IS: "=", Op.STARTS: "=^", Op.SEGMENTS: "=^", Op.LIKE: "=~"}


def routing_lines(routing: Routing) -> Iterator[str]:
    """One for each match, and what becomes of all other requests."""
    for match in routing.matches[:_MOST]:
        yield f"{_asked(match)} -> {_done(routing.rules[match.rule])}"
    if len(routing.matches) > _MOST:
        yield f"and {len(routing.matches) - _MOST} more"
    yield from _limits(routing)
    if not any(_is_for_all(match) for match in routing.matches):
        yield "all other requests get 404 (gRPC: 12)"


def _limits(routing: Routing) -> Iterator[str]:
    limited = {rule.route: rule.rate_limits for rule in routing.rules if rule.rate_limits}
    for route, limits in limited.items():
        yield f"rate limits of {route}: {'; '.join(map(str, limits))}"


def _is_for_all(match: RouteMatch) -> bool:
    return not any(map(_asks, match.conditions))


def _asks(found: Condition) -> bool:
    """Whether there are requests for which it does not hold; all paths are below the slash."""
    root = found.part is Part.PATH and found.op in (Op.SEGMENTS, Op.STARTS) and found.text in ("", "/")
    return not root or found.negated


def _asked(match: RouteMatch) -> str:
    return " and ".join(map(_condition, filter(_asks, match.conditions))) or "anything"


def _condition(found: Condition) -> str:
    subject = f"{found.part.value} {found.name}".strip()
    if found.part is Part.PATH and found.op in (Op.SEGMENTS, Op.STARTS):
        text = f"path {found.text.rstrip('/')}/..." if found.op is Op.SEGMENTS else f"path {found.text}..."
    elif found.part in (Part.PATH, Part.METHOD) and found.op is Op.IS:
        text = f"{subject} {found.text}"
    elif found.part is Part.NAMESPACE:
        text = f"a client of namespace {found.text}"
    else:
        text = subject if found.op is Op.IS_THERE else f"{subject}{_COMPARED[found.op]}{found.text}"
    return f"not {text}" if found.negated else text


def _done(rule: RouteRule) -> str:
    return f"{_answered(rule)} ({rule.name})" if rule.name else _answered(rule)


def _answered(rule: RouteRule) -> str:
    if rule.redirect:
        return _redirected(rule.redirect)
    if rule.direct:
        return str(rule.direct.status)
    total = sum(each.weight for each in rule.backends)
    shares = [_share(each, total) for each in rule.backends]
    return ", ".join([*shares, *(f"a copy to {each.cluster}" for each in rule.mirrors)])


def _share(backend: Backend, total: int) -> str:
    where = _redirected(backend.redirect) if backend.redirect else backend.cluster or str(backend.status)
    return where if backend.weight == total else f"{where} {100 * backend.weight / total:.3g} %"


def _redirected(redirect: Redirect) -> str:
    return f"a redirect ({redirect.status})"
