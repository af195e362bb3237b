"""Which credentials a snapshot's clusters need for TLS to their endpoints, and which rules ask for them. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from proxy.mesh.model import Cluster
from proxy.mesh.reading.lines import path_text
from proxy.mesh.traffic.security import Credential


def wanted(clusters: Mapping[str, Cluster]) -> dict[str, tuple[Credential, str]]:
    """By `Credential.name`: what it is, and the first rule that asks for it, with where its `tls` stands there."""
    found: dict[str, tuple[Credential, str]] = {}
    for cluster in clusters.values():
        tls, origin = cluster.policy.tls, cluster.policy.origins.get("tls")
        if tls and origin and (credential := tls.credential):
            where = f"DestinationRule {origin.rule}: {path_text(origin.path)}"
            found.setdefault(credential.name, (credential, where))
    return found
