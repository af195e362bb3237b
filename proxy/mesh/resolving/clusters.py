"""One cluster out of a Service port: its endpoints, the rule in force, and whether it is closed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from proxy.mesh.kinds.destination_rule import DestinationRule
from proxy.mesh.kinds.protocol import Speaks
from proxy.mesh.kinds.services import Service, ServicePort
from proxy.mesh.kinds.slices import Slice
from proxy.mesh.kinds.workload_entries import WorkloadEntry
from proxy.mesh.kinds.workloads import DATAPLANE, REDIRECTION
from proxy.mesh.model import Cluster, Endpoint
from proxy.mesh.reading.lines import Path
from proxy.mesh.reading.report import Report
from proxy.mesh.resolving.endpoints import Pods, endpoints, target
from proxy.mesh.resolving.inventory import Inventory

_LIVE = "kubectl get service,endpointslice,pod -o yaml"


@dataclass(frozen=True, slots=True)
class _Members:
    """Where the endpoints of a Service come from, in balancing order."""

    namespace: str
    slices: Sequence[Slice]
    entries: Sequence[WorkloadEntry]
    pods: Pods

    def endpoints(self, port: ServicePort) -> tuple[Endpoint, ...]:
        return endpoints(self.namespace, self.slices, self.entries, port, self.pods)

    def count(self, port: ServicePort) -> int:
        """How many there are, ready or not."""
        in_slices = sum(len(each.members) for each in self.slices if target(each, port) is not None)
        return in_slices + sum(each.endpoint(port) is not None for each in self.entries)


class Clusters:
    """Builds the clusters of one Service, and reports what a user should know about each."""

    def __init__(self, inventory: Inventory, report: Report) -> None:
        self._inventory = inventory
        self._report = report

    def of(self, service: Service, tunnelled: bool) -> dict[int, Cluster]:
        """The clusters of a Service by port number, in the Service's order.

        `tunnelled`: it is served by an HBONE listener, which takes TCP ports too.
        """
        rule = self._inventory.rules.select(service.host, service.manifest.namespace)
        closed = self._closed(service)
        members = self._members(service)
        if tunnelled:
            self._check_pods(service, members)
            if service.unaddressed and self._inventory.gateway.serves_services:
                text = "has no clusterIP, the address by which a ztunnel asks for it: such requests get 404"
                self._warn(service, ("spec", "clusterIP"), f"{text}; give live objects: {_LIVE}", together=True)
        found = {}
        for port in service.ports:
            if self._served(service, port, tunnelled):
                found[port.number] = self._cluster(service, port, members, rule, closed)
        if rule and "*" not in rule.host:
            self._check_rule_ports(service, rule)
        if not found:
            text = "has no TCP port" if tunnelled else "has no HTTP port, and HTTP listeners serve no other"
            self._warn(service, ("spec", "ports"), f"{text}, so it is not served")
        return found

    def _members(self, service: Service) -> _Members:
        inventory = self._inventory
        slices, entries = inventory.slices.of(service), inventory.entries.of(service)
        if not slices and not entries:
            legacy = " (Endpoints are not read)" if service.manifest.id in inventory.legacy_endpoints else ""
            text = f"has no EndpointSlice{legacy}, so it has no endpoints; give live objects: {_LIVE}"
            self._warn(service, (), text, together=True)
        elif not entries and not any(each.members for each in slices):
            self._warn(service, (), "has no endpoints: there are none in its EndpointSlices", together=True)
        return _Members(service.manifest.namespace, slices, entries, inventory.pods)

    def _check_pods(self, service: Service, members: _Members) -> None:
        """Say which endpoints look as if they were in the mesh and are reached past it."""
        captured = self._inventory.labels_of(service.manifest.namespace).get(DATAPLANE) == "ambient"
        unknown, forgotten = [], []
        for member in (member for each in members.slices for member in each.members):
            pod = members.pods.behind(members.namespace, member)
            if pod is None and (member.pod or captured):
                unknown.append(member.pod or member.ip)
            elif pod and pod.forgotten:
                forgotten.append(pod.workload.name)
        clear = "so they are reached in plain TCP and not over HBONE"
        if unknown:
            text = f"its Pods are not among the manifests ({_named(unknown)}), {clear}; give live objects: {_LIVE}"
            self._warn(service, (), text)
        if forgotten:
            text = f"its Pods are labelled {DATAPLANE}: ambient and lack the annotation {REDIRECTION}: enabled"
            self._warn(service, (), f"{text} ({_named(forgotten)}), {clear}; give live objects: {_LIVE}")

    def _cluster(
        self, service: Service, port: ServicePort, members: _Members, rule: DestinationRule | None, closed: str
    ) -> Cluster:
        self._check_port(service, port, members)
        cluster = Cluster(
            name=f"{service.manifest.id}:{port.number}",
            envoy_name=f"inbound-vip|{port.number}|{'http' if port.http else 'tcp'}|{service.host}",
            authority=f"{service.host}:{port.number}",
            endpoints=members.endpoints(port),
            closed=closed,
            protocol=port.speaks.value,
        )
        return cluster if rule is None else self._governed(cluster, rule, port.number)

    def _check_port(self, service: Service, port: ServicePort, members: _Members) -> None:
        """Say why a port has fewer endpoints than it looks."""
        for entry in members.entries:
            if entry.endpoint(port) is None:
                text = f'has no port "{port.target}", so it is no endpoint of {service.manifest.id}:{port.number}'
                self._report.warn(entry.manifest, ("spec", "ports"), text)
        if members.slices and all(target(each, port) is None for each in members.slices):
            text = f'no EndpointSlice of it has a port named "{port.name}"'
            text += "" if members.entries else ", so the port has no endpoints"
            self._warn(service, ("spec", "ports", port.index, "name"), text)
        elif (total := members.count(port)) and not members.endpoints(port):
            text = f"has no endpoints: {_counted(total)} found, none of them ready"
            self._warn(service, ("spec", "ports", port.index), text, together=True)

    def _check_rule_ports(self, service: Service, rule: DestinationRule) -> None:
        numbers = [port.number for port in service.ports]
        for number, policy in rule.ports.items():
            if number not in numbers:
                known = ", ".join(map(str, numbers)) or "none"
                text = f"Service {service.manifest.id} has no port {number}, so this does nothing; it has {known}"
                self._report.warn(rule.manifest, (*policy.path, "port", "number"), text)

    def _governed(self, cluster: Cluster, rule: DestinationRule, port: int) -> Cluster:
        policy = rule.policy_for(port)
        share = policy.outlier.max_ejection_percent if policy.outlier else 100
        size = len(cluster.endpoints)
        if size and share * size < 100:
            text = (
                f"never ejects: {share} % of {_counted(size)} of {cluster.name} is 0; "
                f"set maxEjectionPercent to at least {-(-100 // size)}"
            )
            self._report.warn(rule.manifest, (*policy.path, "outlierDetection", "maxEjectionPercent"), text)
        if policy.mesh_tls and (clear := [each.address for each in cluster.endpoints if not each.hbone]):
            text = f"ISTIO_MUTUAL is done over HBONE only: endpoints of {cluster.name} are reached without TLS"
            self._report.warn(rule.manifest, (*policy.path, "tls"), f"{text} ({_named(clear)})")
        return replace(
            cluster,
            connect_timeout_ms=policy.connect_timeout_ms,
            abandoned_ms=rule.abandoned_ms,
            outlier=policy.outlier,
            destination_rule=rule.manifest.id,
        )

    def _served(self, service: Service, port: ServicePort, tunnelled: bool) -> bool:
        if port.speaks is Speaks.TCP and not tunnelled:
            text = f"port {port.number} is declared TCP; an HTTP listener does not serve it"
            self._warn(service, ("spec", "ports", port.index), text)
            return False
        return port.speaks is not Speaks.UDP

    def _closed(self, service: Service) -> str:
        guards = self._inventory.guards.of(service)
        for guard in guards:
            text = f"is not enforced by this version; Service {service.manifest.id} is closed (403) until it is"
            self._report.warn(guard.manifest, ("spec",), text)
        return guards[0].reason if guards else ""

    def _warn(self, service: Service, path: Path, text: str, together: bool = False) -> None:
        self._report.warn(service.manifest, path, text, together)


def _named(names: Sequence[str]) -> str:
    """The first of them, each once."""
    first, *more = dict.fromkeys(names)
    return f"{first} and {len(more)} more" if more else first


def _counted(size: int) -> str:
    return "1 endpoint" if size == 1 else f"{size} endpoints"
