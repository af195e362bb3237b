"""What routes and VirtualServices, as the API gives them, attach to, and the namespaces that a Gateway's send requests
to. Pure.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any, NamedTuple

from proxy.mesh.kinds.addresses import CLUSTER_DOMAIN

Object = dict[str, Any]
_GATEWAY = "Gateway"
_NOBODY = ("", "")
_SERVICE = f".{CLUSTER_DOMAIN}"


class Leading(NamedTuple):
    """What a route of `namespace` says: the namespaces of what it attaches to and of its backends, and which Gateways
    (namespace, name) are among the former."""

    namespace: str
    parents: frozenset[str]
    gateways: frozenset[tuple[str, str]]
    backends: frozenset[str]


class Ours(NamedTuple):
    """Of the routes of one Gateway: the namespaces of their backends, and those of the routes of its listeners."""

    led_to: frozenset[str] = frozenset()
    asking: frozenset[str] = frozenset()


class Routes:
    """All routes, of which a few are ours: what another one says costs nothing."""

    def __init__(self) -> None:
        self._all: dict[Hashable, Leading] = {}
        self._ours: dict[Hashable, Leading] = {}
        self._own: tuple[str, str] = _NOBODY
        self._whole: frozenset[str] = frozenset()
        self._found: Ours | None = None

    def put(self, key: Hashable, said: Leading) -> None:
        """A route came or changed."""
        self.drop(key)
        self._all[key] = said
        self._look_at(key, said)

    def drop(self, key: Hashable) -> None:
        """A route is gone."""
        self._all.pop(key, None)
        if self._ours.pop(key, None):
            self._found = None

    def of(self, own: tuple[str, str], whole: frozenset[str]) -> Ours:
        """Those of the Gateway `own`; `whole`: the namespaces that may hold a Service of it."""
        if (own, whole) != (self._own, self._whole):
            self._own, self._whole, self._found = own, whole, None
            self._ours.clear()
            for key, said in self._all.items():
                self._look_at(key, said)
        if self._found is None:
            ours = self._ours.values()
            led_to = frozenset(each for said in ours for each in said.backends)
            asking = frozenset(said.namespace for said in ours if own in said.gateways)
            self._found = Ours(led_to - whole, asking - whole)
        return self._found

    def _look_at(self, key: Hashable, said: Leading) -> None:
        if said.parents & self._whole or self._own in said.gateways:
            self._ours[key] = said
            self._found = None


def leading(namespace: str, route: Object) -> Leading:
    """What a route of that namespace says."""
    spec = _mapping(route.get("spec"))
    parents = [(_text(each.get("namespace"), namespace), each) for each in _list(spec.get("parentRefs"))]
    gateways = {(of, _text(each.get("name"))) for of, each in parents if each.get("kind", _GATEWAY) == _GATEWAY}
    backends = {_text(each.get("namespace"), namespace) for rule in _list(spec.get("rules")) for each in _refs(rule)}
    return Leading(namespace, frozenset(of for of, _ in parents), frozenset(gateways), frozenset(backends))


def virtual(namespace: str, subject: Object) -> Leading:
    """What a VirtualService of that namespace says, which is for Services of it or of the waypoint's."""
    rules = _list(_mapping(subject.get("spec")).get("http"))
    hosts = {_text(each.get("host")).lower() for rule in rules for each in _destinations(rule)}
    names = [host.removesuffix(_SERVICE).split(".") for host in hosts if host.endswith(_SERVICE)]
    backends = {name[1] for name in names if len(name) == 2}
    return Leading(namespace, frozenset({namespace}), frozenset(), frozenset(backends))


def _destinations(rule: Object) -> Iterator[Object]:
    yield _mapping(rule.get("mirror"))
    for each in (*_list(rule.get("route")), *_list(rule.get("mirrors"))):
        yield _mapping(each.get("destination"))


def _refs(rule: Object) -> Iterator[Object]:
    yield from _list(rule.get("backendRefs"))
    for each in _list(rule.get("filters")):
        if mirror := _mapping(each.get("requestMirror")):
            yield _mapping(mirror.get("backendRef"))


def _text(value: object, default: str = "") -> str:
    return value if isinstance(value, str) and value else default


def _mapping(value: object) -> Object:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Object]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
