"""Objects as `waypointctl get` lists them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from proxy.mesh.kinds.destination_rule import DestinationRule
from proxy.mesh.kinds.guards import Guard
from proxy.mesh.kinds.virtual_service import VirtualService

ROUTES = ("HTTPRoute", "GRPCRoute", "VirtualService")
POLICIES = ("AuthorizationPolicy", "RequestAuthentication")


def listed(value: Any) -> dict[str, Any]:
    """A valid object; `created` is "" where nothing says when."""
    manifest = value.manifest
    heading = {"namespace": manifest.namespace, "name": manifest.name, "created": manifest.created}
    return heading | {"kind": manifest.kind} | _OF.get(type(value), _route)(value)


def _rule(rule: DestinationRule) -> dict[str, Any]:
    return {"host": rule.given_host}


def _virtual(virtual: VirtualService) -> dict[str, Any]:
    return {"for": list(virtual.hosts), "rules": len(virtual.http)}


def _route(route: Any) -> dict[str, Any]:
    return {"for": [f"{each.kind}/{each.name}" for each in route.parents], "rules": len(route.rules)}


def _guard(guard: Guard) -> dict[str, Any]:
    """`for` nothing: it is for ztunnels."""
    access = guard.access
    return {
        "action": str(access.action) if access else "",
        "rules": len(access.rules if access else guard.tokens),
        "for": [f"{kind}/{name}" for kind, name in sorted(guard.targets)],
        "in_force": _in_force(guard),
    }


def _in_force(guard: Guard) -> str:
    if not guard.targets:
        return "no"
    if guard.tells:
        return "told"
    return "closes" if guard.closes else "no" if guard.idle else "yes"


_OF: Mapping[type, Callable[[Any], dict[str, Any]]] = {
    DestinationRule: _rule,
    VirtualService: _virtual,
    Guard: _guard,
}
