"""Hosts of ServiceEntries, by what they have to do with other objects, and who has a name that several claim."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from proxy.mesh.kinds.addresses import CLUSTER_DOMAIN
from proxy.mesh.kinds.service_entries import Host
from proxy.mesh.kinds.services import Service
from proxy.mesh.kinds.workloads import Pod
from proxy.mesh.reading.index import Index
from proxy.mesh.resolving.rules import covers

_Change = Callable[[Index[Any, Any], Any, Any], int]


class HostIndex:
    """All of them. `namespace`: the Gateway's, where bare names are those of its Services."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._by_name: Index[str, Host] = Index()
        self._by_shadow: Index[str, Host] = Index()
        self._selecting: Index[str, Host] = Index()
        """By namespace, those that select."""
        self._by_ip: Index[tuple[str, str], Host] = Index()
        self._wild: Index[str, Host] = Index()
        """By name, wildcards."""
        self._claimants: Index[str, Service] = Index()

    def claim(self, id: str, old: Service | None, new: Service | None) -> Service | None:
        """One that is called so is another now, has come or gone. Who has the name then: of some ServiceEntries the
        oldest, and a Service before any of them."""
        if old:
            self._claimants.drop(id, old)
        if new:
            self._claimants.add(id, new)
        return min(self._claimants.of(id), key=_rank, default=None)

    def add(self, host: Host) -> None:
        """One more."""
        self._index(host, Index.add)

    def drop(self, host: Host) -> None:
        """One less."""
        self._index(host, Index.drop)

    def called(self, name: str) -> tuple[Host, ...]:
        """Those with that name, one of each namespace or several."""
        return self._by_name.of(name)

    def covering(self, name: str) -> Iterator[Host]:
        """Those whose name is a wildcard for it."""
        for wildcard in self._wild:
            if covers(wildcard, name):
                yield from self._wild.of(wildcard)

    def shadowed_by(self, service: str) -> tuple[Host, ...]:
        """Those whose name is one of a Service's ("namespace/name")."""
        return self._by_shadow.of(service)

    def meant(self, host: Host) -> str:
        """The Service ("namespace/name") that would have a host's name as one of its own."""
        short = host.full_name.removesuffix(f".{CLUSTER_DOMAIN}").removesuffix(".svc")
        name, _, namespace = short.partition(".")
        return f"{namespace or self._namespace}/{name}"

    def of_pod(self, namespace: str, pod: Pod) -> Iterator[Host]:
        """Those that may have a Pod as an endpoint."""
        yield from (each for each in self._selecting.of(namespace) if each.selects(namespace, pod.labels))
        for ip in pod.ips:
            yield from self._by_ip.of((namespace, ip))

    def _index(self, host: Host, change: _Change) -> None:
        namespace = host.manifest.namespace
        change(self._by_name, host.full_name, host)
        if host.is_wildcard:
            change(self._wild, host.full_name, host)
        change(self._by_shadow, self.meant(host), host)
        for ip in {each.ip for each in host.endpoints or () if each.ip}:
            change(self._by_ip, (namespace, ip), host)
        if host.selecting:
            change(self._selecting, namespace, host)


def _rank(service: Service) -> tuple[bool, str, str]:
    return isinstance(service, Host), service.manifest.created, service.manifest.name
