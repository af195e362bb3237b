"""Where the keys are that a snapshot's clusters verify tokens with. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from proxy.mesh.model import Cluster
from proxy.mesh.traffic.tokens import KeySource


def sources(clusters: Mapping[str, Cluster]) -> dict[KeySource, int]:
    """Each with the time that fetching its keys may take, in ms: the longest that a rule gives it."""
    found: dict[KeySource, int] = {}
    for cluster in clusters.values():
        for rule in cluster.tokens:
            found[rule.keys] = max(found.get(rule.keys, 0), rule.timeout_ms)
    return found
