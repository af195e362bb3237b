"""Which Host selects which cluster on a plain HTTP listener.

A Host may be the Service's name in every form DNS gives it, or one of its own IPs, and carry a port or not. The table
is complete, so that the request path needs one look-up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from proxy.mesh.services import Service


@dataclass(frozen=True, slots=True)
class Served:
    """A Service as served: its HTTP ports in the order of the Service, each with its cluster's name."""

    service: Service
    clusters: Mapping[int, str]

    def default(self, listener_port: int) -> str:
        """The cluster for a Host without a port."""
        return self.clusters.get(listener_port) or next(iter(self.clusters.values()))


def routes(served: Sequence[Served], listener_port: int, gateway_namespace: str) -> tuple[dict[str, str], list[str]]:
    """The table of one listener, and the hosts of a Service that another Service already answers to."""
    table: dict[str, str] = {}
    taken: list[str] = []
    # For a shared IP without a port, the Service that has the listener's port is the one that is meant.
    for each in sorted(served, key=lambda each: listener_port not in each.clusters):
        for host in hosts(each.service, gateway_namespace):
            entries = {f"{host}:{port}": cluster for port, cluster in each.clusters.items()}
            entries[host] = each.default(listener_port)
            for name, cluster in entries.items():
                if table.setdefault(name, cluster) != cluster:
                    taken.append(f"{name} selects {table[name]}, not {cluster}")
    return table, taken


def hosts(service: Service, gateway_namespace: str) -> list[str]:
    """Every form of the Service's name without a port, lower case; the bare name only beside the Gateway."""
    name, namespace = service.manifest.name, service.manifest.namespace
    forms = [f"{name}.{namespace}", f"{name}.{namespace}.svc", service.host, f"{service.host}."]
    if namespace == gateway_namespace:
        forms.insert(0, name)
    return forms + [f"[{address}]" if ":" in address else address for address in service.addresses]
