"""Routes whose parent is a Service (GAMMA): is its waypoint one of ours, and why is the route not for it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from proxy.kubernetes.deployer.wish import Wish
from proxy.kubernetes.source.plan import USES

Object = Mapping[str, Any]
Fault = tuple[str, str]
"""Reason and message."""
_LABELS = frozenset(label for pair in USES for label in pair)


@dataclass(frozen=True, slots=True)
class Port:
    """Of a Service."""

    name: str
    number: int


@dataclass(frozen=True, slots=True)
class Service:
    """What is kept of each Service of the cluster. `labels`: those that name waypoints."""

    labels: Mapping[str, str]
    ports: tuple[Port, ...]


def service_of(body: Object) -> Service:
    """A Service as the API gives it."""
    labels = body["metadata"].get("labels") or {}
    ports = body.get("spec", {}).get("ports") or ()
    return Service(
        labels={name: value for name, value in labels.items() if name in _LABELS},
        ports=tuple(Port(each.get("name") or "", each["port"]) for each in ports),
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
    parent: Object, service: Service | None, namespace: str, labels: Mapping[str, str], wish: Wish
) -> Fault | None:
    """Why a route is not for this parent, a Service of `namespace` that names our waypoint; None if it is."""
    if service is None:
        return "NoMatchingParent", f"there is no Service {namespace}/{parent['name']}"
    if not any(_means(parent, each) for each in service.ports):
        return "NoMatchingParent", "the Service has no port of that name or number"
    if not any(each.admission.admits(namespace, labels, wish.namespace) for each in wish.listeners):
        return "NotAllowedByListeners", f"no listener of Gateway {wish.id} takes Services of namespace {namespace}"
    return None


def _means(parent: Object, port: Port) -> bool:
    return parent.get("sectionName") in (None, "", port.name) and parent.get("port") in (None, port.number)
