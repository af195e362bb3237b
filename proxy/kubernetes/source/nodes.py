"""Nodes, of which a waypoint wants to know where they stand and nothing else.

A Node is written every few minutes only to say that it is alive, and there are thousands. So little of each is kept,
and who has nothing new to say is not listened to.
"""

from __future__ import annotations

from proxy.kubernetes.api.client import Object
from proxy.mesh.kinds.nodes import TOPOLOGY_LABELS


class Nodes:
    """What was told of each last."""

    def __init__(self) -> None:
        self._labels: dict[str, dict[str, str]] = {}

    def news(self, name: str, body: Object) -> Object | None:
        """The Node, as far as it matters; None: that is as it was."""
        metadata = body.get("metadata")
        given = metadata.get("labels") if isinstance(metadata, dict) else None
        labels = {each: given[each] for each in TOPOLOGY_LABELS if each in given} if isinstance(given, dict) else {}
        if self._labels.get(name) == labels:
            return None
        self._labels[name] = labels
        return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}

    def gone(self, name: str) -> None:
        """There is no such Node any more."""
        self._labels.pop(name, None)
