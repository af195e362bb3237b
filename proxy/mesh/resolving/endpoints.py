"""Where the endpoints of a Service come from: EndpointSlices, the Pods behind them, WorkloadEntries.

Order is balancing order: slices by name, as written in each, then entries by name. Readiness is kube-proxy's: when no
endpoint of a port is ready, those that still serve while they terminate are used.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from proxy.mesh.kinds.services import Service, ServicePort
from proxy.mesh.kinds.slices import Member, Slice
from proxy.mesh.kinds.workload_entries import WorkloadEntry
from proxy.mesh.kinds.workloads import NO_LABELS, Labels, Pod, Workload
from proxy.mesh.model import Endpoint
from proxy.mesh.reading.index import Index

In = tuple[str, str]
"""A namespace and what is looked for in it."""


class Pods:
    """The Pods of all namespaces."""

    def __init__(self) -> None:
        self._by_name: dict[In, Pod] = {}
        self._by_ip: Index[In, Pod] = Index()

    def replace(self, namespace: str, old: Pod | None, new: Pod | None) -> None:
        """A Pod is another now, has come (`old` is None) or gone."""
        if old:
            del self._by_name[namespace, old.workload.name]
            for ip in old.ips:
                self._by_ip.drop((namespace, ip), old)
        if new:
            self._by_name[namespace, new.workload.name] = new
            for ip in new.ips:
                self._by_ip.add((namespace, ip), new)

    def behind(self, namespace: str, member: Member) -> Pod | None:
        """The Pod behind an endpoint, if it is among the manifests."""
        if pod := self._by_name.get((namespace, member.pod)):
            return pod
        same = self._by_ip.of((namespace, member.ip))
        return max(same, key=lambda pod: (pod.created, pod.workload.name)) if same else None

    def workload(self, namespace: str, member: Member) -> tuple[Workload, Labels]:
        """Who is behind an endpoint, and its labels: the Pod it names, else the one with its address (the newest, where
        several say so), else what the slice calls it."""
        pod = self.behind(namespace, member)
        if pod is None:
            return Workload(member.name), NO_LABELS
        known = pod.workload
        if member.name not in ("", known.name):
            known = replace(known, name=member.name)
        return known, pod.labels


class Slices:
    """All EndpointSlices."""

    def __init__(self) -> None:
        self._by_service: Index[In, Slice] = Index()
        self._by_pod: Index[In, str] = Index()
        self._by_ip: Index[In, str] = Index()

    def replace(self, namespace: str, old: Slice | None, new: Slice | None) -> None:
        """A slice is another now, has come (`old` is None) or gone."""
        if old:
            self._by_service.drop((namespace, old.service), old)
            for member in old.members:
                self._by_ip.drop((namespace, member.ip), old.service)
                if member.pod:
                    self._by_pod.drop((namespace, member.pod), old.service)
        if new:
            self._by_service.add((namespace, new.service), new)
            for member in new.members:
                self._by_ip.add((namespace, member.ip), new.service)
                if member.pod:
                    self._by_pod.add((namespace, member.pod), new.service)

    def of(self, service: Service) -> list[Slice]:
        """The slices of a Service, by name."""
        found = self._by_service.of((service.manifest.namespace, service.manifest.name))
        return sorted(found, key=lambda each: each.name)

    def services_of(self, namespace: str, pod: Pod) -> set[str]:
        """The names of the Services that may have the Pod as an endpoint."""
        found = set(self._by_pod.of((namespace, pod.workload.name)))
        return found.union(*(self._by_ip.of((namespace, ip)) for ip in pod.ips))


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


def endpoints(
    namespace: str, slices: Iterable[Slice], entries: Sequence[WorkloadEntry], port: ServicePort, pods: Pods
) -> tuple[Endpoint, ...]:
    """The endpoints of a Service port in balancing order; the same `ip:port` twice counts once."""
    return tuple(endpoint for endpoint, _ in labelled(namespace, slices, entries, port, pods))


def labelled(
    namespace: str, slices: Iterable[Slice], entries: Sequence[WorkloadEntry], port: ServicePort, pods: Pods
) -> Collection[tuple[Endpoint, Labels]]:
    """The same, each with the labels of its workload."""
    ready: dict[tuple[str, int], tuple[Endpoint, Labels]] = {}
    leaving: dict[tuple[str, int], tuple[Endpoint, Labels]] = {}
    for slice_ in slices:
        number = target(slice_, port)
        if number is None:
            continue
        for member in slice_.members:
            chosen = ready if member.ready else leaving if member.leaving else None
            if chosen is not None and (member.ip, number) not in chosen:
                workload, labels = pods.workload(namespace, member)
                chosen[member.ip, number] = (
                    Endpoint(member.ip, number, workload.name, workload.hbone, workload.identity, workload.profile),
                    labels,
                )
    for entry in entries:
        if entry.healthy and (endpoint := entry.endpoint(port)):
            ready.setdefault((endpoint.ip, endpoint.port), (endpoint, frozenset(entry.labels.items())))
    return (ready or leaving).values()


def target(slice_: Slice, port: ServicePort) -> int | None:
    """The number behind a Service port: the slice's port of the same name. None: the slice has none."""
    if port.name not in slice_.ports:
        return None
    number = slice_.ports[port.name]
    if number is None:
        return port.target if isinstance(port.target, int) else None
    return number
