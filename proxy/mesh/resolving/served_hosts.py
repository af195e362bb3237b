"""The Gateway's own hosts beside the Services, in the snapshot: clusters beside theirs, names before theirs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from proxy.mesh.model import Cluster, Routes
from proxy.mesh.reading.remarks import Remark
from proxy.mesh.reading.report import Report
from proxy.mesh.resolving.inventory import Inventory
from proxy.mesh.resolving.virtual_hosts import VirtualHosts, virtual_hosts


class Hosts:
    """Kept up by `look_again`. What has not changed stays the same object: also that of `before`, clusters by name."""

    def __init__(self, inventory: Inventory, before: Mapping[str, Cluster]) -> None:
        self._inventory = inventory
        self._before = before
        self._found = VirtualHosts()
        self._odd: list[Remark] = []
        self._taken: dict[int, list[Remark]] = {}
        self._among: dict[int, tuple[Mapping[str, Routes], Routes | None, Mapping[str, Routes]]] = {}
        """By port: the Services, the Gateway's own hosts, and what came of both."""
        self._beside: tuple[Mapping[str, Cluster], VirtualHosts, Mapping[str, Cluster]] | None = None

    @property
    def clusters(self) -> Mapping[str, Cluster]:
        """The frontends."""
        return self._found.clusters

    @property
    def warnings(self) -> Iterable[Remark]:
        """What is odd with routes of the Gateway."""
        return [*self._odd, *(remark for each in self._taken.values() for remark in each)]

    def look_again(self) -> None:
        """Something may have changed that is not an endpoint."""
        report = Report()
        found = virtual_hosts(self._inventory, self._found.clusters or self._before, report)
        self._found = self._found if found == self._found else found
        self._odd = report.warnings

    def beside(self, clusters: Mapping[str, Cluster]) -> Mapping[str, Cluster]:
        """With those of Services."""
        if not self._found.clusters:
            return clusters
        if not (self._beside and self._beside[0] is clusters and self._beside[1] is self._found):
            self._beside = clusters, self._found, {**clusters, **self._found.clusters}
        return self._beside[2]

    def among(self, port: int, services: Mapping[str, Routes], last: Mapping[str, Routes]) -> Mapping[str, Routes]:
        """What is reached through a listener, where `services` are; a name that both have is the Gateway's. `last`:
        what came of that before."""
        own = self._found.names.get(port)
        known = self._among.get(port)
        if not (known and known[0] is services and known[1] is own):
            self._taken.pop(port, None)
            self._among[port] = services, own, self._put_together(port, services, own, last) if own else services
        return self._among[port][2]

    def _put_together(
        self, port: int, services: Mapping[str, Routes], own: Routes, last: Mapping[str, Routes]
    ) -> Mapping[str, Routes]:
        gateway = self._inventory.gateway.manifest
        names = {name for each in own.values() for name in each}
        made = {service: _without(routes, names) for service, routes in services.items()}
        report = Report()
        for service in (service for service, routes in made.items() if routes is not services[service]):
            text = (
                f"a host of routes on port {port} is a name of Service {service}, which is not reached by it any more"
            )
            report.warn(gateway, ("spec", "listeners"), text)
        self._taken[port] = report.warnings
        made[f"Gateway {gateway.id}"] = own
        made = {service: last[service] if routes == last.get(service) else routes for service, routes in made.items()}
        return last if made == last else made


def _without(routes: Routes, names: set[str]) -> Routes:
    """What is left of a Service's, whose names may have a port."""
    if not any(name in names or f"{name.rpartition(':')[0]}:*" in names for each in routes.values() for name in each):
        return routes
    return {
        cluster: tuple(name for name in each if name not in names and f"{name.rpartition(':')[0]}:*" not in names)
        for cluster, each in routes.items()
    }
