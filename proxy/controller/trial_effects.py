"""What a rule of routes does with a request that nobody has sent, in words and with the values that come of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import re2

from proxy.controller.trial import Trial
from proxy.mesh.resolving.stated import time
from proxy.mesh.traffic.retries import DEFAULT_RETRIES, RetryPolicy
from proxy.mesh.traffic.routing import FaultInjection, HeaderEdits, PathOp, PathRewrite, Redirect, Rewrite, RouteRule

_PORTS = {"http": 80, "https": 443}
_PPM = 10_000


def effects(rule: RouteRule, trial: Trial) -> Iterator[str]:
    """All but where it goes."""
    if rule.cors:
        yield "cross-origin requests are answered as its CORS policy says"
    if rule.fault:
        yield from _faults(rule.fault)
    yield from of_head(rule.rewrite, rule.request, rule.response, trial)
    for mirror in rule.mirrors:
        yield f"a copy of {100 * mirror.numerator / mirror.denominator:g} % of the requests goes to {mirror.cluster}"
    if rule.backends and rule.retries != DEFAULT_RETRIES:
        yield _retries(rule.retries)
    if kept := rule.persistence:
        yield f"requests of a session go to its endpoint ({'header' if kept.header else 'cookie'} {kept.name})"


def of_head(rewrite: Rewrite | None, request: HeaderEdits, response: HeaderEdits, trial: Trial) -> Iterator[str]:
    """What is done to the heads."""
    if rewrite and rewrite.path:
        yield f"the path becomes {rewritten(rewrite.path, trial.path)}"
    if rewrite and rewrite.host:
        yield f"the host becomes {rewrite.host}"
    for edits, whose in ((request, "request"), (response, "answer")):
        for name in edits.remove:
            yield f"header {name} of the {whose} is removed"
        for name, value in edits.set:
            yield f'header {name} of the {whose} is set to "{value}"'
        for name, value in edits.add:
            yield f'header {name} of the {whose} gets another line "{value}"'


def _faults(fault: FaultInjection) -> Iterator[str]:
    if fault.delay_ppm:
        yield f"{fault.delay_ppm / _PPM:g} % of the requests wait for {time(fault.delay_ms)} (fault injection)"
    if fault.abort_ppm:
        status = f"gRPC status {fault.abort_grpc}" if fault.abort_grpc >= 0 else f"{fault.abort_status}"
        yield f"{fault.abort_ppm / _PPM:g} % of the requests get {status} (fault injection)"


def _retries(retries: RetryPolicy) -> str:
    parts = [f"tried again {retries.attempts} times at most" if retries.attempts else "never tried again"]
    if more := (*map(str, retries.codes), *retries.on):
        parts.append(f"also for {', '.join(more)}")
    if retries.attempt_ms:
        parts.append(f"{time(retries.attempt_ms)} for an attempt")
    if retries.timeout_ms:
        parts.append(f"{time(retries.timeout_ms)} in all")
    return ", ".join(parts)


def location(redirect: Redirect, trial: Trial) -> str:
    """Where a redirect leads."""
    scheme = redirect.scheme or redirect.own_scheme
    port = redirect.port or (_PORTS[scheme] if redirect.scheme else redirect.own_port)
    host = redirect.host or _without_port(trial.authority)
    where = host if port == _PORTS[scheme] else f"{host}:{port}"
    path = rewritten(redirect.path, trial.path) if redirect.path else trial.path
    query = f"?{trial.query}" if trial.query and "?" not in path else ""
    return f"{scheme}://{where}{path}{query}"


def _without_port(authority: str) -> str:
    host, colon, port = authority.rpartition(":")
    return host if colon and port.isdecimal() else authority


def rewritten(rewrite: PathRewrite, path: str) -> str:
    """The path that comes of another."""
    if rewrite.op is PathOp.FULL:
        found = rewrite.text
    elif rewrite.op is PathOp.STRING:
        found = rewrite.text + path[len(rewrite.matched) :]
    elif rewrite.op is PathOp.LIKE:
        found = str(re2.sub(rewrite.matched, lambda match: _expanded(rewrite.text, match), path))
    else:  # by segments: what stands behind the prefix begins with a slash, or there is nothing
        found = rewrite.text.removesuffix("/") + path[len(rewrite.matched.removesuffix("/")) :]
    return found if found.startswith("/") else f"/{found}"


def _expanded(template: str, match: Any) -> str:
    """With what the groups matched, which \\1 and the like stand for; \\0 is all of it."""

    def group(found: re.Match[str]) -> str:
        number = int(found[1])
        return (match.group(number) or "") if number <= match.re.groups else ""

    return re.sub(r"\\([0-9])", group, template)
