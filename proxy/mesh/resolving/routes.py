"""What selects which cluster: the Host on a plain HTTP listener, the authority of CONNECT on an HBONE listener.

A Service answers to its name in every form DNS gives it, and to its own IPs; a Host may leave out the port, an
authority may not. The tables are complete, so that the request path needs one look-up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from proxy.mesh.kinds.services import Service
from proxy.mesh.model import Cluster, Routes


@dataclass(frozen=True, slots=True)
class Served:
    """A Service as a listener serves it: its ports in the order of the Service, each with its cluster."""

    service: Service
    clusters: Mapping[int, Cluster]

    def over_http(self) -> Served:
        """The part that plain HTTP can ask for."""
        spoken = {port: cluster for port, cluster in self.clusters.items() if cluster.protocol != "tcp"}
        return Served(self.service, spoken)

    def default(self, listener_port: int) -> str:
        """The name of the cluster for a Host without a port."""
        return (self.clusters.get(listener_port) or next(iter(self.clusters.values()))).name


class Table:
    """What one listener reaches. The first to claim a name keeps it; `taken` says, as text, who came later."""

    def __init__(self, served: Sequence[Served]) -> None:
        self.taken: list[str] = []
        self._owners: dict[str, str] = {}
        self._names: dict[str, dict[str, list[str]]] = {
            each.service.manifest.id: {cluster.name: [] for cluster in each.clusters.values()} for each in served
        }

    def claim(self, service: Service, name: str, cluster: str) -> None:
        """`name` selects the Service's `cluster`, if it is still free."""
        owner = self._owners.get(name)
        if owner is None:
            self._owners[name] = cluster
            self._names[service.manifest.id][cluster].append(name)
        elif owner != cluster:
            self.taken.append(f"{name} selects {owner}, not {cluster}")

    def services(self) -> dict[str, Routes]:
        """By Service, as in `model.Listener`."""
        return {
            service: {cluster: tuple(names) for cluster, names in clusters.items()}
            for service, clusters in self._names.items()
        }


def of_hosts(served: Sequence[Served], listener_port: int, gateway_namespace: str) -> Table:
    """The table of an HTTP listener; every Service in `served` has a port."""
    table = Table(served)
    # For a shared IP without a port, the Service that has the listener's port is the one that is meant.
    for each in sorted(served, key=lambda each: listener_port not in each.clusters):
        for host in hosts(each.service, gateway_namespace):
            for name, cluster in _with_ports(each, host):
                table.claim(each.service, name, cluster)
            table.claim(each.service, host, each.default(listener_port))
    return table


def of_authorities(served: Sequence[Served], gateway_namespace: str, by_name: bool) -> Table:
    """The table of an HBONE listener; without `by_name` only endpoints' own addresses reach them."""
    table = Table(served)
    for each in served if by_name else ():
        for host in hosts(each.service, gateway_namespace):
            for name, cluster in _with_ports(each, host):
                table.claim(each.service, name, cluster)
    return table


def hosts(service: Service, gateway_namespace: str) -> list[str]:
    """Every form of the Service's name without a port, lower case; the bare name only beside the Gateway."""
    name, namespace = service.manifest.name, service.manifest.namespace
    forms = [f"{name}.{namespace}", f"{name}.{namespace}.svc", service.host, f"{service.host}."]
    if namespace == gateway_namespace:
        forms.insert(0, name)
    return forms + [f"[{address}]" if ":" in address else address for address in service.addresses]


def _with_ports(served: Served, host: str) -> Iterator[tuple[str, str]]:
    return ((f"{host}:{port}", cluster.name) for port, cluster in served.clusters.items())
