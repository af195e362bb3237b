"""Which routes are looked at when something else changes."""

from __future__ import annotations

from proxy.kubernetes.deployer.queue import RouteKey
from proxy.kubernetes.deployer.referring import Referring

WEB, MESH = RouteKey("shop", "web", "HTTPRoute"), RouteKey("shop", "mesh", "GRPCRoute")


def made() -> Referring:
    found = Referring()
    mirror = {"requestMirror": {"backendRef": {"name": "copy", "namespace": "far"}}}
    spec = {
        "parentRefs": [{"name": "way", "namespace": "system"}],
        "rules": [{"backendRefs": [{"name": "pay"}], "filters": [mirror]}],
    }
    found.put(WEB, {"metadata": {"namespace": "shop", "name": "web"}, "spec": spec})
    refs = [{"group": "", "kind": "Service", "name": "cart"}]
    found.put(MESH, {"metadata": {"namespace": "shop", "name": "mesh"}, "spec": {"parentRefs": refs}})
    return found


def test_by_gateway_service_and_namespace() -> None:
    found = made()
    assert set(found.to_gateway("system", "way")) == {WEB, MESH}, "it may be the waypoint of shop/cart"
    assert set(found.to_gateway("shop", "way")) == {MESH}
    assert [set(found.to("Service", "shop", each)) for each in ("pay", "cart", "other")] == [{WEB}, {MESH}, set()]
    assert set(found.to("Service", "far", "copy")) == {WEB}
    assert [set(found.in_namespace(each)) for each in ("shop", "system", "far", "b")] == [
        {WEB, MESH},
        {WEB},
        {WEB},
        set(),
    ]


def test_it_follows_what_a_route_names_now() -> None:
    found = made()
    found.put(WEB, {"metadata": {"namespace": "shop", "name": "web"}, "spec": {}})
    found.put(MESH, None)
    assert not [*found.to_gateway("system", "way"), *found.to("Service", "shop", "pay"), *found.in_namespace("far")]
    assert set(found.in_namespace("shop")) == {WEB}
