"""Families of clusters whose endpoints stand in groups, by where they are: priorities of failover, places of
distribution. As many series as there are groups, eight of a cluster at most."""

from collections.abc import Iterator, Mapping

from proxy.admin.metrics.family import COUNTER, GAUGE, Family, Labels
from proxy.admin.picking import Group, groups_of, rows_of
from proxy.ipc.snapshot import ClusterForm
from proxy.scoreboard.scoreboard import Scoreboard

MOST = 8
"""Groups of a cluster that are told of, as many as are counted (GROUPS of proxy/scoreboard/layout.pxd)."""


def families(board: Scoreboard, clusters: Mapping[str, ClusterForm]) -> Iterator[Family]:
    """As they are now."""
    found = [
        (Labels((("cluster", name), ("group", str(at)), ("where", group.name))), group)
        for name, form in clusters.items()
        if "groups" in form["balance"]
        for at, group in enumerate(groups_of(board, form, rows_of(board, form))[:MOST])
    ]
    yield from _of(found)


def _of(found: list[tuple[Labels, Group]]) -> Iterator[Family]:
    for name, type_, text, values in (
        ("waypointd_group_picks_total", COUNTER, "Picks of its endpoints.", [each.picks for _, each in found]),
        ("waypointd_group_endpoints", GAUGE, "Endpoints that are ready.", [each.endpoints for _, each in found]),
        ("waypointd_group_endpoints_in", GAUGE, "Those that are not out.", [each.present for _, each in found]),
        ("waypointd_group_load_percent", GAUGE, "Of the requests.", [round(each.percent, 2) for _, each in found]),
        ("waypointd_group_panic", GAUGE, "1: who is out gets some.", [int(each.panicking) for _, each in found]),
    ):
        yield Family(name, type_, text, [(labels, value) for (labels, _), value in zip(found, values, strict=True)])
