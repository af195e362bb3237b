"""Which routes attach to which listener of a Gateway (its `attachedRoutes`), and why one does not. Pure.

A route attaches if it names the Gateway, and the listener takes its kind, its namespace and one of its hostnames
(Gateway API, ParentReference and AllowedRoutes), and no older route of the other kind is there for the same hosts. What
its backends are is of no matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from proxy.kubernetes.deployer import rivals
from proxy.kubernetes.deployer.rivals import Fault
from proxy.kubernetes.deployer.status import supported_kinds
from proxy.kubernetes.deployer.wish import GROUP, Listener, Wish

Object = Mapping[str, Any]
Labels = Mapping[str, Mapping[str, str]]
"""Those of namespaces."""


def attached(wish: Wish, routes: Iterable[Object], labels: Labels) -> dict[str, int]:
    """How many routes each listener has."""
    naming = [each for each in routes if any(_of(wish, each))]
    return {each.name: len(_in_force(each, wish, naming, labels)) for each in wish.listeners}


def _of(wish: Wish, route: Object) -> Iterator[Object]:
    """The `parentRefs` of a route that mean the Gateway."""
    parents = route["spec"].get("parentRefs") or ()
    return (each for each in parents if names(each, route["metadata"]["namespace"], wish.id))


def _in_force(listener: Listener, wish: Wish, routes: Iterable[Object], labels: Labels) -> list[Object]:
    """Of routes of the Gateway those that a listener has."""
    asking = (route for route in routes if any(_section(each, listener) for each in _of(wish, route)))
    return rivals.in_force((each for each in asking if _takes(listener, wish, each, labels)), _meeting_at(listener))


def names(parent: Object, namespace: str, gateway: str) -> bool:
    """Whether the `parentRef` of a route of this namespace means the Gateway, "namespace/name"."""
    of_gateway = parent.get("group", GROUP) == GROUP and parent.get("kind", "Gateway") == "Gateway"
    return of_gateway and f"{parent.get('namespace') or namespace}/{parent['name']}" == gateway


def refusal(parent: Object, wish: Wish, route: Object, labels: Labels, beside: Sequence[Object] = ()) -> Fault | None:
    """Why a route does not attach to its parent, which is this Gateway. None if it does. `beside`: all that name it."""
    named = [each for each in wish.listeners if _section(parent, each)]
    if not named:
        return "NoMatchingParent", "the Gateway has no listener of that name or port"
    allowing = [each for each in named if _allows(each, wish, route, labels)]
    if not allowing:
        return "NotAllowedByListeners", "no listener takes routes of this kind from this namespace"
    meeting = [each for each in allowing if _meets(each.hostname, _hostnames(route))]
    if not meeting:
        return "NoMatchingListenerHostname", "none of its hostnames is one of a listener's"
    others = [_rival(each, wish, route, labels, beside) for each in meeting]
    return rivals.conflict(others[0]) if others[0] and all(others) else None


def _rival(listener: Listener, wish: Wish, route: Object, labels: Labels, beside: Sequence[Object]) -> Object | None:
    """The route for which a listener does not have this one."""
    return rivals.rival(route, _in_force(listener, wish, beside, labels), _meeting_at(listener))


def _section(parent: Object, listener: Listener) -> bool:
    section, port = parent.get("sectionName"), parent.get("port")
    return section in (None, "", listener.name) and port in (None, listener.port)


def _takes(listener: Listener, wish: Wish, route: Object, labels: Labels) -> bool:
    return _allows(listener, wish, route, labels) and _meets(listener.hostname, _hostnames(route))


def _allows(listener: Listener, wish: Wish, route: Object, labels: Labels) -> bool:
    namespace = route["metadata"]["namespace"]
    if (route["kind"], GROUP) not in supported_kinds(listener)[0]:
        return False
    return listener.admission.admits(namespace, labels.get(namespace, {}), wish.namespace)


def _hostnames(route: Object) -> Sequence[str]:
    return route["spec"].get("hostnames") or ()


def _meeting_at(listener: Listener) -> Callable[[Object, Object], bool]:
    """Whether two routes have a host in common there."""

    def meet(one: Object, other: Object) -> bool:
        others = _shared(listener.hostname, _hostnames(other))
        return any(_meets(each, others) for each in _shared(listener.hostname, _hostnames(one)))

    return meet


def _shared(listener: str, hostnames: Sequence[str]) -> list[str]:
    """The hosts of a route at a listener."""
    if not hostnames:
        return [listener]
    return [each if _covers(listener, each) else listener for each in hostnames if _meets(listener, [each])]


def _meets(one: str, hostnames: Sequence[str]) -> bool:
    """Whether a host is one of these; none are any."""
    return not hostnames or any(_covers(one, each) or _covers(each, one) for each in hostnames)


def _covers(pattern: str, hostname: str) -> bool:
    """`*.a.b` covers every name below a.b, however deep, and not a.b itself; "" covers all."""
    if pattern.startswith("*."):
        return hostname.endswith(pattern[1:])
    return pattern in ("", hostname)
