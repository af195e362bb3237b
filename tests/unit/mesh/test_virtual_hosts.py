"""Routes of the Gateway's own listeners: rows A14, A15, H1 to H5 and B11 of the reference's tables."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.mesh.model import Snapshot
from tests.unit.mesh.mesh_rig import Object, gateway, listener, loaded, names_of, namespace, service, thing, warnings
from tests.unit.mesh.route_rig import CART, TO_GATEWAY, answers, filtered, grant, grpc, http

TO: Object = {"backendRefs": [CART]}
ALL: Object = {"allowedRoutes": {"namespaces": {"from": "All"}}}


def route(name: str = "r", *rules: Object, **fields: Any) -> Object:
    return http(name, *(rules or (TO,)), **{"parents": [TO_GATEWAY], **fields})


def snapshot(*objects: Object, doors: Any = ()) -> Snapshot:
    result = loaded(*beside(*objects, doors=doors))
    assert result.snapshot, [str(each) for each in result.faults]
    return result.snapshot


def beside(*objects: Object, doors: Any = ()) -> tuple[Object, ...]:
    """A Gateway with these listeners, and Service cart, which is bound to another."""
    mine = (namespace("shop", {}), namespace("far", {}), service(), service("till", "far"))
    return (*mine, gateway(*(doors or (listener(),))), *objects)


def hosts(found: Snapshot, at: int = 0) -> dict[str, str]:
    """Every name on a listener, and the frontend that it leads to."""
    return names_of(found.listeners[at])


def names(found: Snapshot, at: int = 0) -> list[str]:
    return sorted(each for each in hosts(found, at) if not each.endswith(":*"))


def test_a14_a_route_of_a_listener_is_a_host() -> None:
    found = snapshot(route(hostnames=["a.example"]))
    assert hosts(found) == {"a.example": "shop/wp:80/a.example", "a.example:*": "shop/wp:80/a.example"}
    frontend = found.clusters["shop/wp:80/a.example"]
    assert (
        frontend.endpoints == () and frontend.protocol == "http" and answers(frontend) == [("path^/", "shop/cart:80*1")]
    )
    assert "shop/cart:80" in found.clusters, "what it leads to, whoever's waypoint that has"
    assert not any("cart" in name for name in hosts(found))


@pytest.mark.parametrize(
    ("parent", "door", "said"),
    [
        pytest.param({}, {}, "", id="A14"),
        pytest.param({"sectionName": "http", "port": 80}, {}, "", id="A14-both"),
        pytest.param({"sectionName": "web"}, {}, "NoMatchingParent", id="A14-section"),
        pytest.param({"port": 81}, {}, "NoMatchingParent", id="A14-port"),
        pytest.param({}, {"allowedRoutes": {"kinds": [{"kind": "GRPCRoute"}]}}, "NotAllowedByListeners", id="A14-kind"),
        pytest.param({}, {"allowedRoutes": {"kinds": [{"kind": "HTTPRoute"}]}}, "", id="A14-its-kind"),
        pytest.param({}, {"hostname": "b.example"}, "NoMatchingListenerHostname", id="H3"),
    ],
)
def test_which_listeners_take_a_route(parent: Object, door: Object, said: str) -> None:
    objects = (route(hostnames=["a.example"], parents=[TO_GATEWAY | parent]),)
    found = names(snapshot(*objects, doors=[listener(**door)]))
    assert found == ([] if said else ["a.example"])
    told = warnings(*beside(*objects, doors=[listener(**door)]))
    assert (f"HTTPRoute shop/r: spec.parentRefs[0]: {said}: " in told) if said else ("HTTPRoute" not in told)


@pytest.mark.parametrize(("door", "taken"), [(ALL, True), ({}, False)])
def test_a14_routes_of_other_namespaces_where_they_are_allowed(door: Object, taken: bool) -> None:
    mine = route(ns="far", hostnames=["a.example"], parents=[TO_GATEWAY | {"namespace": "shop"}])
    assert names(snapshot(mine, doors=[listener(**door)])) == (["a.example"] if taken else [])


def test_an_hbone_listener_has_no_hosts() -> None:
    doors = [listener("mesh", 15008, "HBONE")]
    assert "NoMatchingParent" in warnings(*beside(route(), doors=doors))
    assert hosts(snapshot(route(), doors=doors)) == {}


@pytest.mark.parametrize(
    ("second", "both"),
    [(["a.example"], False), (["*.example"], False), ([], False), (["b.example"], True)],
)
def test_a15_of_two_kinds_for_the_same_hosts_the_older_is_in_force(second: list[str], both: bool) -> None:
    objects = (
        route("r", hostnames=["a.example"], created="2025-01-01T00:00:00Z"),
        grpc("g", TO, parents=[TO_GATEWAY], hostnames=second, created="2026-01-01T00:00:00Z"),
    )
    found = snapshot(*objects)
    assert names(found) == (["a.example", "b.example"] if both else ["a.example"])
    told = "GRPCRoute shop/g: spec.parentRefs: RouteKindConflict: on listener http HTTPRoute shop/r is older"
    assert (told in warnings(*beside(*objects))) is not both


@pytest.mark.parametrize(
    ("own", "given", "found"),
    [
        pytest.param("", [], ["*"], id="H1"),
        pytest.param("", ["a.example"], ["a.example"], id="H1-name"),
        pytest.param("*.example", [], ["*.example"], id="H3-none"),
        pytest.param("*.example", ["a.b.example", "b.other"], ["a.b.example"], id="H2"),
        pytest.param("*.example", ["example"], [], id="H2-not-itself"),
        pytest.param("*.wildcard.io", ["foo.wildcard.io"], ["foo.wildcard.io"], id="H3-wildcard"),
        pytest.param("very.specific.com", ["*.specific.com"], ["very.specific.com"], id="H3-specific"),
        pytest.param("*.b.example", ["*.example"], ["*.b.example"], id="H3-narrower"),
        pytest.param("*.example", ["*.b.example"], ["*.b.example"], id="H3-wider"),
        pytest.param("A.Example", ["a.example"], ["a.example"], id="H1-case"),
    ],
)
def test_the_names_of_a_route_on_a_listener(own: str, given: list[str], found: list[str]) -> None:
    assert names(snapshot(route(hostnames=given), doors=[listener(hostname=own)])) == found


def test_h4_routes_of_one_name_are_merged_and_those_of_others_are_not() -> None:
    one = {"matches": [{"path": {"value": "/v2"}}], **TO}
    found = snapshot(
        route("a", hostnames=["a.example", "b.example"]), route("b", one, hostnames=["a.example", "*.example"])
    )
    assert [each for each, _ in answers(found.clusters["shop/wp:80/a.example"])] == ["path^/v2", "path^/"]
    assert [each for each, _ in answers(found.clusters["shop/wp:80/b.example"])] == ["path^/"]
    assert [each for each, _ in answers(found.clusters["shop/wp:80/*.example"])] == ["path^/v2"]


SHARED = [
    listener("any", 80),
    listener("wild", 80, hostname="*.example.com"),
    listener("special", 80, hostname="*.foo.example.com"),
    listener("exact", 80, hostname="abc.foo.example.com"),
]


def test_h5_a_request_belongs_to_the_most_special_listener() -> None:
    """GatewayHTTPListenerIsolation."""
    objects = [
        route(name, {"matches": [{"path": {"value": f"/{name}"}}], **TO}, parents=[TO_GATEWAY | {"sectionName": name}])
        for name in ("any", "wild", "special", "exact")
    ]
    found = snapshot(*objects, doors=SHARED)
    assert len(found.listeners) == 1, "one socket"
    assert {name: answers(found.clusters[hosts(found)[name]])[0][0] for name in names(found)} == {
        "*": "path^/any",
        "*.example.com": "path^/wild",
        "*.foo.example.com": "path^/special",
        "abc.foo.example.com": "path^/exact",
    }


def test_h5_a_listener_without_routes_keeps_its_requests_from_others() -> None:
    mine = route("any", hostnames=["abc.foo.example.com", "bar.com"], parents=[TO_GATEWAY | {"sectionName": "any"}])
    found = snapshot(mine, doors=SHARED)
    assert answers(found.clusters["shop/wp:80/bar.com"])
    for name in ("*", "*.example.com", "*.foo.example.com", "abc.foo.example.com"):
        assert answers(found.clusters[f"shop/wp:80/{name}"]) == [], "404"


def test_h5_listeners_share_a_port_under_different_names_only() -> None:
    result = loaded(*beside(doors=[listener("a", 80), listener("b", 80)]))
    assert "port: 80 is taken by listener" in str(result.faults[0])


def test_a_waypoint_for_nothing_has_no_hosts() -> None:
    doors = gateway(listener(), labels={"istio.io/waypoint-for": "none"})
    objects = [each for each in beside(route()) if each["kind"] != "Gateway"]
    found = loaded(*objects, doors).snapshot
    assert found is not None and hosts(found) == {}


def test_ports_have_hosts_of_their_own() -> None:
    doors = [listener("a", 80), listener("b", 8080)]
    found = snapshot(route(hostnames=["a.example"], parents=[TO_GATEWAY | {"port": 8080}]), doors=doors)
    assert (names(found, 0), names(found, 1)) == ([], ["a.example"])


def test_f8_a_redirect_knows_the_listeners_port() -> None:
    rules = {"filters": [filtered("RequestRedirect", hostname="b.example")]}
    found = snapshot(route("r", rules), doors=[listener("a", 8080)]).clusters["shop/wp:8080/*"].routing
    assert found and found.rules[0].redirect and found.rules[0].redirect.own_port == 8080


FAR: Object = {"backendRefs": [{"name": "till", "namespace": "far", "port": 80}]}


@pytest.mark.parametrize(
    ("given", "allowed"),
    [
        pytest.param([], False, id="B11"),
        pytest.param([grant("shop", "far")], True, id="B11-grant"),
        pytest.param([grant("shop", "far", name="till")], True, id="B11-name"),
        pytest.param([grant("shop", "far", name="cart")], False, id="B11-other-name"),
        pytest.param([grant("far", "far")], False, id="B11-other-asker"),
        pytest.param([grant("shop", "shop")], False, id="B11-other-place"),
        pytest.param([grant("shop", "far", kind="GRPCRoute")], False, id="B11-other-kind"),
    ],
)
def test_a_backend_in_another_namespace_needs_a_grant(given: list[Object], allowed: bool) -> None:
    found = answers(snapshot(route("r", FAR), *given).clusters["shop/wp:80/*"])
    assert found == [("path^/", "far/till:80*1" if allowed else "500*1")]
    assert ("RefNotPermitted" in warnings(*beside(route("r", FAR), *given))) is not allowed


def policy(**spec: Any) -> Object:
    target = {"kind": "Gateway", "group": "gateway.networking.k8s.io", "name": "wp"}
    return thing("AuthorizationPolicy", "security.istio.io/v1", "guard", spec={"targetRefs": [target], **spec})


def test_hosts_are_behind_the_policies_of_the_gateway() -> None:
    deny = snapshot(route(), policy(action="DENY", rules=[{}])).clusters["shop/wp:80/*"]
    assert [each.name for each in deny.access] == ["shop/guard"] and not deny.closed
    closed = snapshot(route(), policy(action="CUSTOM", provider={"name": "p"}, rules=[{}])).clusters["shop/wp:80/*"]
    assert "is not enforced by this version, so what it guards is closed" in closed.closed


def test_a_name_that_a_service_has_too_is_the_routes() -> None:
    bound = service(labels={"istio.io/use-waypoint": "wp"})
    objects = [each for each in beside(route(hostnames=["cart.shop"])) if each["metadata"] != service()["metadata"]]
    result = loaded(*objects, bound)
    assert result.snapshot is not None
    found = hosts(result.snapshot)
    assert found["cart.shop"] == found["cart.shop:*"] == "shop/wp:80/cart.shop"
    assert "cart.shop:80" not in found and found["cart.shop.svc.cluster.local"] == "shop/cart:80"
    assert "a host of routes on port 80 is a name of Service shop/cart" in "\n".join(result.warnings)


def test_a_wildcard_takes_no_name_of_a_service() -> None:
    bound = service("bound", labels={"istio.io/use-waypoint": "wp"})
    found = hosts(snapshot(route(hostnames=["*.shop"]), bound))
    assert found["bound.shop"] == "shop/bound:80" and found["*.shop"] == "shop/wp:80/*.shop"
