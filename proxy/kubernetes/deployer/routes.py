"""What the status of a route says of a Gateway of ours that it names (Gateway API, RouteParentStatus). Pure.

This version of waypointd has no routes: so one that attaches is not Accepted either, and says why. What else is wrong
with it is said as it will be when there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from proxy.kubernetes.deployer.attached import Fault, names, refusal
from proxy.kubernetes.deployer.certificates import permitted
from proxy.kubernetes.deployer.status import Condition, as_object
from proxy.kubernetes.deployer.wish import CONTROLLER, GROUP, Reference, Wish

Object = Mapping[str, Any]

NOT_SERVED = "NotServed", "routes are not in force in this version of waypointd: requests go where their host says"


def parents(
    route: Object,
    gateway: str,
    wish: Wish | None,
    labels: Mapping[str, Mapping[str, str]],
    unresolved: Fault | None,
    now: str,
) -> list[Object]:
    """Its `status.parents`, with what we say of one Gateway, "namespace/name", which is `wish` if it is ours (still).

    Entries of others, and of other Gateways, stay. `unresolved`: what is wrong with its backends.
    """
    there = (route.get("status") or {}).get("parents") or []
    ours = [
        each for each in there if _is_ours(each) and names(each["parentRef"], route["metadata"]["namespace"], gateway)
    ]
    said = [_entry(each, ours, wish, route, labels, unresolved, now) for each in named(route, gateway)] if wish else []
    return there if said == ours else [*(each for each in there if each not in ours), *said]


def named(route: Object, gateway: str) -> list[Object]:
    """Its `parentRefs` that mean the Gateway, "namespace/name"."""
    refs = route["spec"].get("parentRefs") or ()
    return [each for each in refs if names(each, route["metadata"]["namespace"], gateway)]


def told(route: Object) -> Iterator[tuple[str, str]]:
    """The Gateways of which we have said something, by namespace and name."""
    for each in (route.get("status") or {}).get("parents") or ():
        if _is_ours(each):
            parent = each["parentRef"]
            yield parent.get("namespace") or route["metadata"]["namespace"], parent["name"]


def backends(route: Object, exists: Callable[[str, str], bool], grants: Iterable[Object]) -> Fault | None:
    """What is wrong with what it refers to, as reason and message; None if nothing is. `exists`: a Service, by
    namespace and name."""
    own = route["metadata"]["namespace"]
    for each in _references(route):
        if (each.group, each.kind) != ("", "Service"):
            return "InvalidKind", f"{each.kind} of group {each.group!r} is not a Service"
        if each.namespace != own and not permitted((GROUP, route["kind"], own), each, grants):
            return (
                "RefNotPermitted",
                f"no ReferenceGrant in {each.namespace} permits it to refer to Service {each.name}",
            )
        if not exists(each.namespace, each.name):
            return "BackendNotFound", f"there is no Service {each.namespace}/{each.name}"
    return None


def _references(route: Object) -> Iterator[Reference]:
    own = route["metadata"]["namespace"]
    for rule in route["spec"].get("rules") or ():
        for each in rule.get("backendRefs") or ():
            kind = each.get("group", ""), each.get("kind", "Service")
            yield Reference(*kind, each.get("namespace") or own, each["name"])


def _is_ours(entry: Object) -> bool:
    return bool(entry["controllerName"] == CONTROLLER)


def _entry(
    parent: Object,
    ours: Iterable[Object],
    wish: Wish,
    route: Object,
    labels: Mapping[str, Mapping[str, str]],
    unresolved: Fault | None,
    now: str,
) -> Object:
    before = next((each for each in ours if each["parentRef"] == parent), {})
    said = (
        Condition("Accepted", False, *(refusal(parent, wish, route, labels) or NOT_SERVED)),
        Condition("ResolvedRefs", not unresolved, *(unresolved or ("ResolvedRefs", ""))),
    )
    generation = route["metadata"].get("generation", 1)
    conditions = [as_object(each, generation, before.get("conditions"), now) for each in said]
    return {"parentRef": parent, "controllerName": CONTROLLER, "conditions": conditions}
