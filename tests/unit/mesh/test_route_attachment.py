"""Which routes a Service has, and where they lead: rows A, B and G5 of the reference's tables."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.mesh.traffic.routing import NO_EDITS
from tests.unit.mesh.mesh_rig import (
    Object,
    clusters,
    endpoint_slice,
    external,
    gateway,
    hbone,
    listener,
    loaded,
    member,
    names_of,
    namespace,
    served,
    service,
    thing,
    warnings,
)
from tests.unit.mesh.route_rig import (
    CART,
    TILL,
    TO_CART,
    around,
    filtered,
    grant,
    grpc,
    http,
    pairs,
    routing,
)

TO_TILL: Object = {"backendRefs": [TILL]}
OTHER: Object = {"backendRefs": [TILL | {"namespace": "far"}]}
TWO = [{"name": "http", "port": 80}, {"name": "web", "port": 81}]
ENTRY: Object = {"group": "networking.istio.io", "kind": "ServiceEntry", "name": "api"}


def lead(*objects: Object, **more: Any) -> list[tuple[str, str]] | None:
    """Of cart:80."""
    found = routing(*objects, **more)
    return pairs(found) if found else None


@pytest.mark.parametrize(
    ("parent", "attaches"),
    [
        pytest.param(TO_CART, True, id="A1"),
        pytest.param({"kind": "Service", "name": "cart"}, False, id="A2-group"),
        pytest.param({"group": "", "kind": "Service", "name": "cart", "namespace": "far"}, False, id="A2-namespace"),
        pytest.param({"group": "", "kind": "Pod", "name": "cart"}, False, id="A1-kind"),
        pytest.param(TO_CART | {"port": 80}, True, id="A5"),
        pytest.param(TO_CART | {"port": 81}, False, id="A5-other"),
        pytest.param(TO_CART | {"sectionName": "http"}, True, id="A6"),
        pytest.param(TO_CART | {"sectionName": "web"}, False, id="A6-other"),
        pytest.param(TO_CART | {"sectionName": "web", "port": 80}, False, id="A6-both"),
    ],
)
def test_what_a_route_attaches_to(parent: Object, attaches: bool) -> None:
    found = lead(http("r", TO_TILL, parents=[parent]), ports=TWO)
    assert found == ([("path^/", "shop/till:80*1")] if attaches else None)


def test_a1_a_service_entry_has_routes() -> None:
    found = clusters(*around(external(), http("r", TO_TILL, parents=[ENTRY])))["shop/api.example.com:80"].routing
    assert found and pairs(found) == [("path^/", "shop/till:80*1")]


def test_a5_without_a_port_it_is_for_all_of_them() -> None:
    for name in ("shop/cart:80", "shop/cart:81"):
        assert routing(http("r", TO_TILL), ports=TWO, name=name)


def test_a5_a_port_that_is_not_there_is_told() -> None:
    said = warnings(*around(http("r", TO_TILL, parents=[TO_CART | {"port": 82}]), ports=TWO))
    assert "spec.parentRefs[0]: NoMatchingParent: of Service shop/cart there is no such port for HTTP here" in said
    assert "there is 80 (http), 81 (web)" in said


def test_a_port_that_speaks_tcp_has_no_routes() -> None:
    ports = [{"name": "tcp", "port": 80}]
    assert lead(http("r", TO_TILL), ports=ports) is None
    assert "NoMatchingParent" in warnings(*around(http("r", TO_TILL), ports=ports))


def test_a3_a_producer_route_is_for_all_clients() -> None:
    assert lead(http("r", TO_TILL)) == [("path^/", "shop/till:80*1")]


CONSUMER = http("c", OTHER, ns="far", parents=[TO_CART | {"namespace": "shop"}])


def test_a4_a_consumer_route_is_for_clients_of_its_namespace() -> None:
    assert lead(CONSUMER) == [
        ("namespace=far path^/", "far/till:80*1"),
        ("namespace=far", "404"),
        ("", "shop/cart:80*1"),
    ], "others are served as without routes"


def test_a4_clients_that_have_routes_of_their_own_have_none_of_the_producer() -> None:
    """GEP-1294: routes are merged within a group only."""
    one = {"matches": [{"path": {"value": "/a", "type": "Exact"}}], **OTHER}
    assert lead(http("r", TO_TILL), http("c", one, ns="far", parents=[TO_CART | {"namespace": "shop"}])) == [
        ("namespace=far path=/a", "far/till:80*1"),
        ("namespace=far", "404"),
        ("path^/", "shop/till:80*1"),
    ]


def test_a8_hostnames_say_nothing_of_a_service() -> None:
    route = http("r", TO_TILL, hostnames=["another.example"])
    assert lead(route) == [("path^/", "shop/till:80*1")]
    assert "HTTPRoute shop/r: spec.hostnames: are of listeners of Gateways" in warnings(*around(route))


@pytest.mark.parametrize(("kind", "group"), [("Service", '""'), ("ServiceEntry", '"networking.istio.io"')])
def test_a2_a_group_that_is_left_out_is_told(kind: str, group: str) -> None:
    told = warnings(*around(http("r", TO_TILL, parents=[{"kind": kind, "name": "cart"}])))
    assert "HTTPRoute shop/r: spec.parentRefs[0]: kind " in told and f"write group: {group}" in told


def test_a9_without_routes_there_is_no_routing() -> None:
    assert lead() is None


def test_a10_nothing_falls_through() -> None:
    found = routing(http("r", {"matches": [{"method": "GET"}], **TO_TILL}))
    assert found is not None and len(found.matches) == 1 and found.matches[0].conditions


@pytest.mark.parametrize("labels", [{"istio.io/use-waypoint": "none"}, {"istio.io/use-waypoint": "other"}])
def test_a12_a_service_that_we_do_not_serve_is_not_served_for_its_route(labels: dict[str, str]) -> None:
    objects = (namespace("shop", {}), gateway(hbone()), service(labels=labels), service("till"), http("r", TO_TILL))
    assert served(*objects) == [] and "HTTPRoute" not in warnings(*objects)


def test_f1_s6_a_broken_rule_answers_500_and_the_others_serve() -> None:
    odd = {"matches": [{"path": {"value": "/a"}}], "filters": [{"type": "Odd"}], **TO_TILL}
    found = routing(http("r", odd, TO_TILL))
    assert found and pairs(found) == [("path^/a", "500"), ("path^/", "shop/till:80*1")]
    assert found.rules[0].direct and found.rules[0].direct.grpc_status == 14
    said = "HTTPRoute shop/r: spec.rules[0].filters[0].type: must be one of RequestHeaderModifier"
    assert said in warnings(*around(http("r", odd)))
    assert said not in warnings(*around(http("r", odd, parents=[{"name": "ingress"}]))), "that of another Gateway"


@pytest.mark.parametrize(
    ("refs", "done"),
    [
        pytest.param([TILL | {"weight": 3}, CART], "shop/till:80*3 shop/cart:80*1", id="B1"),
        pytest.param([TILL, {"name": "gone", "port": 1, "weight": 0}], "shop/till:80*1", id="B3"),
        pytest.param([], "500", id="B4"),
        pytest.param([TILL | {"weight": 0}], "500", id="B4-weight"),
        pytest.param([TILL, {"name": "gone", "port": 1}], "shop/till:80*1 500*1", id="B5"),
        pytest.param([CART], "shop/cart:80*1", id="B13"),
    ],
)
def test_backends_have_their_shares(refs: list[Object], done: str) -> None:
    found = routing(http("r", {"backendRefs": refs}))
    assert found and pairs(found) == [("path^/", done)]
    direct = found.rules[0].direct
    assert (direct.grpc_status if direct else None) == (14 if done == "500" else None)


HOSTNAME: Object = {"group": "networking.istio.io", "kind": "Hostname", "port": 80}


@pytest.mark.parametrize(
    ("ref", "said"),
    [
        pytest.param({"name": "gone", "port": 80}, "BackendNotFound: there is no Service shop/gone", id="B5"),
        pytest.param(TILL | {"port": 8}, "BackendNotFound: shop/till has no port 8; it has 80", id="B5-port"),
        pytest.param({"name": "udp", "port": 53}, "UnsupportedProtocol: port 53 of shop/udp is not TCP", id="B5-udp"),
        pytest.param(
            {"name": "out", "port": 80}, "BackendNotFound: Service shop/out is of type ExternalName", id="B5-outside"
        ),
        pytest.param(
            {"name": "a", "kind": "Bucket", "group": "b.example"}, "InvalidKind: b.example/Bucket is no kind", id="B10"
        ),
        pytest.param(
            HOSTNAME | {"name": "gone.example"}, "BackendNotFound: there is no host gone.example", id="B10-no"
        ),
        pytest.param({**ENTRY, "port": 80}, "InvalidKind: networking.istio.io/ServiceEntry is no kind", id="B10-entry"),
    ],
)
def test_s7_a_backend_that_cannot_be_is_told_and_its_share_gets_500(ref: Object, said: str) -> None:
    udp = service("udp", ports=[{"port": 53, "protocol": "UDP"}])
    objects = around(udp, service("out", spec={"type": "ExternalName"}), http("r", {"backendRefs": [TILL, ref]}))
    route = clusters(*objects)["shop/cart:80"].routing
    assert route and pairs(route) == [("path^/", "shop/till:80*1 500*1")]
    told = warnings(*objects)
    assert f"HTTPRoute shop/r: spec.rules[0].backendRefs[1]: {said}" in told
    assert "so its share of the requests gets 500 (gRPC: 14)" in told


@pytest.mark.parametrize(
    ("host", "cluster"),
    [
        pytest.param("api.example.com", "shop/api.example.com:80", id="B10"),
        pytest.param("API.example.com", "shop/api.example.com:80", id="B10-case"),
        pytest.param("till.far.svc.cluster.local", "far/till:80", id="B10-service"),
    ],
)
def test_a_backend_that_is_called_by_its_host(host: str, cluster: str) -> None:
    found = clusters(*around(external(), http("r", {"backendRefs": [HOSTNAME | {"name": host}]})))
    assert cluster in found
    route = found["shop/cart:80"].routing
    assert route and pairs(route) == [("path^/", f"{cluster}*1")]


def test_b11_a_service_parent_asks_for_no_grant_and_says_so() -> None:
    text = "no ReferenceGrant of namespace far lets HTTPRoutes of shop refer to it"
    assert lead(http("r", OTHER)) == [("path^/", "far/till:80*1")]
    assert text in warnings(*around(http("r", OTHER)))
    assert text not in warnings(*around(http("r", OTHER), grant("shop", "far")))
    back = http(
        "c", {"backendRefs": [CART | {"namespace": "shop"}]}, ns="far", parents=[TO_CART | {"namespace": "shop"}]
    )
    assert "ReferenceGrant" not in warnings(*around(back)), "to the Service that it is for, or what is beside it"


def test_b11_grants_of_all_routes_where_the_gateway_asks_for_them() -> None:
    """The annotation, and what is no known word for it; what is beside the Service is free all the same."""

    def found(said: str, *more: Object) -> tuple[list[tuple[str, str]], str]:
        door = gateway(hbone(), annotations={"waypointd.io/reference-grants": said})
        objects = (door, *(each for each in around(*more) if each["kind"] != "Gateway"))
        route = clusters(*objects)["shop/cart:80"].routing
        assert route
        return pairs(route), warnings(*objects)

    text = "RefNotPermitted: no ReferenceGrant of namespace far lets HTTPRoutes of shop refer to it"
    assert found("gateways", http("r", OTHER))[0] == [("path^/", "far/till:80*1")]
    lead, said = found("all", http("r", OTHER))
    assert lead == [("path^/", "500*1")] and text in said
    assert found("all", http("r", OTHER), grant("shop", "far"))[0] == [("path^/", "far/till:80*1")]
    assert found("all", http("r", TO_TILL))[0] == [("path^/", "shop/till:80*1")]
    lead, said = found("yes", http("r", OTHER))
    assert lead == [("path^/", "500*1")] and 'must be gateways or all, not "yes", so all routes need' in said


def test_b12_a_backend_that_is_not_ours_is_reached_straight_and_by_nobody_else() -> None:
    slice_ = endpoint_slice(member("10.9.0.1"), of="till", ns="far", name="till-1")
    objects = around(slice_, http("r", OTHER))
    found = loaded(*objects).snapshot
    assert found is not None
    far = found.clusters["far/till:80"]
    assert [each.address for each in far.endpoints] == ["10.9.0.1:8080"] and far.routing is None
    for each in found.listeners:
        assert "far/till" not in each.services and not any("far" in name for name in names_of(each))
    assert "far/till:80" not in clusters(*around(slice_)), "without the route nobody leads there"


def test_b12_routes_of_a_backend_are_not_followed() -> None:
    back = http("b", {"backendRefs": [CART]}, parents=[{"group": "", "kind": "Service", "name": "till"}])
    found = clusters(*around(http("r", TO_TILL), back))
    assert found["shop/till:80"].routing and found["shop/cart:80"].routing
    assert found["shop/cart:80"].routing.rules[0].backends[0].cluster == "shop/till:80"


@pytest.mark.parametrize("spec", [{"clusterIP": "None"}, {"selector": None}])
def test_b15_headless_and_selectorless_services(spec: Object) -> None:
    mine = service("till", "far", spec=spec)
    objects = [each for each in around(http("r", OTHER)) if each["metadata"] != mine["metadata"]]
    assert "far/till:80" in clusters(*objects, mine, endpoint_slice(member("10.9.0.1"), of="till", ns="far"))


def test_b12_a_port_for_tcp_is_reached_too() -> None:
    far = service("tls", "far", ports=[{"name": "tls", "port": 443}])
    ref = {"name": "tls", "namespace": "far", "port": 443}
    assert lead(far, http("r", {"backendRefs": [ref]})) == [("path^/", "far/tls:443*1")]
    plain = (namespace(), gateway(listener()), service(), far, http("r", {"backendRefs": [ref]}))
    assert served(*plain) == ["far/tls:443", "shop/cart:80"]


def test_f14_a_mirror_that_is_not_there_is_left_out_and_told() -> None:
    mirrors = [filtered("RequestMirror", backendRef={"name": each, "port": 80}) for each in ("till", "gone")]
    objects = around(http("r", {"filters": mirrors, "backendRefs": [CART]}))
    found = clusters(*objects)["shop/cart:80"].routing
    assert found and [each.cluster for each in found.rules[0].mirrors] == ["shop/till:80"]
    assert "filters[1].requestMirror.backendRef: BackendNotFound: there is no Service shop/gone" in warnings(*objects)


def test_f8_a_redirect_knows_the_port_that_was_asked_for() -> None:
    for number in (80, 81):
        rules = {"filters": [filtered("RequestRedirect", hostname="a")]}
        found = routing(http("r", rules), name=f"shop/cart:{number}", ports=TWO)
        assert found and found.rules[0].redirect and found.rules[0].redirect.own_port == number


def test_f17_filters_of_a_backend_are_its_own() -> None:
    edits = filtered("RequestHeaderModifier", set=[{"name": "a", "value": "b"}])
    found = routing(http("r", {"backendRefs": [TILL | {"filters": [edits]}, CART]}))
    assert found
    first, second = found.rules[0].backends
    assert first.request.set == (("a", "b"),) and second.request == NO_EDITS == found.rules[0].request


@pytest.mark.parametrize(
    ("created", "kind"),
    [
        pytest.param(("2026-01-01T00:00:00Z", "2025-01-01T00:00:00Z"), "GRPCRoute", id="G5"),
        pytest.param(("2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z"), "HTTPRoute", id="G5-other"),
        pytest.param(("2025-01-01T00:00:00Z", "2025-01-01T00:00:00Z"), "GRPCRoute", id="G5-name"),
    ],
)
def test_of_two_kinds_the_older_is_in_force(created: tuple[str, str], kind: str) -> None:
    objects = around(http("r", TO_TILL, created=created[0]), grpc("g", TO_TILL, created=created[1]))
    found = clusters(*objects)["shop/cart:80"].routing
    assert found and len(found.rules) == 1 and found.rules[0].name.startswith(kind)
    assert f"RouteKindConflict: {kind} shop/" in warnings(*objects)


def test_a4_of_two_kinds_in_different_groups_both_are_in_force() -> None:
    found = lead(grpc("g", TO_TILL), CONSUMER)
    assert found == [("namespace=far path^/", "far/till:80*1"), ("namespace=far", "404"), ("", "shop/till:80*1")]


def test_rules_are_called_by_their_route_and_place() -> None:
    found = routing(http("r", TO_TILL, {"name": "named", **TO_TILL}))
    assert found and [each.name for each in found.rules] == ["HTTPRoute shop/r rule 0", "HTTPRoute shop/r rule named"]


def test_policies_of_the_frontend_stand_before_its_routes() -> None:
    spec = {"targetRefs": [{"kind": "Service", "name": "cart"}], "rules": [{}]}
    guard = thing("AuthorizationPolicy", "security.istio.io/v1", "guard", spec=spec)
    found = clusters(*around(http("r", TO_TILL), guard))
    assert found["shop/cart:80"].access and found["shop/cart:80"].routing and not found["shop/till:80"].access
