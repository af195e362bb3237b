"""One cluster out of a Service port, or out of a subset there: its endpoints, its policy, and whether it is closed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from proxy.mesh.kinds.protocol import Speaks
from proxy.mesh.kinds.service_entries import Host
from proxy.mesh.kinds.services import Service, ServicePort
from proxy.mesh.kinds.slices import Slice
from proxy.mesh.kinds.workload_entries import WorkloadEntry
from proxy.mesh.kinds.workloads import DATAPLANE, REDIRECTION, Labels
from proxy.mesh.model import Cluster
from proxy.mesh.reading.lines import Path
from proxy.mesh.reading.report import Report
from proxy.mesh.resolving import governed, hosts
from proxy.mesh.resolving.endpoints import Labelled, Pods, labelled, target
from proxy.mesh.resolving.inventory import Inventory
from proxy.mesh.resolving.localities import spread
from proxy.mesh.resolving.policies import Governing
from proxy.mesh.traffic.access import AccessPolicy
from proxy.mesh.traffic.policy import UNGOVERNED
from proxy.mesh.traffic.tokens import JwtRule

_LIVE = "kubectl get service,endpointslice,pod -o yaml"


@dataclass(frozen=True, slots=True)
class _Members:
    """Where the endpoints of a Service come from, in balancing order."""

    namespace: str
    slices: Sequence[Slice]
    entries: Sequence[WorkloadEntry]
    pods: Pods

    def labelled(self, port: ServicePort) -> Sequence[Labelled]:
        return tuple(labelled(self.namespace, self.slices, self.entries, port, self.pods))

    def labels(self) -> Iterator[Labels]:
        """Those of each, ready or not, as far as they are known."""
        for member in (member for each in self.slices for member in each.members):
            if pod := self.pods.behind(self.namespace, member):
                yield pod.labels
        yield from (frozenset(each.labels.items()) for each in self.entries)

    def count(self, port: ServicePort) -> int:
        """How many there are, ready or not."""
        in_slices = sum(len(each.members) for each in self.slices if target(each, port) is not None)
        return in_slices + sum(each.endpoint(port) is not None for each in self.entries)


class _Guarded(NamedTuple):
    """Why a Service is closed, or "", the policies that decide who gets in, what tokens are verified by, and policies
    that only tell."""

    closed: str
    access: tuple[AccessPolicy, ...]
    tokens: tuple[JwtRule, ...] = ()
    shadows: tuple[AccessPolicy, ...] = ()


class Clusters:
    """Builds the clusters of one Service, and reports what a user should know about each."""

    def __init__(self, inventory: Inventory, report: Report) -> None:
        self._inventory = inventory
        self._report = report

    def of(self, service: Service, tunnelled: bool, led_to: bool = False) -> dict[int, Cluster]:
        """The clusters of a Service by port number, in the Service's order.

        `tunnelled`: it is served by an HBONE listener, which takes TCP ports too. So may routes, if any is
        `led_to` it: one that is in force sends requests there.
        """
        governing = self._inventory.rules.select(service.host, service.manifest.namespace)
        guarded = self._guarded(service)
        members = _members(self._inventory, service)
        self._check_members(service, members)
        if tunnelled:
            self._check_pods(service, members)
            if self._inventory.gateway.serves_services:
                self._check_address(service)
        names = hosts.names(service, self._inventory) if isinstance(service, Host) else ()
        found = {}
        for port in service.ports:
            if self._served(service, port, tunnelled or led_to):
                labelled = members.labelled(port)
                self._check_port(service, port, members, len(labelled))
                cluster = _cluster(self._inventory, service, port, labelled, governing, guarded)
                found[port.number] = replace(cluster, names=names) if names else cluster
        if governing:
            here = self._inventory.here.locality
            governed.advise(governing, service, tuple(found.values()), members.labels(), here, self._report)
        if not found:
            text = "has no TCP port" if tunnelled or led_to else "has no HTTP port, and HTTP listeners serve no other"
            self._warn(service, ("spec", "ports"), f"{text}, so it is not served")
        return found

    def _check_members(self, service: Service, members: _Members) -> None:
        """Say why it has no endpoints."""
        if isinstance(service, Host):
            if text := hosts.empty(service, self._inventory):
                self._warn(service, ("spec",), text)
        elif not members.slices and not members.entries:
            legacy = " (Endpoints are not read)" if service.id in self._inventory.legacy_endpoints else ""
            text = f"has no EndpointSlice{legacy}, so it has no endpoints; give live objects: {_LIVE}"
            self._warn(service, (), text, together=True)
        elif not members.entries and not any(each.members for each in members.slices):
            self._warn(service, (), "has no endpoints: there are none in its EndpointSlices", together=True)

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
            text = (
                f"its Pods are not among the manifests ({governed.named(unknown)}), {clear}; give live objects: {_LIVE}"
            )
            self._warn(service, (), text)
        if forgotten:
            text = f"its Pods are labelled {DATAPLANE}: ambient and lack the annotation {REDIRECTION}: enabled"
            self._warn(service, (), f"{text} ({governed.named(forgotten)}), {clear}; give live objects: {_LIVE}")

    def _check_address(self, service: Service) -> None:
        """Say that ztunnels cannot ask for it."""
        if isinstance(service, Host):
            if text := hosts.unaddressed(service):
                self._warn(service, ("spec", "hosts", service.index), f"{text}: such requests get 404", together=True)
        elif service.unaddressed:
            text = "has no clusterIP, the address by which a ztunnel asks for it: such requests get 404"
            self._warn(service, ("spec", "clusterIP"), f"{text}; give live objects: {_LIVE}", together=True)

    def _check_port(self, service: Service, port: ServicePort, members: _Members, ready: int) -> None:
        """Say why a port has fewer endpoints than it looks: so many are `ready`."""
        for entry in members.entries:
            if entry.endpoint(port) is None:
                text = f'has no port "{port.target}", so it is no endpoint of {service.id}:{port.number}'
                self._report.warn(entry.manifest, ("spec", "ports"), text)
        if members.slices and all(target(each, port) is None for each in members.slices):
            text = f'no EndpointSlice of it has a port named "{port.name}"'
            text += "" if members.entries else ", so the port has no endpoints"
            self._warn(service, ("spec", "ports", port.index, "name"), text)
        elif (total := members.count(port)) and not ready:
            text = f"has no endpoints: {governed.counted(total)} found, none of them ready"
            self._warn(service, ("spec", "ports", port.index), text, together=True)

    def _served(self, service: Service, port: ServicePort, tunnelled: bool) -> bool:
        if port.speaks is Speaks.TCP and not tunnelled:
            text = f"port {port.number} is declared TCP; an HTTP listener does not serve it"
            self._warn(service, ("spec", "ports", port.index), text)
            return False
        return port.speaks is not Speaks.UDP

    def _guarded(self, service: Service) -> _Guarded:
        guards = self._inventory.guards.of(service)
        closing = [guard for guard in guards if guard.closes]
        for guard in closing:
            text = f"is not enforced by this version; {service.manifest.kind} {service.id} is closed (403) until it is"
            self._report.warn(guard.manifest, ("spec",), text)
        access = [guard.access for guard in guards if guard.access is not None and not guard.closes]
        tokens = sorted((rule for guard in guards for rule in guard.tokens), key=lambda rule: rule.issuer)
        return _Guarded(
            closing[0].reason if closing else "",
            tuple(each for each in access if each.decides),
            tuple(tokens),
            tuple(each for each in access if not each.decides),
        )

    def _warn(self, service: Service, path: Path, text: str, together: bool = False) -> None:
        self._report.warn(service.manifest, path, text, together)


def _members(inventory: Inventory, service: Service) -> _Members:
    slices, entries = inventory.slices.of(service), inventory.entries.of(service)
    if isinstance(service, Host):
        slices, entries = [], hosts.members(service, inventory)
    return _Members(service.manifest.namespace, slices, entries, inventory.pods)


def frontend(inventory: Inventory, service: Service, host: str, report: Report) -> Cluster:
    """The cluster of a host that has no endpoints of its own, behind the policies that guard a Service."""
    return _cluster(inventory, service, service.ports[0], (), None, Clusters(inventory, report)._guarded(service), host)


def subset(inventory: Inventory, service: Service, port: ServicePort, governing: Governing, name: str) -> Cluster:
    """The cluster of a subset, which nothing has before something routes to it. Its state is apart from the whole's."""
    part = governing.subsets[name].subset
    members = _members(inventory, service).labelled(port)
    chosen = tuple(each for each in members if frozenset(part.labels) <= each.labels)
    return _cluster(inventory, service, port, chosen, governing, _Guarded("", ()), name)


def _cluster(
    inventory: Inventory,
    service: Service,
    port: ServicePort,
    members: Sequence[Labelled],
    governing: Governing | None,
    guarded: _Guarded,
    subset: str = "",
) -> Cluster:
    suffix = f"/{subset}" if subset else ""
    policy = governing.policy(port.number, subset) if governing else UNGOVERNED
    if isinstance(service, Host):
        policy = hosts.verified(service, policy)
    chosen, groups = spread(members, policy, inventory.here, inventory.distribution_of(service))
    return Cluster(
        name=f"{service.id}:{port.number}{suffix}",
        envoy_name=f"inbound-vip|{port.number}|{'http' if port.http else 'tcp'}{suffix}|{service.host}",
        authority=f"{service.host}:{port.number}",
        endpoints=chosen,
        policy=policy,
        closed=guarded.closed,
        protocol=port.speaks.value,
        spread=groups,
        access=guarded.access,
        shadows=guarded.shadows,
        tokens=guarded.tokens if port.speaks is not Speaks.TCP else (),
        rate_limits=service.rate_limits if port.http else (),
    )
