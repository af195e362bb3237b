"""Which watches a Gateway needs, out of what is known so far. Pure.

Only what is served is watched, so that memory grows with that and not with the cluster. Objects that bind to us from
other namespaces are found by their labels: an object that stops matching arrives as deleted. Routes are the exception:
whose they are stands inside them, so that all there are are watched, where we may.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from proxy.kubernetes.api.resources import Watched
from proxy.kubernetes.source import kinds, named
from proxy.kubernetes.source.leading import Routes, leading, virtual
from proxy.mesh.kinds.namespaces import ROOT_NAMESPACE

USES = (
    ("istio.io/use-waypoint", "istio.io/use-waypoint-namespace"),
    ("istio.io/use-waypoint-canary", "istio.io/use-waypoint-canary-namespace"),
)
"""The labels that bind something to us, as its waypoint and as its canary: our name, our namespace."""


@dataclass(frozen=True, slots=True)
class Known:
    """What decides it. `elsewhere`: other namespaces that are bound to the Gateway, or hold a Service or ServiceEntry
    that is.

    `led_to`: other namespaces that routes send requests to. `asking`: those with routes of the Gateway's listeners.
    `invites`: whether a listener takes Services of other namespaces. `secrets`, `config_maps` (with their namespaces):
    what rules name for TLS to endpoints; they are asked for one by one, each by its name, as are `certificates` of
    listeners.
    """

    namespace: str
    name: str
    root_namespace: str = ROOT_NAMESPACE
    class_name: str = ""
    invites: bool = False
    elsewhere: frozenset[str] = frozenset()
    led_to: frozenset[str] = frozenset()
    asking: frozenset[str] = frozenset()
    secrets: frozenset[str] = frozenset()
    config_maps: frozenset[tuple[str, str]] = frozenset()
    certificates: frozenset[tuple[str, str]] = frozenset()

    @property
    def whole(self) -> tuple[str, ...]:
        """The namespaces that may hold a Service of ours."""
        return (self.namespace, *(self.elsewhere if self.invites else ()))


def wanted(known: Known) -> frozenset[Watched]:
    """Every watch there should be."""
    return frozenset(_wanted(known))


def invites(gateway: dict[str, Any]) -> bool:
    """Whether a listener of a Gateway, as the API gives it, takes Services of other namespaces."""
    spec = gateway.get("spec")
    listeners = spec.get("listeners") if isinstance(spec, dict) else None
    return any(_scope(each) in ("All", "Selector") for each in listeners or () if isinstance(each, dict))


class Learned:
    """Keeps `known` up with the objects that pass."""

    def __init__(self, known: Known) -> None:
        self.known = known
        self._found: dict[Watched, set[tuple[str, str]]] = {}
        """By the watches that look for what is bound to us: (namespace, name)."""
        self._naming: dict[tuple[Watched, str, str], tuple[frozenset[str], frozenset[str]]] = {}
        """Rules that name Secrets and ConfigMaps, and which."""
        self._routes: dict[Watched, dict[tuple[str, str], None]] = {}
        """By the watch that tells of them: (namespace, name)."""
        self._leading = Routes()

    def put(self, watched: Watched, namespace: str, name: str, body: dict[str, Any]) -> bool:
        """An object came or changed. Whether that changes what is wanted."""
        if watched.resource == kinds.GATEWAYS:
            spec = body.get("spec")
            class_name = spec.get("gatewayClassName") if isinstance(spec, dict) else ""
            shown = named.certificates(body)
            return self._now(class_name=str(class_name or ""), invites=invites(body), certificates=shown)
        if watched.resource == kinds.RULES:
            return self._names((watched, namespace, name), named.secrets(body), named.config_maps(body))
        if watched.resource in (*kinds.ROUTES, kinds.VIRTUAL_SERVICES):
            self._routes.setdefault(watched, {})[namespace, name] = None
            says = virtual if watched.resource == kinds.VIRTUAL_SERVICES else leading
            self._leading.put((watched, namespace, name), says(namespace, body))
        elif watched.labels:
            self._found.setdefault(watched, set()).add((namespace, name))
        return self._now()

    def drop(self, watched: Watched, namespace: str, name: str) -> bool:
        """An object is gone."""
        if watched.resource == kinds.GATEWAYS:
            return self._now(class_name="", invites=False, certificates=frozenset())
        if watched.resource == kinds.RULES:
            return self._names((watched, namespace, name))
        self._routes.get(watched, {}).pop((namespace, name), None)
        self._leading.drop((watched, namespace, name))
        self._found.get(watched, set()).discard((namespace, name))
        return self._now()

    def forget(self, watched: Watched) -> None:
        """A watch has ended."""
        self._found.pop(watched, None)
        for namespace, name in self._routes.pop(watched, ()):
            self._leading.drop((watched, namespace, name))
        for rule in [rule for rule in self._naming if rule[0] == watched]:
            self._names(rule)

    def _names(
        self,
        rule: tuple[Watched, str, str],
        secrets: frozenset[str] = frozenset(),
        config_maps: frozenset[str] = frozenset(),
    ) -> bool:
        """A rule names these now. Whether that changes what is wanted."""
        if (secrets, config_maps) == self._naming.get(rule, (frozenset(), frozenset())):
            return False
        self._naming[rule] = secrets, config_maps
        if not secrets and not config_maps:
            del self._naming[rule]
        return self._now(
            secrets=frozenset(name for found, _ in self._naming.values() for name in found),
            config_maps=frozenset((each[1], name) for each, (_, found) in self._naming.items() for name in found),
        )

    def _now(self, **changed: Any) -> bool:
        before = self.known
        # A Namespace is bound by its own label, that of a Service or a ServiceEntry by theirs.
        found = {namespace or name for each in self._found.values() for namespace, name in each}
        known = replace(before, elsewhere=frozenset(found - {before.namespace}), **changed)
        led_to, asking = self._leading.of((known.namespace, known.name), frozenset(known.whole))
        self.known = replace(known, led_to=led_to, asking=asking)
        return self.known != before


def _wanted(known: Known) -> Iterator[Watched]:
    yield Watched(kinds.GATEWAYS, known.namespace, fields=f"metadata.name={known.name}")
    if known.class_name:
        yield Watched(kinds.GATEWAY_CLASSES, fields=f"metadata.name={known.class_name}", optional=True)
    yield Watched(kinds.NAMESPACES, fields=f"metadata.name={known.namespace}")
    # Where endpoints are: without the right to know, all are alike.
    yield Watched(kinds.NODES, optional=True, heading=True)
    for namespace, name in known.certificates | {(known.namespace, each) for each in known.secrets}:
        yield Watched(kinds.SECRETS, namespace, optional=True, name=name)
    for namespace, name in known.config_maps:
        yield Watched(kinds.CONFIG_MAPS, namespace, optional=True, name=name)
    yield from (Watched(each, optional=True) for each in (*kinds.ROUTES, kinds.GRANTS))
    yield from _of_namespaces(known.whole)
    yield from (Watched(each, namespace, optional=True) for namespace in known.led_to for each in kinds.OF_BACKENDS)
    if known.root_namespace not in known.whole:
        yield from (Watched(each, known.root_namespace) for each in kinds.OF_ROOT)
    if known.invites:
        # Of one found by its own labels, its Namespace's decide too: `allowedRoutes`, or beside which waypoint it
        # names us as its canary.
        yield from (
            Watched(kinds.NAMESPACES, fields=f"metadata.name={each}") for each in known.elsewhere | known.asking
        )
        for name, namespace in USES:
            labels = f"{name}={known.name},{namespace}={known.namespace}"
            yield Watched(kinds.NAMESPACES, labels=labels)
            yield Watched(kinds.SERVICES, labels=labels)
            yield Watched(kinds.SERVICE_ENTRIES, labels=labels, optional=True)


def _of_namespaces(namespaces: Iterable[str]) -> Iterator[Watched]:
    for namespace in namespaces:
        yield Watched(kinds.SERVICES, namespace)
        yield from (Watched(each, namespace) for each in kinds.OF_SERVED)
        yield from (Watched(each, namespace, optional=True) for each in kinds.ADVISED)


def _scope(listener: dict[str, Any]) -> object:
    for step in ("allowedRoutes", "namespaces"):
        found = listener.get(step)
        listener = found if isinstance(found, dict) else {}
    return listener.get("from")
