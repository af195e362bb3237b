"""From valid objects to the snapshot of one Gateway: who is served, where, by which endpoints, under which rule.

Pure. The objects have passed their checks, so nothing here can be wrong any more; what is merely odd becomes a warning.
"""

from __future__ import annotations

from proxy.mesh.kinds import destination_rule, gateways, guards, services, slices
from proxy.mesh.kinds.gateways import HBONE, WAYPOINT_FOR, GatewayListener
from proxy.mesh.kinds.services import Service
from proxy.mesh.kinds.workload_entries import WorkloadEntries
from proxy.mesh.kinds.workloads import Pods
from proxy.mesh.model import Cluster, Listener, Snapshot
from proxy.mesh.reading.manifests import Manifest, Objects
from proxy.mesh.reading.report import Report, suggestion
from proxy.mesh.resolving import advice, routes
from proxy.mesh.resolving.binding import admitted, waypoint_of
from proxy.mesh.resolving.clusters import Clusters
from proxy.mesh.resolving.routes import Served
from proxy.mesh.resolving.rules import Rules


def resolve(objects: Objects, chosen: Manifest, report: Report) -> Snapshot:
    """The snapshot of the Gateway `chosen`, its warnings added to `report` only."""
    return _Resolver(objects, chosen, report).snapshot()


class _Resolver:
    def __init__(self, objects: Objects, chosen: Manifest, report: Report) -> None:
        self._objects = objects
        self._report = report
        self._gateway = gateways.read(chosen, objects.of("GatewayClass"))
        self._labels = {manifest.name: manifest.labels for manifest in objects.of("Namespace")}
        found = [services.read(manifest) for manifest in objects.of("Service")]
        self._services = sorted(found, key=lambda service: service.manifest.id)
        self._rules = [destination_rule.read(manifest) for manifest in objects.of("DestinationRule")]

    def snapshot(self) -> Snapshot:
        bound = self._bound()
        entries = WorkloadEntries(self._objects.of("WorkloadEntry"))
        builder = Clusters(
            self._gateway,
            Rules(self._rules, self._gateway.manifest.namespace),
            guards.read(self._objects.manifests),
            self._slices(),
            entries,
            self._report,
        )
        opened = [listener for listener in self._gateway.listeners if self._opens(listener)]
        clusters: dict[str, Cluster] = {}
        served: list[Served] = []
        for service in bound:
            protocols = {listener.protocol for listener in opened if self._serves(listener, service)}
            if protocols:
                by_port = builder.of(service, HBONE in protocols)
                clusters.update((cluster.name, cluster) for cluster in by_port.values())
                served.append(Served(service, by_port))
        advice.odd_rules(self._rules, self._services, self._report)
        advice.idle_entries(entries, self._services, self._report)
        advice.unserved_kinds(self._objects, self._report)
        if any(listener.protocol == HBONE for listener in opened):
            advice.unknown_pods(self._objects, clusters.values(), self._report)
        listeners = tuple(self._listener(listener, served) for listener in opened)
        return Snapshot(self._gateway.manifest.id, listeners, clusters)

    def _bound(self) -> list[Service]:
        """The Services that name this Gateway as their waypoint and may."""
        gateway = self._gateway
        bound = [each for each in self._services if waypoint_of(each, self._namespace(each)) == gateway.manifest.id]
        if not bound:
            text = (
                "no Service is bound to this Gateway: label a Service, or its Namespace, "
                f"istio.io/use-waypoint: {gateway.manifest.name}"
            )
            self._report.warn(gateway.manifest, (), text)
        return [service for service in bound if self._may(service)] if self._takes_traffic() else []

    def _takes_traffic(self) -> bool:
        """Whether there is anything that `istio.io/waypoint-for` lets through, with a warning for what it does not."""
        traffic, listeners = self._gateway.traffic, self._gateway.listeners
        text = ""
        if traffic not in gateways.TRAFFIC:
            known = ", ".join(gateways.TRAFFIC)
            text = f"must be one of {known}{suggestion(traffic, gateways.TRAFFIC)}, so nothing is served"
        elif traffic == "none":
            text = "none leaves everything out, so nothing is served"
        elif traffic == "workload" and any(listener.protocol == gateways.HTTP for listener in listeners):
            text = "workload leaves Services out, and HTTP listeners serve nothing else"
        if text:
            self._report.warn(self._gateway.manifest, ("metadata", "labels", WAYPOINT_FOR), text)
        return traffic in ("service", "all", "workload")

    def _may(self, service: Service) -> bool:
        if service.external:
            self._report.warn(service.manifest, ("spec", "type"), "ExternalName is not served by this version")
            return False
        if not any(self._admits(listener, service) for listener in self._gateway.listeners):
            text = f"AttachmentDenied: Gateway {self._gateway.manifest.id} does not allow routes from this namespace"
            self._report.warn(service.manifest, (), text)
            return False
        return True

    def _admits(self, listener: GatewayListener, service: Service) -> bool:
        return admitted(service, self._gateway, listener, self._namespace(service))

    def _serves(self, listener: GatewayListener, service: Service) -> bool:
        """Without Services (`waypoint-for: workload`) an HBONE listener still takes their endpoints' own addresses."""
        return self._admits(listener, service) and (listener.protocol == HBONE or self._gateway.serves_services)

    def _namespace(self, service: Service) -> dict[str, str]:
        return self._labels.get(service.manifest.namespace, {})

    def _opens(self, listener: GatewayListener) -> bool:
        gateway, where = self._gateway.manifest, ("spec", "listeners", listener.index)
        if listener.protocol not in gateways.SERVED:
            text = f"{listener.protocol} listeners are not built in this version; port {listener.port} is not opened"
            self._report.warn(gateway, (*where, "protocol"), text)
            return False
        if listener.hostname:
            text = "is not enforced by this version; Services are selected by their own names"
            self._report.warn(gateway, (*where, "hostname"), text)
        return True

    def _listener(self, listener: GatewayListener, served: list[Served]) -> Listener:
        mine = [each for each in served if self._serves(listener, each.service)]
        if listener.protocol != HBONE:
            mine = [each for each in (each.over_http() for each in mine) if each.clusters]
        table = self._table(listener, mine)
        for text in table.taken:
            self._report.warn(self._gateway.manifest, ("spec", "listeners", listener.index), f"host {text}")
        return Listener(listener.name, listener.port, listener.protocol, table.services())

    def _table(self, listener: GatewayListener, served: list[Served]) -> routes.Table:
        namespace = self._gateway.manifest.namespace
        if listener.protocol != HBONE:
            return routes.of_hosts(served, listener.port, namespace)
        return routes.of_authorities(served, namespace, self._gateway.serves_services)

    def _slices(self) -> list[slices.Slice]:
        pods = Pods(self._objects.of("Pod"))
        return [slices.read(manifest, pods) for manifest in self._objects.of("EndpointSlice")]
