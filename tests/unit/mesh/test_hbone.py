"""HBONE listeners: what is opened, which CONNECT authority selects which cluster, and what waypoint-for changes."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.mesh.model import Listener
from tests.unit.mesh.mesh_rig import (
    USE,
    USE_NS,
    Object,
    clusters,
    clusters_of,
    endpoint_slice,
    gateway,
    hbone,
    listener,
    loaded,
    member,
    names_of,
    namespace,
    pod,
    routes,
    rule,
    service,
    shop,
    thing,
    warnings,
)

PORTS = [
    {"name": "http", "port": 80, "targetPort": 8080},
    {"name": "grpc", "port": 81, "targetPort": 8081},
    {"name": "web", "port": 82, "targetPort": 8082},
    {"name": "tcp-x", "port": 83, "targetPort": 8083},
    {"name": "dns", "port": 84, "targetPort": 8084, "protocol": "UDP"},
    {"name": "raw", "port": 85, "targetPort": 8085, "appProtocol": "kubernetes.io/wss"},
]
SLICED = [{"name": each["name"], "port": each["targetPort"]} for each in PORTS]
FORMS = ["cart", "cart.shop", "cart.shop.svc", "cart.shop.svc.cluster.local", "cart.shop.svc.cluster.local."]


def listeners(*objects: Object) -> dict[str, Listener]:
    result = loaded(*objects)
    assert result.snapshot, [str(fault) for fault in result.faults]
    return {each.name: each for each in result.snapshot.listeners}


def everything(*doors: Object) -> tuple[Object, ...]:
    """One Service that speaks everything, behind a Gateway with the given listeners."""
    return namespace(), gateway(*doors), service(ports=PORTS), endpoint_slice(ports=SLICED)


def waypoint_for(traffic: str, *doors: Object) -> Object:
    return gateway(*doors, labels={"istio.io/waypoint-for": traffic})


# What is opened


def test_listeners_of_both_kinds_and_several_ports_are_opened() -> None:
    found = listeners(*everything(hbone(), listener(), hbone(15018, "other"), listener("alt", 8080)))
    assert [(each.name, each.port, each.protocol) for each in found.values()] == [
        ("mesh", 15008, "HBONE"),
        ("http", 80, "HTTP"),
        ("other", 15018, "HBONE"),
        ("alt", 8080, "HTTP"),
    ]
    assert names_of(found["mesh"]) == names_of(found["other"])


def test_each_port_protocol_is_a_cluster_and_udp_is_none() -> None:
    found = clusters(*everything(hbone()))
    assert {name: (each.protocol, each.envoy_name) for name, each in found.items()} == {
        "shop/cart:80": ("http", "inbound-vip|80|http|cart.shop.svc.cluster.local"),
        "shop/cart:81": ("http2", "inbound-vip|81|http|cart.shop.svc.cluster.local"),
        "shop/cart:82": ("undeclared", "inbound-vip|82|http|cart.shop.svc.cluster.local"),
        "shop/cart:83": ("tcp", "inbound-vip|83|tcp|cart.shop.svc.cluster.local"),
        "shop/cart:85": ("tcp", "inbound-vip|85|tcp|cart.shop.svc.cluster.local"),
    }


def test_http_listeners_reach_what_is_not_declared_tcp() -> None:
    found = listeners(*everything(listener(), hbone()))
    assert clusters_of(found["http"]) == ("shop/cart:80", "shop/cart:81", "shop/cart:82")
    assert clusters_of(found["mesh"]) == (*clusters_of(found["http"]), "shop/cart:83", "shop/cart:85")
    assert set(names_of(found["http"]).values()) == set(clusters_of(found["http"]))
    assert set(names_of(found["mesh"]).values()) == set(clusters_of(found["mesh"]))


def test_a_service_with_tcp_ports_only() -> None:
    tcp = service(ports=[{"name": "tcp", "port": 90}])
    (found,) = listeners(namespace(), gateway(hbone()), tcp).values()
    assert clusters_of(found) == ("shop/cart:90",)
    both = listeners(namespace(), gateway(listener(), hbone()), tcp)
    assert (clusters_of(both["http"]), names_of(both["http"])) == ((), {})
    said = warnings(namespace(), gateway(listener(), hbone()), tcp)
    assert "TCP" not in said
    alone = warnings(namespace(), gateway(), tcp)
    assert "spec.ports[0]: port 90 is declared TCP; an HTTP listener does not serve it" in alone
    assert "spec.ports: has no HTTP port, and HTTP listeners serve no other, so it is not served" in alone


def test_a_service_with_nothing_over_tcp_is_warned_of() -> None:
    udp = service(ports=[{"name": "dns", "port": 53, "protocol": "UDP"}])
    assert "spec.ports: has no TCP port, so it is not served" in warnings(namespace(), gateway(hbone()), udp)


def test_tcp_clusters_have_outlier_detection() -> None:
    strict = rule({"outlierDetection": {"consecutive5xxErrors": 2, "maxEjectionPercent": 100}})
    outlier = clusters(*everything(hbone()), strict)["shop/cart:83"].outlier
    assert outlier is not None
    assert outlier.consecutive_5xx == 2


def test_each_listener_admits_by_its_own_allowed_routes() -> None:
    wide = hbone(15018, "wide", allowedRoutes={"namespaces": {"from": "All"}})
    far = namespace("far", {USE: "wp", USE_NS: "shop"})
    found = listeners(namespace(), far, gateway(hbone(), wide), service(), service("till", "far"))
    assert clusters_of(found["mesh"]) == ("shop/cart:80",)
    assert clusters_of(found["wide"]) == ("far/till:80", "shop/cart:80")
    assert "till.far:80" not in names_of(found["mesh"])
    assert names_of(found["wide"])["till.far:80"] == "far/till:80"


# Which authorities


def test_authorities_are_every_address_and_name_and_always_have_a_port() -> None:
    spec = {"clusterIPs": ["10.9.0.1", "FD00:0:0::9"], "externalIPs": ["192.0.2.1"]}
    status = {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}, {"hostname": "lb.example.com"}]}}
    table = routes(namespace(), gateway(hbone()), service(spec=spec, status=status))
    hosts = [*FORMS, "10.9.0.1", "[fd00::9]", "192.0.2.1", "192.0.2.7"]
    assert table == {f"{host}:80": "shop/cart:80" for host in hosts}


def test_an_authority_names_the_port_even_if_the_listener_has_it() -> None:
    ports = [{"name": "http-a", "port": 15008}, {"name": "http-b", "port": 81}]
    table = routes(namespace(), gateway(hbone()), service(ports=ports))
    assert sorted(table) == sorted(f"{form}:{port}" for form in FORMS for port in (15008, 81))


def test_a_headless_service_has_names_only() -> None:
    table = routes(namespace(), gateway(hbone()), service(spec={"clusterIP": "None"}))
    assert table == {f"{form}:80": "shop/cart:80" for form in FORMS}


def test_a_service_in_another_namespace_needs_its_namespace_in_the_name() -> None:
    far = namespace("far", {USE: "wp", USE_NS: "shop"})
    door = hbone(allowedRoutes={"namespaces": {"from": "All"}})
    table = routes(namespace(), far, gateway(door), service("till", "far"))
    assert sorted(table) == sorted(f"{form}:80".replace("cart.shop", "till.far") for form in FORMS[1:])


def test_an_authority_of_two_services() -> None:
    spec = {"clusterIP": "10.9.0.1"}
    objects = (namespace(), gateway(hbone()), service(spec=spec), service("a", spec=spec))
    assert routes(*objects)["10.9.0.1:80"] == "shop/a:80"
    assert "spec.listeners[0]: host 10.9.0.1:80 selects shop/a:80, not shop/cart:80" in warnings(*objects)


@pytest.mark.parametrize(
    "status", [None, [], {}, {"loadBalancer": []}, {"loadBalancer": {"ingress": [None, {"ip": "x"}, {"ip": 7}, 1]}}]
)
def test_an_odd_status_adds_nothing(status: Any) -> None:
    table = routes(namespace(), gateway(hbone()), service(status=status))
    assert len(table) == len(FORMS)


# istio.io/waypoint-for


@pytest.mark.parametrize(
    ("traffic", "routed", "reached"),
    [
        ("service", True, ("shop/cart:80",)),
        ("all", True, ("shop/cart:80",)),
        ("workload", False, ("shop/cart:80",)),
        ("none", False, ()),
        ("services", False, ()),
    ],
)
def test_what_an_hbone_listener_serves(traffic: str, routed: bool, reached: tuple[str, ...]) -> None:
    result = loaded(namespace(), waypoint_for(traffic, hbone()), service(), endpoint_slice())
    assert result.snapshot
    (found,) = result.snapshot.listeners
    assert bool(names_of(found)) is routed
    assert clusters_of(found) == tuple(result.snapshot.clusters) == reached


def test_a_waypoint_for_workloads_serves_nothing_on_http() -> None:
    objects = (namespace(), waypoint_for("workload", hbone(), listener()), service(), endpoint_slice())
    found = listeners(*objects)
    assert (clusters_of(found["mesh"]), names_of(found["mesh"])) == (("shop/cart:80",), {})
    assert (clusters_of(found["http"]), names_of(found["http"])) == ((), {})
    said = warnings(*objects)
    assert "metadata.labels[istio.io/waypoint-for]: workload leaves Services out" in said


@pytest.mark.parametrize(
    ("traffic", "said"),
    [
        ("workload", ""),
        ("none", "none leaves everything out, so nothing is served"),
        ("wrkload", 'must be one of service, workload, all, none (did you mean "workload"?), so nothing is served'),
    ],
)
def test_what_is_said_of_waypoint_for(traffic: str, said: str) -> None:
    text = warnings(namespace(), waypoint_for(traffic, hbone()), service(), endpoint_slice(member("10.0.0.1")))
    assert text.endswith(f"metadata.labels[istio.io/waypoint-for]: {said}") if said else text == ""


# What is said

HEADLESS = {"clusterIP": "None"}


def test_nothing_is_said_of_what_is_served() -> None:
    pods = [pod(f"cart-{last}", f"10.0.0.{last}") for last in (1, 2, 3)]
    given = namespace(), gateway(hbone(), listener()), service(ports=PORTS, spec=HEADLESS), endpoint_slice(ports=SLICED)
    assert warnings(*given, *pods) == ""


def test_mutual_tls_is_what_hbone_is() -> None:
    """N14, F44."""
    mutual = rule({"tls": {"mode": "ISTIO_MUTUAL"}})
    members = member("10.0.0.1"), member("10.0.0.2")
    objects = (namespace(), gateway(hbone()), service(spec=HEADLESS), endpoint_slice(*members), mutual)
    first, second = (
        pod(f"p-{last}", f"10.0.0.{last}", annotations={"ambient.istio.io/redirection": "enabled"}) for last in (1, 2)
    )
    assert warnings(*objects, first, second) == ""
    assert "endpoints of shop/cart:80 are reached without TLS (10.0.0.2:8080)" in warnings(*objects, first)


def test_captured_pods_that_are_not_among_the_manifests() -> None:
    captured = namespace(labels={USE: "wp", "istio.io/dataplane-mode": "ambient"})
    objects = (captured, gateway(hbone()), service(spec=HEADLESS), endpoint_slice(member("10.0.0.1", "cart-1")))
    said = "Service shop/cart: its Pods are not among the manifests (cart-1), so they are reached in plain TCP"
    assert said in warnings(*objects)
    assert "(10.0.0.1), so they" in warnings(*objects[:3], endpoint_slice(member("10.0.0.1")))
    assert warnings(*shop()[:1], *objects[1:3], endpoint_slice(member("10.0.0.1"))) == ""
    assert warnings(*objects, pod("cart-1", "10.0.0.1")) == ""
    assert warnings(captured, gateway(), *objects[2:]) == ""
    assert said in warnings(*shop()[:1], *objects[1:]), "N6, F29: the guide labels Pods, not the Namespace"
    labelled = pod("cart-1", "10.0.0.1", labels={"istio.io/dataplane-mode": "ambient"})
    said = "its Pods are labelled istio.io/dataplane-mode: ambient and lack the annotation ambient.istio.io/redirection"
    assert said in warnings(*objects, labelled)
    assert "kubectl get service,endpointslice,pod -o yaml" in warnings(*objects, labelled)
    assert "its Pods" not in warnings(*objects[:3])


def test_guards_close_tcp_clusters_too() -> None:
    deny = thing(
        "AuthorizationPolicy",
        "security.istio.io/v1",
        "deny",
        spec={
            "targetRefs": [{"kind": "Service", "group": "", "name": "cart"}],
            "action": "CUSTOM",
            "rules": [{}],
        },
    )
    found = clusters(*everything(hbone()), deny)
    assert all(cluster.closed for cluster in found.values())
