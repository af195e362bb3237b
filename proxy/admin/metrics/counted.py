"""Families of what is counted by names that configuration gives (proxy/scoreboard/counts.pyx): routes, policies,
tokens, limits. Workers know them by short words, which are here with what people see."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from proxy.admin.metrics.born import born
from proxy.admin.metrics.family import COUNTER, Family, Labels, one
from proxy.ipc.snapshot import ClusterForm
from proxy.scoreboard.scoreboard import Scoreboard

_BETWEEN = "\0"


class _Kind(NamedTuple):
    name: str
    help: str
    labels: tuple[str, ...]


_KINDS: Mapping[str, _Kind] = {
    "route": _Kind("waypointd_route_requests_total", "Requests for a rule of a route.", ("route", "code_class")),
    "rbac": _Kind("waypointd_rbac_requests_total", "What policies said of them.", ("cluster", "result", "policy")),
    "jwt": _Kind("waypointd_jwt_requests_total", "What tokens were worth.", ("cluster", "result", "reason")),
    "limit": _Kind("waypointd_rate_limit_requests_total", "Within limits or not.", ("cluster", "result", "limit")),
    "retried": _Kind("waypointd_retried_requests_total", "Tried more than once.", ("cluster", "result")),
}


def families(board: Scoreboard, clusters: Mapping[str, ClusterForm]) -> Iterator[Family]:
    """All of them, also those of which nothing is counted; what is bounded by `clusters`, those in force, from 0 on."""
    found: dict[str, list[tuple[Labels, float]]] = {kind: [] for kind in _KINDS}
    totals = board.counts.totals()
    lost = totals.pop(b"")
    counts = {(kind, values): 0 for kind, values in born(clusters)}
    for text, count in totals.items():
        kind, *given = text.decode(errors="replace").split(_BETWEEN)
        counts[kind, tuple(given)] = count
    for (kind, values), count in counts.items():
        if kind in found:
            found[kind].append((Labels(tuple(zip(_KINDS[kind].labels, values, strict=True))), count))
    for kind, samples in found.items():
        yield Family(_KINDS[kind].name, COUNTER, _KINDS[kind].help, samples)
    yield one("waypointd_counts_lost_total", COUNTER, "Counted under no name, for want of room.", lost)
