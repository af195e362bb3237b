"""What selects which cluster: the Host on a plain HTTP listener, the authority of CONNECT on an HBONE listener.

A Service answers to its name in every form DNS gives it, and to its own IPs; a Host may leave out the port, an
authority may not. The tables are complete, so that the request path needs one look-up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from proxy.addresses import bracketed
from proxy.mesh.kinds.service_entries import Host
from proxy.mesh.kinds.services import Service
from proxy.mesh.model import Cluster, Routes
from proxy.mesh.reading.index import Index


@dataclass(frozen=True, slots=True)
class Claims:
    """What one Service asks of one listener.

    `names`: its clusters, each with the names that nobody else can have: they hold the Service's own. `addresses`: what
    others may claim too, each with the cluster. `other_port`: none of its ports is the listener's.
    """

    names: Routes
    addresses: tuple[tuple[str, str], ...]
    other_port: bool = False


def over_http(service: Service, clusters: Mapping[int, Cluster], port: int, namespace: str) -> Claims | None:
    """What a Service asks of an HTTP listener on `port`; None if nothing that plain HTTP can ask for is there."""
    spoken = {number: cluster.name for number, cluster in clusters.items() if cluster.protocol != "tcp"}
    if not spoken:
        return None
    # The cluster of a Host without a port.
    default = spoken.get(port) or next(iter(spoken.values()))

    def named(hosts: Iterable[str]) -> Iterator[tuple[str, str]]:
        for host in hosts:
            yield from _with_ports(host, spoken)
            yield host, default

    names = _by_cluster(spoken, named(_names(service, namespace)))
    return Claims(names, tuple(named(_addresses(service))), port not in spoken)


def over_hbone(service: Service, clusters: Mapping[int, Cluster], namespace: str, by_name: bool) -> Claims:
    """What a Service asks of an HBONE listener; without `by_name` only its endpoints' own addresses reach it."""
    spoken = {number: cluster.name for number, cluster in clusters.items()}
    if not by_name:
        return Claims(_by_cluster(spoken, ()), ())
    names = (pair for host in _names(service, namespace) for pair in _with_ports(host, spoken))
    addresses = (pair for host in _addresses(service) for pair in _with_ports(host, spoken))
    return Claims(_by_cluster(spoken, names), tuple(addresses))


class Table:
    """What one listener reaches, by Service as in `model.Listener`. Of several that claim an address one has it.

    `services` is never changed, but replaced: by one that holds the same objects for Services that have the same. It
    begins as that of an earlier table.
    """

    def __init__(self, before: Mapping[str, Routes]) -> None:
        self.services = before
        self._claims: dict[str, Claims] = {}
        self._claimants: Index[str, str] = Index()
        self._contested: set[str] = set()

    def replace(self, news: Mapping[str, Claims | None]) -> None:
        """What these Services ask for now, by "namespace/name"; None: nothing any more."""
        touched: set[str] = set()
        for service, claims in news.items():
            if claims != self._claims.get(service):
                touched.add(service)
                touched.update(self._withdraw(service))
                if claims:
                    touched.update(self._enter(service, claims))
        if touched or len(self.services) != len(self._claims):
            self._renew(touched)

    def taken(self) -> list[str]:
        """As text, who has claimed an address that somebody else has."""
        found = []
        for address in self._contested:
            owner, *others = sorted(self._claimants.of(address), key=self._rank)
            for service in others:
                mine = dict(self._claims[service].addresses)
                text = f"{address} selects {self._cluster(owner, address)}, not {mine[address]}"
                found.append((self._rank(service), list(mine).index(address), text))
        return [text for _, _, text in sorted(found)]

    def _enter(self, service: str, claims: Claims) -> Iterator[str]:
        self._claims[service] = claims
        for address, _ in claims.addresses:
            yield from self._claimants.of(address)
            if self._claimants.add(address, service) > 1:
                self._contested.add(address)

    def _withdraw(self, service: str) -> Iterator[str]:
        claims = self._claims.pop(service, None)
        for address, _ in claims.addresses if claims else ():
            if self._claimants.drop(address, service) < 2:
                self._contested.discard(address)
            yield from self._claimants.of(address)

    def _routes(self, service: str) -> Routes:
        claims = self._claims[service]
        lost = {
            address
            for address, _ in claims.addresses
            if address in self._contested and min(self._claimants.of(address), key=self._rank) != service
        }
        found = {cluster: list(names) for cluster, names in claims.names.items()}
        for address, cluster in claims.addresses:
            if address not in lost:
                found[cluster].append(address)
        return {cluster: tuple(names) for cluster, names in found.items()}

    def _renew(self, touched: Iterable[str]) -> None:
        before, routes = self.services, {}
        for service in touched:
            if service in self._claims:
                new = self._routes(service)
                routes[service] = before[service] if before.get(service) == new else new
        same = all(before.get(service) is routes.get(service) for service in touched)
        if not same or len(before) != len(self._claims):
            now = {service: each for service, each in before.items() if service in self._claims} | routes
            self.services = now if now.keys() <= before.keys() else dict(sorted(now.items()))

    def _rank(self, service: str) -> tuple[bool, str]:
        # For a shared IP without a port, the Service that has the listener's port is the one that is meant.
        return self._claims[service].other_port, service

    def _cluster(self, service: str, address: str) -> str:
        return dict(self._claims[service].addresses)[address]


def _names(service: Service, gateway_namespace: str) -> list[str]:
    """Every form of the Service's name without a port, lower case; the bare name only beside the Gateway. None of a
    ServiceEntry's host: others may have it too."""
    if isinstance(service, Host):
        return []
    name, namespace = service.manifest.name, service.manifest.namespace
    forms = [f"{name}.{namespace}", f"{name}.{namespace}.svc", service.host, f"{service.host}."]
    return [name, *forms] if namespace == gateway_namespace else forms


def _addresses(service: Service) -> list[str]:
    names = [service.host, f"{service.host}."] if isinstance(service, Host) and not service.is_wildcard else []
    return [*names, *map(bracketed, service.addresses)]


def _with_ports(host: str, clusters: Mapping[int, str]) -> Iterator[tuple[str, str]]:
    return ((f"{host}:{port}", cluster) for port, cluster in clusters.items())


def _by_cluster(clusters: Mapping[int, str], names: Iterable[tuple[str, str]]) -> Routes:
    found: dict[str, list[str]] = {cluster: [] for cluster in clusters.values()}
    for name, cluster in names:
        found[cluster].append(name)
    return {cluster: tuple(each) for cluster, each in found.items()}
