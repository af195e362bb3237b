"""Which routes attach to which listener of a Gateway (its `attachedRoutes`), and why one does not. Pure.

A route attaches if it names the Gateway, and the listener takes its kind, its namespace and one of its hostnames
(Gateway API, ParentReference and AllowedRoutes). What its backends are is of no matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from proxy.kubernetes.deployer.status import supported_kinds
from proxy.kubernetes.deployer.wish import GROUP, Listener, Wish

Object = Mapping[str, Any]
Fault = tuple[str, str]
"""Reason and message."""


def attached(wish: Wish, routes: Iterable[Object], labels: Mapping[str, Mapping[str, str]]) -> dict[str, int]:
    """How many routes each listener has; `labels`: those of every namespace."""
    counts = {each.name: 0 for each in wish.listeners}
    for route in routes:
        namespace = route["metadata"]["namespace"]
        parents = [each for each in route["spec"].get("parentRefs") or () if names(each, namespace, wish.id)]
        for listener in wish.listeners if parents else ():
            if any(_section(each, listener) for each in parents) and _takes(listener, wish, route, labels):
                counts[listener.name] += 1
    return counts


def names(parent: Object, namespace: str, gateway: str) -> bool:
    """Whether the `parentRef` of a route of this namespace means the Gateway, "namespace/name"."""
    of_gateway = parent.get("group", GROUP) == GROUP and parent.get("kind", "Gateway") == "Gateway"
    return of_gateway and f"{parent.get('namespace') or namespace}/{parent['name']}" == gateway


def refusal(parent: Object, wish: Wish, route: Object, labels: Mapping[str, Mapping[str, str]]) -> Fault | None:
    """Why a route does not attach to its parent, which is this Gateway: reason and message. None if it does."""
    named = [each for each in wish.listeners if _section(parent, each)]
    if not named:
        return "NoMatchingParent", "the Gateway has no listener of that name or port"
    allowing = [each for each in named if _allows(each, wish, route, labels)]
    if not allowing:
        return "NotAllowedByListeners", "no listener takes routes of this kind from this namespace"
    if not any(_meets(each.hostname, route["spec"].get("hostnames") or ()) for each in allowing):
        return "NoMatchingListenerHostname", "none of its hostnames is one of a listener's"
    return None


def _section(parent: Object, listener: Listener) -> bool:
    section, port = parent.get("sectionName"), parent.get("port")
    return section in (None, "", listener.name) and port in (None, listener.port)


def _takes(listener: Listener, wish: Wish, route: Object, labels: Mapping[str, Mapping[str, str]]) -> bool:
    return _allows(listener, wish, route, labels) and _meets(listener.hostname, route["spec"].get("hostnames") or ())


def _allows(listener: Listener, wish: Wish, route: Object, labels: Mapping[str, Mapping[str, str]]) -> bool:
    namespace = route["metadata"]["namespace"]
    if (route["kind"], GROUP) not in supported_kinds(listener)[0]:
        return False
    return listener.admission.admits(namespace, labels.get(namespace, {}), wish.namespace)


def _meets(listener: str, hostnames: Sequence[str]) -> bool:
    if not listener or not hostnames:
        return True
    return any(_covers(listener, each) or _covers(each, listener) for each in hostnames)


def _covers(pattern: str, hostname: str) -> bool:
    """`*.a.b` covers every name below a.b, however deep, and not a.b itself."""
    if pattern.startswith("*."):
        return hostname.endswith(pattern[1:])
    return pattern == hostname
