"""Routes whose parent is a Service (GAMMA), or a ServiceEntry, which counts as one: is its waypoint ours, and why is
the route not for it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from proxy.kubernetes.deployer import rivals
from proxy.kubernetes.deployer.referring import parents_of
from proxy.kubernetes.deployer.rivals import Fault
from proxy.kubernetes.deployer.wish import Reference, Wish
from proxy.kubernetes.source.plan import USES

Object = Mapping[str, Any]
_LABELS = frozenset(label for pair in USES for label in pair)


@dataclass(frozen=True, slots=True)
class Port:
    """Of a Service."""

    name: str
    number: int


@dataclass(frozen=True, slots=True)
class Service:
    """What is kept of each Service and ServiceEntry of the cluster. `labels`: those that name waypoints."""

    labels: Mapping[str, str]
    ports: tuple[Port, ...]


def service_of(body: Object) -> Service:
    """A Service, or a ServiceEntry, as the API gives it."""
    labels = body["metadata"].get("labels") or {}
    ports = body.get("spec", {}).get("ports") or ()
    return Service(
        labels={name: value for name, value in labels.items() if name in _LABELS},
        ports=tuple(Port(each.get("name") or "", each.get("number") or each["port"]) for each in ports),
    )


def waypoints(service: Service | None, namespace: str, labels: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Namespace and name of the waypoint that a Service uses, and of its canary. `labels`: of its Namespace, which
    speak for a Service that says nothing itself, as for one that is not there."""
    own = service.labels if service else {}
    use, canary = USES
    first = own if own.get(use[0]) else labels
    second = own if canary[0] in own else first
    for (name, where), given in ((use, first), (canary, second)):
        found = given.get(name, "")
        if found in ("", "none"):
            return  # a canary is beside a waypoint
        yield given.get(where) or namespace, found


def refusal(
    parent: Object, named: Reference, service: Service | None, labels: Mapping[str, str], wish: Wish
) -> Fault | None:
    """Why a route cannot be for this parent, which means a Service that names our waypoint; None if it can. `labels`:
    of its Namespace."""
    namespace = named.namespace
    if service is None:
        return "NoMatchingParent", f"there is no {named.kind} {namespace}/{named.name}"
    if not any(_means(parent, each) for each in service.ports):
        return "NoMatchingParent", f"the {named.kind} has no port of that name or number"
    if not any(each.admission.admits(namespace, labels, wish.namespace) for each in wish.listeners):
        return "NotAllowedByListeners", f"no listener of Gateway {wish.id} takes Services of namespace {namespace}"
    return None


def overruled(
    parent: Object, named: Reference, service: Service, route: Object, beside: Iterable[Object]
) -> Fault | None:
    """Whether older routes of the other kind have all ports that the parent means; `beside`: all routes of the Service.
    Those of other namespaces are for other clients."""
    own = route["metadata"]["namespace"]
    near = [each for each in beside if each["metadata"]["namespace"] == own]
    others = [_rival(route, named, port, near) for port in service.ports if _means(parent, port)]
    return rivals.conflict(others[0]) if others and others[0] and all(others) else None


def _rival(route: Object, named: Reference, port: Port, near: Iterable[Object]) -> Object | None:
    """The route for which a port does not have this one: all requests there are for both."""
    those = rivals.in_force((each for each in near if _is_for(each, named, port)), lambda *_: True)
    return rivals.rival(route, those, lambda *_: True)


def _is_for(route: Object, named: Reference, port: Port) -> bool:
    return any(meant == named and _means(parent, port) for parent, meant in parents_of(route))


def _means(parent: Object, port: Port) -> bool:
    return parent.get("sectionName") in (None, "", port.name) and parent.get("port") in (None, port.number)
