"""Where the endpoints of a Service come from: EndpointSlices, the Pods behind them, WorkloadEntries.

Order is balancing order: slices by name, as written in each, then entries by name. Readiness is kube-proxy's: when no
endpoint of a port is ready, those that still serve while they terminate are used.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from proxy.mesh.kinds.services import Service, ServicePort
from proxy.mesh.kinds.slices import Member, Slice
from proxy.mesh.kinds.workload_entries import WorkloadEntry
from proxy.mesh.kinds.workloads import NO_LABELS, Labels, Pod, Workload
from proxy.mesh.model import Endpoint, Locality
from proxy.mesh.reading.index import Index
from proxy.mesh.resolving.here import locality_of

In = tuple[str, str]
"""A namespace and what is looked for in it."""


class Labelled(NamedTuple):
    """An endpoint with the labels of its workload, and the Node that it runs on."""

    endpoint: Endpoint
    labels: Labels
    node: str


class Pods:
    """The Pods of all namespaces."""

    def __init__(self, nodes: Mapping[str, Locality]) -> None:
        self._nodes = nodes
        self._by_name: dict[str, dict[str, Pod]] = {}
        """By namespace, then by name."""
        self._by_ip: Index[In, Pod] = Index()
        self._by_node: Index[str, In] = Index()

    def replace(self, namespace: str, old: Pod | None, new: Pod | None) -> None:
        """A Pod is another now, has come (`old` is None) or gone."""
        if old:
            del self._by_name[namespace][old.workload.name]
            self._by_node.drop(old.node, (namespace, old.workload.name))
            for ip in old.ips:
                self._by_ip.drop((namespace, ip), old)
        if new:
            self._by_name.setdefault(namespace, {})[new.workload.name] = new
            self._by_node.add(new.node, (namespace, new.workload.name))
            for ip in new.ips:
                self._by_ip.add((namespace, ip), new)

    def behind(self, namespace: str, member: Member) -> Pod | None:
        """The Pod behind an endpoint, if it is among the manifests."""
        known = self._by_name.get(namespace)
        if known and (pod := known.get(member.pod)):
            return pod
        return self.at(namespace, member.ip)

    def at(self, namespace: str, ip: str) -> Pod | None:
        """The Pod with that address; the newest, where several say so."""
        same = self._by_ip.of((namespace, ip))
        return max(same, key=lambda pod: (pod.created, pod.workload.name)) if same else None

    def called(self, namespace: str, name: str) -> Pod | None:
        """The Pod of that name."""
        return self._by_name.get(namespace, {}).get(name)

    def on(self, node: str) -> Iterator[tuple[str, Pod]]:
        """The Pods on a Node, each with its namespace."""
        return ((namespace, self._by_name[namespace][name]) for namespace, name in self._by_node.of(node))

    def selected_by(self, service: Service) -> list[Pod]:
        """Those with an address that a Service selects, by name: each of its namespace is looked at."""
        namespace = service.manifest.namespace
        found = (
            each
            for each in self._by_name.get(namespace, {}).values()
            if each.ips and service.selects(namespace, each.labels)
        )
        return sorted(found, key=lambda pod: pod.workload.name)

    def locality(self, pod: Pod) -> Locality:
        """Where a Pod runs, as far as it or its Node says."""
        return locality_of(pod.labels, pod.node, "", self._nodes)

    def endpoint(self, namespace: str, member: Member, port: int) -> Labelled:
        """An endpoint with who is behind it: the Pod it names, else the one with its address, else what the slice calls
        it."""
        pod = self.behind(namespace, member)
        if pod is None:
            known, labels, node, since = Workload(member.name), NO_LABELS, member.node, 0
        else:
            known, labels, node, since = pod.workload, pod.labels, member.node or pod.node, pod.ready_since_ms
        name = member.name or known.name
        where = locality_of(labels, node, member.zone, self._nodes)
        who = (name, known.hbone, known.identity, known.profile)
        return Labelled(Endpoint(member.ip, port, *who, locality=where, joined_ms=since), labels, node)


class Slices:
    """All EndpointSlices."""

    def __init__(self) -> None:
        self._by_service: Index[In, Slice] = Index()
        self._by_pod: Index[In, str] = Index()
        self._by_ip: dict[str, Index[str, str]] = {}
        """By namespace, and there by address."""
        self._by_node: Index[str, str] = Index()

    def replace(self, namespace: str, old: Slice | None, new: Slice | None) -> None:
        """A slice is another now, has come (`old` is None) or gone."""
        if old:
            self._by_service.drop((namespace, old.service), old)
            for node in {member.node for member in old.members if member.node}:
                self._by_node.drop(node, f"{namespace}/{old.service}")
            for member in old.members:
                self._by_ip[namespace].drop(member.ip, old.service)
                if member.pod:
                    self._by_pod.drop((namespace, member.pod), old.service)
        if new:
            self._by_service.add((namespace, new.service), new)
            for node in {member.node for member in new.members if member.node}:
                self._by_node.add(node, f"{namespace}/{new.service}")
            for member in new.members:
                self._by_ip.setdefault(namespace, Index()).add(member.ip, new.service)
                if member.pod:
                    self._by_pod.add((namespace, member.pod), new.service)

    def of(self, service: Service) -> list[Slice]:
        """The slices of a Service, by name."""
        found = self._by_service.of((service.manifest.namespace, service.manifest.name))
        return sorted(found, key=lambda each: each.name)

    def on(self, node: str) -> Iterable[str]:
        """The Services, as "namespace/name", that have endpoints on a Node."""
        return self._by_node.of(node)

    def services_of(self, namespace: str, pod: Pod) -> set[str]:
        """The names of the Services that may have the Pod as an endpoint."""
        found = set(self._by_pod.of((namespace, pod.workload.name)))
        there = self._by_ip.get(namespace, Index[str, str]())
        return found.union(*map(there.of, pod.ips))


class Entries:
    """All WorkloadEntries, with an index: of thousands a Service selects a few."""

    def __init__(self) -> None:
        self._by_label: Index[tuple[str, str, str], WorkloadEntry] = Index()

    def replace(self, old: WorkloadEntry | None, new: WorkloadEntry | None) -> None:
        """An entry is another now, has come (`old` is None) or gone."""
        for entry, change in ((old, self._by_label.drop), (new, self._by_label.add)):
            for label in entry.labels.items() if entry else ():
                assert entry
                change((entry.manifest.namespace, *label), entry)

    def of(self, service: Service) -> list[WorkloadEntry]:
        """The entries that a Service selects, by name."""
        for label in service.selector.items():
            likely = self._by_label.of((service.manifest.namespace, *label))
            return sorted((each for each in likely if each.selected_by(service)), key=lambda each: each.manifest.name)
        return []


def labelled(
    namespace: str, slices: Iterable[Slice], entries: Sequence[WorkloadEntry], port: ServicePort, pods: Pods
) -> Collection[Labelled]:
    """The endpoints of a Service port in balancing order; the same `ip:port` twice counts once."""
    ready: dict[tuple[str, int], Labelled] = {}
    leaving: dict[tuple[str, int], Labelled] = {}
    for slice_ in slices:
        number = target(slice_, port)
        if number is None:
            continue
        for member in slice_.members:
            chosen = ready if member.ready else leaving if member.leaving else None
            if chosen is not None and (member.ip, number) not in chosen:
                chosen[member.ip, number] = pods.endpoint(namespace, member, number)
    for entry in entries:
        if entry.healthy and (endpoint := entry.endpoint(port)):
            labels = frozenset(entry.labels.items())
            ready.setdefault((endpoint.ip, endpoint.port), Labelled(endpoint, labels, ""))
    return (ready or leaving).values()


def target(slice_: Slice, port: ServicePort) -> int | None:
    """The number behind a Service port: the slice's port of the same name. None: the slice has none."""
    if port.name not in slice_.ports:
        return None
    number = slice_.ports[port.name]
    if number is None:
        return port.target if isinstance(port.target, int) else None
    return number
