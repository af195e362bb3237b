"""VirtualServices, by whose requests they are for and by where they send them: Istio's getVirtualServiceForWaypoint."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from proxy.mesh.kinds.destination_rule import EVERYWHERE
from proxy.mesh.kinds.services import Service
from proxy.mesh.kinds.virtual_route import Destination
from proxy.mesh.kinds.virtual_service import Http, VirtualService
from proxy.mesh.reading.index import Index
from proxy.mesh.reading.remarks import Key
from proxy.mesh.resolving.rules import covers

_KIND = "VirtualService"
_NEVER = "~"  # behind every time: a draft is younger than what a cluster has


class VirtualIndex:
    """All of them. `namespace`: the Gateway's. `services`, and who of them is `called` so by an exact name, or by a
    wildcard that covers it, are the inventory's."""

    def __init__(
        self,
        namespace: str,
        services: Mapping[str, Service],
        called: Callable[[str], Iterable[str]],
    ) -> None:
        self.all: dict[Key, VirtualService] = {}
        self._namespace = namespace
        self._services = services
        self._called = called
        self._by_host: Index[str, VirtualService] = Index()
        self._wild: Index[str, VirtualService] = Index()
        """By a host with a star, of which there are few."""
        self._by_destination: Index[str, VirtualService] = Index()
        self._by_delegate: Index[Key, VirtualService] = Index()

    def replace(self, key: Key, old: VirtualService | None, new: VirtualService | None) -> set[str]:
        """One is another now, has come (`old` is None) or gone. The Services that this concerns: whose requests it is
        for, and where it sends them."""
        self.all.pop(key, None)
        if new:
            self.all[key] = new
        concerned: set[str] = set()
        for virtual, change in ((old, Index.drop), (new, Index.add)):
            if virtual:
                self._index(virtual, change)
                for root in (virtual, *self.roots(virtual)):
                    concerned |= {*self.fronts(root), *self._backends(root)}
        return concerned

    def find(self, namespace: str, name: str) -> VirtualService | None:
        """The one of that name."""
        return self.all.get(Key(_KIND, namespace, name))

    def naming(self, service: Service) -> list[VirtualService]:
        """Those with a host that is a Service's, wherever they stand, in the order of their rules: those that are for
        fewer namespaces first, then the oldest."""
        found = {each.manifest.key: each for each in self._naming(service.host)}
        return sorted(found.values(), key=_rank)

    def of(self, service: Service) -> list[VirtualService]:
        """Those that are for a Service's requests."""
        return [each for each in self.naming(service) if not self.unseen(each, service)]

    def unseen(self, virtual: VirtualService, service: Service) -> str:
        """Why one that names a Service is not for it, or ""."""
        near = dict.fromkeys((service.manifest.namespace, self._namespace))
        if virtual.manifest.namespace not in near:
            return f"waypoints take those of the namespaces {', '.join(near)} only (the Service's, their own)"
        return "" if virtual.visible_in(self._namespace) else "exportTo hides it from the namespace of the waypoint"

    def fronts(self, virtual: VirtualService) -> Iterator[str]:
        """The Services that its hosts name, as far as there are any."""
        for host in virtual.hosts if virtual.for_mesh else ():
            if "*" in host:
                yield from (id for id, each in self._services.items() if covers(host, each.host))
            else:
                yield from (id for id in self._called(host) if id in self._services)

    def sending_to(self, service: Service) -> Iterator[VirtualService]:
        """Those that may send requests there, they or their delegates."""
        for each in self._by_destination.of(service.host):
            yield from self.roots(each)

    def concerned_by(self, service: Service) -> Iterator[str]:
        """Services for which it makes a difference whether there is this one, and what it is."""
        for virtual in self.naming(service):
            yield from self._backends(virtual)
        yield from self.leading_to(service)

    def leading_to(self, service: Service) -> Iterator[str]:
        """The Services whose requests may be sent there."""
        for virtual in self.sending_to(service):
            yield from self.fronts(virtual)

    def roots(self, virtual: VirtualService) -> tuple[VirtualService, ...]:
        """Itself, or whose delegate it is."""
        return (virtual,) if virtual.hosts else self._by_delegate.of(virtual.manifest.key)

    def destinations(self, root: VirtualService) -> Iterator[Destination]:
        """Where it may send requests, and where its delegates may."""
        yield from _destinations(root)
        for key in {each for rule in root.http if (each := _delegate(root, rule))}:
            if found := self.all.get(key):
                yield from _destinations(found)

    def _backends(self, virtual: VirtualService) -> Iterator[str]:
        for host in {each.host for each in self.destinations(virtual)}:
            yield from self._called(host)

    def _naming(self, host: str) -> Iterator[VirtualService]:
        yield from self._by_host.of(host)
        for name in self._wild:
            if covers(name, host):
                yield from self._wild.of(name)
        if "*" in host:
            for name in self._by_host:
                if covers(host, name):
                    yield from self._by_host.of(name)

    def _index(self, virtual: VirtualService, change: Callable[..., int]) -> None:
        for host in virtual.hosts if virtual.for_mesh else ():
            change(self._wild if "*" in host else self._by_host, host, virtual)
        for host in {each.host for each in _destinations(virtual)}:
            change(self._by_destination, host, virtual)
        for key in {each for rule in virtual.http if (each := _delegate(virtual, rule))}:
            change(self._by_delegate, key, virtual)


def _rank(virtual: VirtualService) -> tuple[int, str, str, str]:
    manifest = virtual.manifest
    wide = 2 if EVERYWHERE in virtual.export_to else int(virtual.export_to != {manifest.namespace})
    return wide, manifest.created or _NEVER, manifest.name, manifest.namespace


def _destinations(virtual: VirtualService) -> Iterator[Destination]:
    for rule in virtual.http:
        yield from (each.destination for each in rule.route or ())
        yield from (each.destination for each in rule.mirrors or ())
        if rule.mirror:
            yield rule.mirror
    for bytes_rule in virtual.tcp:
        yield from (each.destination for each in bytes_rule.route)


def _delegate(virtual: VirtualService, rule: Http) -> Key | None:
    given = rule.delegate
    return Key(_KIND, given.namespace or virtual.manifest.namespace, given.name) if given else None
