"""Builders for the tests of VirtualServices, and what comes of them."""

from __future__ import annotations

from typing import Any

from proxy.mesh.model import Cluster
from proxy.mesh.traffic.routing import Condition, RouteRule, Routing
from tests.unit.mesh.mesh_rig import Object, loaded, shop, virtual

CART: Object = {"destination": {"host": "cart"}}
TWO_PORTS = [{"name": "http", "port": 80, "targetPort": 8080}, {"name": "more", "port": 8080, "targetPort": 8080}]


def http(*rules: Object, hosts: tuple[str, ...] = ("cart",), **spec: Any) -> Object:
    return {"hosts": list(hosts), "http": [*rules], **spec}


def clusters_of(*objects: Object) -> dict[str, Cluster]:
    result = loaded(*objects)
    assert result.snapshot, [str(each) for each in result.faults]
    return dict(result.snapshot.clusters)


def told(*objects: Object) -> list[str]:
    result = loaded(*objects)
    assert result.snapshot, [str(each) for each in result.faults]
    return [each.partition(": ")[2] for each in result.warnings]


def routing_of(*objects: Object, cluster: str = "shop/cart:80") -> Routing:
    found = clusters_of(*shop(*objects))[cluster].routing
    assert found
    return found


def rule_of(**fields: Any) -> RouteRule:
    """What one rule comes to, that sends requests to the Service itself if it does not say otherwise."""
    sent = {} if {"redirect", "directResponse"} & fields.keys() else {"route": [CART]}
    (found,) = routing_of(virtual(http(sent | fields))).rules
    return found


def conditions_of(**fields: Any) -> tuple[Condition, ...]:
    """What one match comes to."""
    return routing_of(virtual(http({"match": [fields], "route": [CART]}))).matches[0].conditions


ALL: Object = {"allowedRoutes": {"namespaces": {"from": "All"}}}
FULL = "cart.shop.svc.cluster.local"
