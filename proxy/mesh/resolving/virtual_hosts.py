"""The hosts of the Gateway itself: routes that attach to its HTTP and HTTPS listeners, put together by host name.

Each name on a port is a frontend: a cluster without endpoints, guarded as the Gateway is, whose routing says all. A
request belongs to the most special listener that covers its host (GatewayHTTPListenerIsolation), and there to the most
special name; nothing falls back to another. Where listeners share a port, each has a frontend for its own name: what
no route of it is for gets 404.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from proxy.mesh.kinds.gateways import HTTPS, OF_HOSTS, Gateway, GatewayListener
from proxy.mesh.kinds.protocol import Speaks
from proxy.mesh.kinds.routes import KIND_CONFLICT, KINDS, ParentRef, Route
from proxy.mesh.kinds.services import Service, ServicePort
from proxy.mesh.model import Cluster, Routes
from proxy.mesh.reading.manifests import GATEWAY_API
from proxy.mesh.reading.report import Report
from proxy.mesh.resolving.clusters import frontend
from proxy.mesh.resolving.hostnames import ANY, intersect, intersection, most_special
from proxy.mesh.resolving.inventory import Inventory
from proxy.mesh.resolving.routing import Table

_LONGEST = 100
"""Characters of a host name; with the Gateway's it is the name of a cluster, which has its place in memory."""
_TEXTS = {
    "NoMatchingParent": "the Gateway has no HTTP or HTTPS listener of that name and port",
    "NotAllowedByListeners": "allowedRoutes of its listeners leaves out the kind or the namespace of this route",
    "NoMatchingListenerHostname": "no host name here is one of its listeners'",
}
_ORDER = (*_TEXTS, "")


@dataclass(frozen=True, slots=True)
class VirtualHosts:
    """`clusters`: the frontends, by name. `names`: by the listeners' port, what leads to them: host names, each also
    with ":*" behind it, which stands for whatever port a Host has, and wildcards."""

    clusters: Mapping[str, Cluster] = field(default_factory=dict)
    names: Mapping[int, Routes] = field(default_factory=dict)


def virtual_hosts(inventory: Inventory, before: Mapping[str, Cluster], report: Report) -> VirtualHosts:
    """Those of the Gateway, with what is the same as `before`."""
    gateway = inventory.gateway
    if gateway.traffic not in ("service", "all", "workload"):
        return VirtualHosts()
    attached = sorted(inventory.routes.attached(gateway.manifest.key), key=lambda route: route.age)
    ports: dict[int, list[GatewayListener]] = {}
    for listener in gateway.listeners:
        if listener.protocol in OF_HOSTS:
            ports.setdefault(listener.port, []).append(listener)
    for route in attached:
        _tell_refused(route, gateway, inventory, report)
    clusters: dict[str, Cluster] = {}
    names: dict[int, Routes] = {}
    for port, listeners in ports.items():
        hosts = dict(_hosts(listeners, attached, inventory, report))
        made = [_cluster(host, listeners[0], routes, inventory, report) for host, routes in hosts.items()]
        made = [before[each.name] if before.get(each.name) == each else each for each in made]
        clusters |= {each.name: each for each in made}
        if hosts:
            names[port] = {each.name: _called(host) for each, host in zip(made, hosts, strict=True)}
    return VirtualHosts(clusters, names)


def _called(host: str) -> tuple[str, ...]:
    return (host,) if host.startswith(ANY) else (host, f"{host}:*")


def _hosts(
    listeners: Sequence[GatewayListener], attached: Sequence[Route], inventory: Inventory, report: Report
) -> Iterator[tuple[str, list[Route]]]:
    """The host names of one port, each with the routes that are for it."""
    own = [listener.hostname for listener in listeners]
    found: dict[str, list[Route]] = {each or ANY: [] for each in own if len(own) > 1}
    for listener in listeners:
        for route in _accepted(listener, attached, inventory, report):
            for host in intersection(listener.hostname, route.hostnames):
                if len(host) > _LONGEST:
                    text = f"{host} has more than {_LONGEST} characters and is not served by this version"
                    report.warn(route.manifest, ("spec", "hostnames"), text)
                elif most_special(host, own) == listener.hostname:
                    found.setdefault(host, []).append(route)
    yield from sorted(found.items())


def _accepted(
    listener: GatewayListener, attached: Sequence[Route], inventory: Inventory, report: Report
) -> list[Route]:
    """Of routes of two kinds with intersecting names the older is in force, and the other not at all."""
    found: list[tuple[Route, tuple[str, ...]]] = []
    for route in attached:
        if all(_refused(parent, route, listener, inventory) for parent in route.parents):
            continue
        names = intersection(listener.hostname, route.hostnames)
        rival = next((each for each, theirs in found if _rivals(each, route) and intersect(theirs, names)), None)
        if rival:
            other = rival.manifest
            text = f"{KIND_CONFLICT}: on listener {listener.name} {other.kind} {other.id} is older, for the same hosts"
            report.warn(route.manifest, ("spec", "parentRefs"), text)
        else:
            found.append((route, names))
    return [route for route, _ in found]


def _rivals(one: Route, other: Route) -> bool:
    return one.manifest.kind != other.manifest.kind


def _refused(parent: ParentRef, route: Route, listener: GatewayListener, inventory: Inventory) -> str:
    """Why a listener does not take a route, as the Gateway API calls it; "" if it does."""
    kinds = listener.kinds or {(GATEWAY_API, kind) for kind in KINDS}
    namespace, own = route.manifest.namespace, inventory.gateway.manifest
    if (
        parent.key != own.key
        or listener.protocol not in OF_HOSTS
        or parent.section not in ("", listener.name)
        or parent.port not in (0, listener.port)
    ):
        return "NoMatchingParent"
    if (GATEWAY_API, route.manifest.kind) not in kinds or not listener.admission.admits(
        namespace, dict(inventory.labels_of(namespace)), own.namespace
    ):
        return "NotAllowedByListeners"
    return "" if intersection(listener.hostname, route.hostnames) else "NoMatchingListenerHostname"


def _tell_refused(route: Route, gateway: Gateway, inventory: Inventory, report: Report) -> None:
    """Say which references no listener takes, and why the one that came closest does not."""
    for parent in route.parents:
        if parent.key == gateway.manifest.key:
            reasons = {_refused(parent, route, listener, inventory) for listener in gateway.listeners}
            if why := max(reasons, key=_ORDER.index):
                report.warn(route.manifest, parent.path, f"{why}: {_TEXTS[why]}, so it does nothing there")


def _cluster(
    host: str, listener: GatewayListener, routes: Sequence[Route], inventory: Inventory, report: Report
) -> Cluster:
    gateway, port = inventory.gateway.manifest, listener.port
    table = Table(port, inventory, report, scheme="https" if listener.protocol == HTTPS else "http")
    table.add(routes)
    behind = Service(gateway, (ServicePort(port, "", port, Speaks.HTTP, 0),), (), external=False, selector={})
    made = frontend(inventory, behind, host, report)
    return replace(made, authority=f"{host}:{port}", routing=table.routing())
