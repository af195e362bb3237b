"""One Service as one Gateway serves it: its clusters, what it asks of each listener, what a user should know of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from proxy.mesh.kinds.gateways import HBONE, HTTPS, Gateway, GatewayListener
from proxy.mesh.kinds.service_entries import Host
from proxy.mesh.kinds.services import Service
from proxy.mesh.model import Cluster
from proxy.mesh.reading.remarks import Remark
from proxy.mesh.reading.report import Report
from proxy.mesh.resolving import backends, hosts, routes, routing, virtual_routing
from proxy.mesh.resolving.binding import admitted
from proxy.mesh.resolving.clusters import Clusters
from proxy.mesh.resolving.inventory import Inventory
from proxy.mesh.resolving.routes import Claims


@dataclass(frozen=True, slots=True)
class Outcome:
    """`clusters`: by name, in the order of the Service's ports, then those of subsets. `claims`: one for each listener
    that is opened. `bound`: clients ask for it here; else only routes lead to it."""

    clusters: Mapping[str, Cluster]
    claims: Sequence[Claims | None]
    warnings: Sequence[Remark]
    bound: bool = True

    @property
    def names(self) -> set[str]:
        """The host names that DNS is to be asked for."""
        return {name for cluster in self.clusters.values() for name, _ in cluster.names}


def outcome(
    service: Service, gateway: Gateway, opened: Sequence[GatewayListener], inventory: Inventory
) -> Outcome | None:
    """What comes of a Service. None: it does not name this Gateway as its waypoint or canary, and no route leads to it
    from here."""
    bound = inventory.binds(service)
    led_to = backends.leads_to(service, inventory) or virtual_routing.leads_to(service, inventory)
    if not (bound or led_to):
        return None
    report = Report()
    served = _serving(service, gateway, opened, inventory, report) if bound else []
    clusters: Mapping[int, Cluster] = {}
    if served or (led_to and not backends.unreachable(service, inventory)):
        tunnelled = any(each.protocol == HBONE for each in served)
        clusters = Clusters(inventory, report).of(service, tunnelled, led_to)
    if served:
        clusters = routing.routed(service, clusters, inventory, report)
        clusters = virtual_routing.routed(service, clusters, inventory, report)
    claims = tuple(_claims(service, clusters, gateway, each) if each in served else None for each in opened)
    whole = [*clusters.values(), *virtual_routing.subsets(service, clusters, inventory, report)]
    return Outcome({cluster.name: cluster for cluster in whole}, claims, tuple(report.warnings), bound)


def _serving(
    service: Service, gateway: Gateway, opened: Sequence[GatewayListener], inventory: Inventory, report: Report
) -> list[GatewayListener]:
    """The listeners that serve it, never those of HTTPS, which are for hosts of routes. Without Services
    (`waypoint-for: workload`) one of HBONE still takes their endpoints' own addresses."""
    if gateway.traffic not in ("service", "all", "workload"):
        return []
    if service.external:
        report.warn(service.manifest, ("spec", "type"), "ExternalName is not served by this version")
        return []
    if isinstance(service, Host) and (text := hosts.unserved(service, inventory)):
        report.warn(service.manifest, ("spec", "hosts", service.index), text)
        return []
    labels = inventory.labels_of(service.manifest.namespace)
    serving = [each for each in gateway.listeners if each.protocol != HTTPS]
    admitting = [listener for listener in serving if admitted(service, gateway, listener, labels)]
    if not serving:
        report.warn(service.manifest, (), f"Gateway {gateway.manifest.id} has no listener of HBONE or HTTP to serve it")
    elif not admitting:
        text = f"AttachmentDenied: Gateway {gateway.manifest.id} does not allow routes from this namespace"
        report.warn(service.manifest, (), text)
    ports = {each.port for each in admitting}
    return [
        each
        for each in opened
        if each.port in ports and each.protocol != HTTPS and (each.protocol == HBONE or gateway.serves_services)
    ]


def _claims(
    service: Service, clusters: Mapping[int, Cluster], gateway: Gateway, listener: GatewayListener
) -> Claims | None:
    namespace = gateway.manifest.namespace
    if listener.protocol == HBONE:
        return routes.over_hbone(service, clusters, namespace, gateway.serves_services)
    return routes.over_http(service, clusters, listener.port, namespace)
