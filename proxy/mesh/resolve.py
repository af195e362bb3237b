"""From valid objects to the snapshot of one Gateway: who is served, where, by which endpoints, under which rule.

Pure. The objects have passed their checks, so nothing here can be wrong any more; what is merely odd becomes a warning.
"""

from __future__ import annotations

from proxy.mesh import destination_rule, gateways, guards, services, slices
from proxy.mesh.binding import admitted, waypoint_of
from proxy.mesh.clusters import Clusters
from proxy.mesh.destination_rule import CLUSTER_DOMAIN, DestinationRule
from proxy.mesh.gateways import GatewayListener
from proxy.mesh.manifests import Manifest, Objects
from proxy.mesh.model import Cluster, Listener, Snapshot
from proxy.mesh.report import Report
from proxy.mesh.routes import Served, routes
from proxy.mesh.rules import Rules
from proxy.mesh.services import Service


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
        builder = Clusters(
            self._gateway,
            Rules(self._rules, self._gateway.manifest.namespace),
            guards.read(self._objects.manifests),
            self._slices(),
            self._report,
        )
        opened = [listener for listener in self._gateway.listeners if self._opens(listener)]
        clusters: dict[str, Cluster] = {}
        served: dict[str, Served] = {}
        for service in bound:
            if any(self._admits(listener, service) for listener in opened):
                by_port = builder.of(service)
                clusters.update((cluster.name, cluster) for cluster in by_port.values())
                served[service.manifest.id] = Served(service, {port: each.name for port, each in by_port.items()})
        self._warn_of_odd_rules()
        self._warn_of_unserved_kinds()
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
        elif not gateway.serves_services:
            self._report.warn(gateway.manifest, ("metadata", "labels"), "istio.io/waypoint-for leaves Services out")
            return []
        return [service for service in bound if self._may(service)]

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

    def _namespace(self, service: Service) -> dict[str, str]:
        return self._labels.get(service.manifest.namespace, {})

    def _opens(self, listener: GatewayListener) -> bool:
        gateway, where = self._gateway.manifest, ("spec", "listeners", listener.index)
        if listener.protocol != gateways.HTTP:
            text = f"{listener.protocol} listeners are not built in this version; port {listener.port} is not opened"
            self._report.warn(gateway, (*where, "protocol"), text)
            return False
        if listener.hostname:
            text = "is not enforced by this version; Services are selected by their own names"
            self._report.warn(gateway, (*where, "hostname"), text)
        return True

    def _listener(self, listener: GatewayListener, served: dict[str, Served]) -> Listener:
        mine = [each for each in served.values() if each.clusters and self._admits(listener, each.service)]
        table, taken = routes(mine, listener.port, self._gateway.manifest.namespace)
        for text in taken:
            self._report.warn(self._gateway.manifest, ("spec", "listeners", listener.index), f"host {text}")
        return Listener(listener.name, listener.port, listener.protocol, table)

    def _slices(self) -> list[slices.Slice]:
        pods: dict[str, dict[str, str]] = {}
        for pod in self._objects.of("Pod"):
            status = pod.body.get("status")
            ip = status.get("podIP") if isinstance(status, dict) else None
            if isinstance(ip, str):
                pods.setdefault(pod.namespace, {})[ip] = pod.name
        manifests = self._objects.of("EndpointSlice")
        return [slices.read(manifest, pods.get(manifest.namespace, {})) for manifest in manifests]

    def _warn_of_odd_rules(self) -> None:
        hosts = {service.host for service in self._services}
        for rule in self._rules:
            if text := _odd(rule, hosts):
                self._report.warn(rule.manifest, ("spec", "host"), text)

    def _warn_of_unserved_kinds(self) -> None:
        for kind in ("ServiceEntry", "WorkloadEntry"):
            found = self._objects.of(kind)
            if found:
                self._report.warn(found[0], (), f"is not served by this version (nor are {len(found) - 1} others)")


def _odd(rule: DestinationRule, hosts: set[str]) -> str:
    """Why a rule applies to no Service, if it looks as if it was meant to."""
    if rule.host in hosts or "*" in rule.host:
        return ""
    if rule.host.endswith(f".{CLUSTER_DOMAIN}"):
        return f"{rule.host} names no Service, so the rule does nothing"
    full = f"{rule.host.removesuffix('.svc')}.{CLUSTER_DOMAIN}"
    if full in hosts:
        return f"a host with a dot in it is not completed, so the rule does nothing; write {full}"
    return ""
