"""Which counters of what configuration names are there at 0, as soon as it is in force: those that are bounded by it.

A counter that comes with its first request has no increase that Prometheus could see: `rate` and `increase` begin at
its second value. Reasons why tokens are refused, and what policies without a say would do, are born when they happen.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from proxy.ipc.snapshot import ClusterForm, limits_of

CLASSES = ("2xx", "4xx", "5xx")
"""Of a route's answers; others are rare, and no alert's matter."""


class Born(NamedTuple):
    """A kind of counts (scoreboard/counts.pyx), and the values of its labels."""

    kind: str
    values: tuple[str, ...]


def born(clusters: Mapping[str, ClusterForm]) -> Iterator[Born]:
    """Those of the clusters in force, by name."""
    for name, form in clusters.items():
        for kind, *values in (*_access(form), *_tokens(form), *_limits(form)):
            yield Born(kind, (name, *values))
        for rule in form["routing"]["rules"] if "routing" in form else ():
            yield from (Born("route", (rule["name"], each)) for each in CLASSES)


def _access(form: ClusterForm) -> Iterator[tuple[str, ...]]:
    if access := form.get("access"):
        yield "rbac", "allowed", ""
        yield from (("rbac", "denied", rule["name"]) for rule in access["deny"])
        if access["limited"]:
            yield "rbac", "denied", "none"


def _tokens(form: ClusterForm) -> Iterator[tuple[str, ...]]:
    if form.get("tokens"):
        yield "jwt", "success", ""


def _limits(form: ClusterForm) -> Iterator[tuple[str, ...]]:
    if limits := limits_of(form):
        yield "limit", "allowed", ""
        yield from (("limit", "limited", limit["text"]) for limit in limits)
