"""Which credentials a snapshot needs, for TLS to endpoints and for clients', and what asks for them. Pure."""

from __future__ import annotations

from proxy.mesh.model import Snapshot
from proxy.mesh.reading.lines import path_text
from proxy.mesh.traffic.security import Credential


def wanted(snapshot: Snapshot) -> dict[str, tuple[Credential, str]]:
    """By `Credential.name`: what it is, and the first rule or Gateway that asks for it, with where that is."""
    found: dict[str, tuple[Credential, str]] = dict(snapshot.terminating)
    for cluster in snapshot.clusters.values():
        tls, origin = cluster.policy.tls, cluster.policy.origins.get("tls")
        if tls and origin and (credential := tls.credential):
            where = f"DestinationRule {origin.rule}: {path_text(origin.path)}"
            found.setdefault(credential.name, (credential, where))
    return found
