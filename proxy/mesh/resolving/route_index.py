"""Routes, by what they attach to and by where they send requests, and the grants for that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from proxy.mesh.kinds.reference_grant import ReferenceGrant
from proxy.mesh.kinds.routes import HOSTNAME, Referred, Route
from proxy.mesh.kinds.service_entries import Host
from proxy.mesh.kinds.services import Service
from proxy.mesh.reading.index import Index
from proxy.mesh.reading.manifests import Manifest
from proxy.mesh.reading.remarks import Key


class RouteIndex:
    """All of them."""

    def __init__(self) -> None:
        self.all: dict[Key, Route] = {}
        self._by_parent: Index[Key, Route] = Index()
        self._by_backend: Index[Key, Route] = Index()
        self._grants: Index[str, ReferenceGrant] = Index()
        """By the namespace whose objects they are for."""

    def replace(self, key: Key, old: Route | None, new: Route | None) -> None:
        """A route is another now, has come (`old` is None) or gone."""
        self.all.pop(key, None)
        if new:
            self.all[key] = new
        for route, parent, backend in (
            (old, self._by_parent.drop, self._by_backend.drop),
            (new, self._by_parent.add, self._by_backend.add),
        ):
            if route:
                for each in route.attached:
                    parent(each, route)
                for each in _backends(route):
                    backend(each, route)

    def replace_grant(self, old: ReferenceGrant | None, new: ReferenceGrant | None) -> None:
        """The same of a grant."""
        for grant, change in ((old, self._grants.drop), (new, self._grants.add)):
            if grant:
                change(grant.manifest.namespace, grant)

    def attached(self, parent: Key) -> tuple[Route, ...]:
        """Those that attach to an object, to whichever part of it."""
        return self._by_parent.of(parent)

    def referring(self, service: Service) -> Iterator[Route]:
        """Those that send requests to a Service, by either of its names."""
        for name in names(service):
            yield from self._by_backend.of(name)

    def granted(self, route: Route, to: Referred) -> bool:
        """Whether a route may send requests there, as the Gateway API has it."""
        return self.permitted(route.manifest, to.namespace, to.group, to.kind, to.name)

    def permitted(self, asker: Manifest, namespace: str, group: str, kind: str, name: str) -> bool:
        """The same of any object of the Gateway API, which may refer to all that is beside it."""
        if namespace == asker.namespace:
            return True
        return any(grant.allows(asker, group, kind, name) for grant in self._grants.of(namespace))


def names(service: Service) -> Iterable[Key]:
    """What routes call a backend."""
    own = () if isinstance(service, Host) else (service.manifest.key,)
    return (*own, Key(HOSTNAME, "", service.host))


def _backends(route: Route) -> set[Key]:
    return {key for each in route.referred if (key := each.key)}
