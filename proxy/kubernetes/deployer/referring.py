"""Which routes a change of something else concerns: what each of them names, and in which namespaces that is. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from proxy.kubernetes.deployer.queue import RouteKey
from proxy.kubernetes.deployer.wish import GROUP, Reference

Object = Mapping[str, Any]
_Named = tuple[str, str, str]
"""Kind, namespace, name."""
_NAMESPACE, _MESH = "Namespace", ("Mesh", "", "")
OF_MESH = ("", "Service"), ("networking.istio.io", "ServiceEntry")
"""Group and kind of parents whose requests go through a waypoint."""


class Referring:
    """An index of routes, kept up with each of them."""

    def __init__(self) -> None:
        self._named: dict[RouteKey, set[_Named]] = {}
        self._naming: dict[_Named, set[RouteKey]] = {}

    def put(self, key: RouteKey, route: Object | None) -> None:
        """The route as it is now, None if it is gone."""
        for each in self._named.pop(key, ()):
            naming = self._naming[each]
            naming.discard(key)
            if not naming:
                del self._naming[each]
        if route is not None:
            self._named[key] = set(_named(route))
            for each in self._named[key]:
                self._naming.setdefault(each, set()).add(key)

    def to_gateway(self, namespace: str, name: str) -> Iterable[RouteKey]:
        """Those that name it, and all with a Service, or the like, as parent: it may be that one's waypoint."""
        return {*self._naming.get(("Gateway", namespace, name), ()), *self._naming.get(_MESH, ())}

    def to(self, kind: str, namespace: str, name: str) -> Iterable[RouteKey]:
        """Those that have it as parent or backend."""
        return tuple(self._naming.get((kind, namespace, name), ()))

    def in_namespace(self, namespace: str) -> Iterable[RouteKey]:
        """Those that are there, or name something there."""
        return tuple(self._naming.get((_NAMESPACE, "", namespace), ()))


def parents_of(route: Object) -> Iterator[tuple[Object, Reference]]:
    """Its `parentRefs`, and what each of them means."""
    own = route["metadata"]["namespace"]
    for each in route["spec"].get("parentRefs") or ():
        named = each.get("group", GROUP), each.get("kind", "Gateway"), each.get("namespace") or own, each["name"]
        yield each, Reference(*named)


def backends_of(route: Object) -> Iterator[tuple[Object, Reference]]:
    """All that it sends requests to, mirrors too, and what else its filters name (ExtensionRef)."""
    for rule in route["spec"].get("rules") or ():
        backends = rule.get("backendRefs") or ()
        filters = [*(rule.get("filters") or ()), *(each for one in backends for each in one.get("filters") or ())]
        mirrors = [each["requestMirror"]["backendRef"] for each in filters if "requestMirror" in each]
        for each in (*backends, *mirrors, *(each["extensionRef"] for each in filters if "extensionRef" in each)):
            yield each, _backend(each, route["metadata"]["namespace"])


def _backend(given: Object, own: str) -> Reference:
    kind = given.get("group", ""), given.get("kind", "Service")
    return Reference(*kind, given.get("namespace") or own, given["name"])


def _named(route: Object) -> Iterator[_Named]:
    yield _NAMESPACE, "", route["metadata"]["namespace"]
    for _, parent in parents_of(route):
        if (parent.group, parent.kind) in OF_MESH:
            yield _MESH
    for _, each in (*parents_of(route), *backends_of(route)):
        yield each.kind, each.namespace, each.name
        yield _NAMESPACE, "", each.namespace
