"""What the status of a route says of its parents of ours: Gateways, and Services that use one as their waypoint
(Gateway API, RouteParentStatus). Pure.

Whether a route is accepted has nothing to do with its backends: what it does not find is answered 500, and said in
ResolvedRefs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from proxy.kubernetes.deployer import attached, bound
from proxy.kubernetes.deployer.certificates import permitted
from proxy.kubernetes.deployer.judged import UNSUPPORTED, Verdict, judged
from proxy.kubernetes.deployer.referring import OF_MESH, backends_of, parents_of
from proxy.kubernetes.deployer.rivals import Fault
from proxy.kubernetes.deployer.status import Condition, as_object
from proxy.kubernetes.deployer.wish import CONTROLLER, GROUP, Reference, Wish

Object = Mapping[str, Any]

_HOSTNAME = "networking.istio.io", "Hostname"
"""Istio's backend that is called by its host name. Whether there is one is not known here."""


@dataclass(frozen=True, slots=True)
class Around:
    """What there is beside a route, by namespace and name: Gateways of ours; Services and ServiceEntries, by kind, too;
    labels of Namespaces. `sharing`: the routes that name the same object."""

    gateway: Callable[[str, str], Wish | None]
    service: Callable[[str, str, str], bound.Service | None]
    labels: Callable[[str], Mapping[str, str]]
    grants: Sequence[Object] = ()
    sharing: Callable[[Reference], Sequence[Object]] = lambda _: ()


def parents(route: Object, around: Around, now: str) -> Sequence[Object]:
    """Its `status.parents`, with what we say of each of ours. Entries of others stay; `now`: RFC 3339."""
    there = (route.get("status") or {}).get("parents") or []
    ours = [each for each in there if each["controllerName"] == CONTROLLER]
    said = list(_entries(route, around, ours, now))
    if len(said) == len(ours) and all(each in ours for each in said):
        return there
    return [*(each for each in there if each not in ours), *said]


def unresolved(route: Object, around: Around, freely: Callable[[str], bool]) -> Fault | None:
    """What is wrong with what it refers to; None if nothing is. `freely`: whether it may refer to a namespace without a
    ReferenceGrant."""
    for given, each in backends_of(route):
        if (each.group, each.kind) == _HOSTNAME:
            continue
        if (each.group, each.kind) != ("", "Service"):
            return "InvalidKind", f"{each.kind} of group {each.group!r} is not a Service"
        if not _may_refer(route, each, around, freely):
            reason = f"no ReferenceGrant in {each.namespace} permits it to refer to Service {each.name}"
            return "RefNotPermitted", reason
        if fault := _missing(given, each, around.service("Service", each.namespace, each.name)):
            return "BackendNotFound", fault
    return None


def led_to(route: Object, around: Around) -> Iterator[tuple[Wish, str]]:
    """The namespaces that it may send requests to, and whose: of which Gateway, or waypoint, of ours."""
    for _, named in parents_of(route):
        of_mesh = (named.group, named.kind) in OF_MESH
        wishes = list(_waypoints(named, around)) if of_mesh else [_gateway(named, around)]
        for wish in filter(None, wishes):
            there = (each for _, each in backends_of(route) if each.namespace != wish.namespace)
            yield from (
                (wish, each.namespace) for each in there if _may_refer(route, each, around, _freely(named, wish))
            )


def _may_refer(route: Object, to: Reference, around: Around, freely: Callable[[str], bool]) -> bool:
    own = route["metadata"]["namespace"]
    return to.namespace == own or freely(to.namespace) or permitted((GROUP, route["kind"], own), to, around.grants)


def _freely(parent: Reference, wish: Wish) -> Callable[[str], bool]:
    """To which namespaces routes of a parent may refer without a ReferenceGrant: of a Service to all, as at Istio's
    waypoints, or where the Gateway asks for grants to the Service's own."""
    if (parent.group, parent.kind) not in OF_MESH:
        return lambda namespace: False
    return (lambda namespace: namespace == parent.namespace) if wish.asks_grants else lambda namespace: True


def _missing(given: Object, named: Reference, service: bound.Service | None) -> str:
    if service is None:
        return f"there is no Service {named.namespace}/{named.name}"
    if given.get("port") not in (None, *(each.number for each in service.ports)):
        return f"Service {named.namespace}/{named.name} has no port {given['port']}"
    return ""


def _entries(route: Object, around: Around, before: Sequence[Object], now: str) -> Iterator[Object]:
    generation = route["metadata"].get("generation", 1)
    verdict: Verdict | None = None  # of a route that is none of ours there is none: to read one takes a while
    for parent, named in parents_of(route):
        of_mesh = (named.group, named.kind) in OF_MESH
        found = (_of_service if of_mesh else _of_gateway)(parent, named, route, around)
        if found is None:
            continue
        verdict = verdict or judged(route)
        said = _said(found, verdict, unresolved(route, around, _freely(named, found.wish)))
        old = next((each for each in before if each["parentRef"] == parent), {})
        conditions = [as_object(each, generation, old.get("conditions"), now) for each in said]
        yield {"parentRef": parent, "controllerName": CONTROLLER, "conditions": conditions}


@dataclass(frozen=True, slots=True)
class _Ours:
    """A parent that we speak for: by which Gateway it is served, and why the route does not attach to it."""

    wish: Wish
    fault: Fault | None


def _said(parent: _Ours, verdict: Verdict, unresolved: Fault | None) -> Iterator[Condition]:
    refused = parent.fault or verdict.refused
    yield _condition("Accepted", refused)
    yield _condition("ResolvedRefs", unresolved)
    if verdict.dropped and not refused:
        yield Condition("PartiallyInvalid", True, UNSUPPORTED, verdict.dropped)


def _of_gateway(parent: Object, named: Reference, route: Object, around: Around) -> _Ours | None:
    wish = _gateway(named, around)
    if wish is None:
        return None
    beside = _sharing(named, route, around)
    labels = {each["metadata"]["namespace"]: around.labels(each["metadata"]["namespace"]) for each in (route, *beside)}
    return _Ours(wish, attached.refusal(parent, wish, route, labels, beside))


def _of_service(parent: Object, named: Reference, route: Object, around: Around) -> _Ours | None:
    service, labels = _service(named, around), around.labels(named.namespace)
    for wish in _waypoints(named, around):
        fault = bound.refusal(parent, named, service, labels, wish)
        if service and not fault:
            fault = bound.overruled(parent, named, service, route, _sharing(named, route, around))
        return _Ours(wish, fault)
    return None


def _sharing(named: Reference, route: Object, around: Around) -> Sequence[Object]:
    """The routes that name the same; none where all are of one kind, since those are never in each other's way."""
    found = around.sharing(named)
    return found if any(each["kind"] != route["kind"] for each in found) else ()


def _service(named: Reference, around: Around) -> bound.Service | None:
    return around.service(named.kind, named.namespace, named.name)


def _gateway(named: Reference, around: Around) -> Wish | None:
    return around.gateway(named.namespace, named.name) if (named.group, named.kind) == (GROUP, "Gateway") else None


def _waypoints(service: Reference, around: Around) -> Iterator[Wish]:
    """Those of ours that a Service uses, its canary last."""
    found, labels = _service(service, around), around.labels(service.namespace)
    for place in bound.waypoints(found, service.namespace, labels):
        if wish := around.gateway(*place):
            yield wish


def _condition(kind: str, fault: Fault | None) -> Condition:
    return Condition(kind, not fault, *(fault or (kind, "")))
