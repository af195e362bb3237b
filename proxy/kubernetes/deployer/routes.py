"""What the status of a route says of its parents of ours: Gateways, and Services that use one as their waypoint
(Gateway API, RouteParentStatus). Pure.

Whether a route is accepted has nothing to do with its backends: what it does not find is answered 500, and said in
ResolvedRefs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from proxy.kubernetes.deployer import attached, bound
from proxy.kubernetes.deployer.attached import Fault
from proxy.kubernetes.deployer.certificates import permitted
from proxy.kubernetes.deployer.judged import UNSUPPORTED, Verdict, judged
from proxy.kubernetes.deployer.referring import backends_of, parents_of
from proxy.kubernetes.deployer.status import Condition, as_object
from proxy.kubernetes.deployer.wish import CONTROLLER, GROUP, Reference, Wish

Object = Mapping[str, Any]

_HOSTNAME = "networking.istio.io", "Hostname"
"""Istio's backend that is called by its host name. Whether there is one is not known here."""


@dataclass(frozen=True, slots=True)
class Around:
    """What there is beside a route, by namespace and name: Gateways of ours, Services, labels of Namespaces."""

    gateway: Callable[[str, str], Wish | None]
    service: Callable[[str, str], bound.Service | None]
    labels: Callable[[str], Mapping[str, str]]
    grants: Sequence[Object] = ()


def parents(route: Object, around: Around, now: str) -> Sequence[Object]:
    """Its `status.parents`, with what we say of each of ours. Entries of others stay; `now`: RFC 3339."""
    there = (route.get("status") or {}).get("parents") or []
    ours = [each for each in there if each["controllerName"] == CONTROLLER]
    said = list(_entries(route, around, ours, now))
    if len(said) == len(ours) and all(each in ours for each in said):
        return there
    return [*(each for each in there if each not in ours), *said]


def unresolved(route: Object, around: Around, of_mesh: bool) -> Fault | None:
    """What is wrong with what it refers to; None if nothing is. `of_mesh`: its parent is a Service, and as at Istio's
    waypoints it may send requests to other namespaces without a ReferenceGrant."""
    for given, each in backends_of(route):
        if (each.group, each.kind) == _HOSTNAME:
            continue
        if (each.group, each.kind) != ("", "Service"):
            return "InvalidKind", f"{each.kind} of group {each.group!r} is not a Service"
        if not (of_mesh or _may_refer(route, each, around.grants)):
            reason = f"no ReferenceGrant in {each.namespace} permits it to refer to Service {each.name}"
            return "RefNotPermitted", reason
        if fault := _missing(given, each, around.service(each.namespace, each.name)):
            return "BackendNotFound", fault
    return None


def led_to(route: Object, around: Around) -> Iterator[tuple[Wish, str]]:
    """The namespaces that it may send requests to, and whose: of which Gateway, or waypoint, of ours."""
    for _, named in parents_of(route):
        of_mesh = (named.group, named.kind) == ("", "Service")
        wishes = list(_waypoints(named, around)) if of_mesh else [_gateway(named, around)]
        for _, each in backends_of(route):
            if of_mesh or _may_refer(route, each, around.grants):
                yield from ((wish, each.namespace) for wish in wishes if wish and wish.namespace != each.namespace)


def _may_refer(route: Object, to: Reference, grants: Iterable[Object]) -> bool:
    own = route["metadata"]["namespace"]
    return to.namespace == own or permitted((GROUP, route["kind"], own), to, grants)


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
        of_mesh = (named.group, named.kind) == ("", "Service")
        found = _of_service(parent, named, around) if of_mesh else _of_gateway(parent, named, route, around)
        if found is None:
            continue
        verdict = verdict or judged(route)
        said = _said(found, verdict, unresolved(route, around, of_mesh))
        old = next((each for each in before if each["parentRef"] == parent), {})
        conditions = [as_object(each, generation, old.get("conditions"), now) for each in said]
        yield {"parentRef": parent, "controllerName": CONTROLLER, "conditions": conditions}


@dataclass(frozen=True, slots=True)
class _Ours:
    """A parent that we speak for, and why the route does not attach to it."""

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
    namespace = route["metadata"]["namespace"]
    return _Ours(attached.refusal(parent, wish, route, {namespace: around.labels(namespace)}))


def _of_service(parent: Object, named: Reference, around: Around) -> _Ours | None:
    service, labels = around.service(named.namespace, named.name), around.labels(named.namespace)
    for wish in _waypoints(named, around):
        return _Ours(bound.refusal(parent, service, named.namespace, labels, wish))
    return None


def _gateway(named: Reference, around: Around) -> Wish | None:
    return around.gateway(named.namespace, named.name) if (named.group, named.kind) == (GROUP, "Gateway") else None


def _waypoints(service: Reference, around: Around) -> Iterator[Wish]:
    """Those of ours that a Service uses, its canary last."""
    found, labels = around.service(service.namespace, service.name), around.labels(service.namespace)
    for place in bound.waypoints(found, service.namespace, labels):
        if wish := around.gateway(*place):
            yield wish


def _condition(kind: str, fault: Fault | None) -> Condition:
    return Condition(kind, not fault, *(fault or (kind, "")))
