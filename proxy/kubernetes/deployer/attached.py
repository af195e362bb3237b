"""Which routes attach to which listener of a Gateway: its `attachedRoutes`. Pure.

A route attaches if it names the Gateway, and the listener takes its kind, its namespace and one of its hostnames
(Gateway API, ParentReference and AllowedRoutes). What its backends are is of no matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from proxy.kubernetes.deployer.status import supported_kinds
from proxy.kubernetes.deployer.wish import GROUP, Listener, Wish

Object = Mapping[str, Any]


def attached(wish: Wish, routes: Iterable[Object], labels: Mapping[str, Mapping[str, str]]) -> dict[str, int]:
    """How many routes each listener has; `labels`: those of every namespace."""
    counts = {each.name: 0 for each in wish.listeners}
    for route in routes:
        namespace = route["metadata"]["namespace"]
        parents = [each for each in route["spec"].get("parentRefs") or () if _names(each, namespace, wish)]
        for listener in wish.listeners if parents else ():
            if any(_section(each, listener) for each in parents) and _takes(listener, wish, route, labels):
                counts[listener.name] += 1
    return counts


def _names(parent: Object, namespace: str, wish: Wish) -> bool:
    of_gateway = parent.get("group", GROUP) == GROUP and parent.get("kind", "Gateway") == "Gateway"
    return of_gateway and (parent.get("namespace") or namespace, parent["name"]) == (wish.namespace, wish.name)


def _section(parent: Object, listener: Listener) -> bool:
    section, port = parent.get("sectionName"), parent.get("port")
    return section in (None, "", listener.name) and port in (None, listener.port)


def _takes(listener: Listener, wish: Wish, route: Object, labels: Mapping[str, Mapping[str, str]]) -> bool:
    namespace = route["metadata"]["namespace"]
    if (route["kind"], GROUP) not in supported_kinds(listener)[0]:
        return False
    if not listener.admission.admits(namespace, labels.get(namespace, {}), wish.namespace):
        return False
    return _meets(listener.hostname, route["spec"].get("hostnames") or ())


def _meets(listener: str, hostnames: Sequence[str]) -> bool:
    if not listener or not hostnames:
        return True
    return any(_covers(listener, each) or _covers(each, listener) for each in hostnames)


def _covers(pattern: str, hostname: str) -> bool:
    """`*.a.b` covers every name below a.b, however deep, and not a.b itself."""
    if pattern.startswith("*."):
        return hostname.endswith(pattern[1:])
    return pattern == hostname
