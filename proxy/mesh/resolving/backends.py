"""Where routes send requests: which cluster a reference names, or what is wrong with it (the reasons of ResolvedRefs).

Whoever is sent requests gets a cluster, whether or not clients may ask for him here: requests go straight to his
endpoints, past his own waypoint and past routes of his.
"""

from __future__ import annotations

from typing import NamedTuple

from proxy.mesh.kinds.protocol import Speaks
from proxy.mesh.kinds.routes import HOSTNAME, Referred, Route
from proxy.mesh.kinds.service_entries import Host
from proxy.mesh.kinds.services import Service
from proxy.mesh.resolving import hosts
from proxy.mesh.resolving.inventory import Inventory


class Found(NamedTuple):
    """A cluster's name; or "", and why."""

    cluster: str
    why: str = ""


def found(to: Referred, inventory: Inventory) -> Found:
    """What a reference names."""
    key = to.key
    if key is None:
        kind = f"{to.group}/{to.kind}" if to.group else to.kind
        return Found("", f"InvalidKind: {kind} is no kind of backend here: Service, or networking.istio.io/Hostname")
    service = called(to, inventory) if key.kind == HOSTNAME else inventory.services.get(key.id)
    if service is None:
        return Found("", f"BackendNotFound: there is no {'host' if key.kind == HOSTNAME else key.kind} {key.id}")
    if text := unreachable(service, inventory):
        return Found("", f"BackendNotFound: {service.manifest.kind} {service.id} {text}")
    port = next((each for each in service.ports if each.number == to.port), None)
    if port is None:
        known = ", ".join(str(each.number) for each in service.ports) or "none"
        return Found("", f"BackendNotFound: {service.id} has no port {to.port}; it has {known}")
    if port.speaks is Speaks.UDP:
        return Found("", f"UnsupportedProtocol: port {to.port} of {service.id} is not TCP")
    return Found(f"{service.id}:{to.port}")


def unreachable(service: Service, inventory: Inventory) -> str:
    """Why requests are not sent to its endpoints, or ""."""
    if service.external:
        return "is of type ExternalName, to which routes send nothing (CVE-2021-25740)"
    return hosts.unserved(service, inventory) if isinstance(service, Host) else ""


def leads_to(service: Service, inventory: Inventory) -> bool:
    """Whether a route that is in force here sends requests to a Service."""
    return any(_in_force(route, inventory) for route in inventory.routes.referring(service))


def _in_force(route: Route, inventory: Inventory) -> bool:
    """Whether it attaches to the Gateway, or to something that is bound to it."""
    for key in route.attached:
        if key.kind == "Gateway":
            named = key.id == inventory.gateway.manifest.id
        elif key.kind == "Service":
            service = inventory.services.get(key.id)
            named = service is not None and inventory.binds(service)
        else:
            entry = inventory.service_entries.get(key)
            named = entry is not None and any(map(inventory.binds, entry.hosts))
        if named:
            return True
    return False


def called(to: Referred, inventory: Inventory) -> Service | None:
    """Who has a host name: a Service, else a ServiceEntry of the reference's own namespace, else the first by name."""
    assert to.key
    names = inventory.called(to.key.name) & inventory.services.keys()
    likely = [inventory.services[each] for each in sorted(names)]
    return min(likely, key=lambda each: (isinstance(each, Host), each.manifest.namespace != to.namespace), default=None)
