"""Which Services are served, on which ports, by which endpoints, under which names."""

from __future__ import annotations

from typing import Any

import pytest
from mesh_rig import (
    Object,
    clusters,
    endpoint_slice,
    faults,
    gateway,
    listener,
    loaded,
    member,
    namespace,
    routes,
    rule,
    service,
    shop,
    thing,
)

from proxy.mesh.protocol import Speaks, spoken

USE = "istio.io/use-waypoint"
USE_NS = "istio.io/use-waypoint-namespace"


def served(*objects: Object) -> list[str]:
    return sorted(clusters(*objects))


def warnings(*objects: Object) -> str:
    return "\n".join(loaded(*objects).warnings)


# Which Services


@pytest.mark.parametrize(
    ("on_namespace", "on_service", "expected"),
    [
        ({}, {}, False),
        ({USE: "wp"}, {}, True),
        ({USE: "other"}, {}, False),
        ({USE: "none"}, {}, False),
        ({}, {USE: "wp"}, True),
        ({USE: "wp"}, {USE: "none"}, False),
        ({USE: "wp"}, {USE: "other"}, False),
        ({USE: "other"}, {USE: "wp"}, True),
        ({USE: "wp", USE_NS: "elsewhere"}, {}, False),
        ({USE: "wp", USE_NS: "elsewhere"}, {USE: "wp"}, True),
        ({USE: "wp"}, {USE_NS: "elsewhere"}, True),
        ({USE: "wp"}, {"gateway.istio.io/managed": "istio.io-mesh-controller"}, False),
    ],
)
def test_labels_bind_a_service(on_namespace: Any, on_service: Any, expected: bool) -> None:
    found = served(namespace(labels=on_namespace), gateway(), service(labels=on_service), endpoint_slice())
    assert (found == ["shop/cart:80"]) is expected


def test_a_namespace_without_its_object_has_no_labels() -> None:
    assert served(gateway(), service(), endpoint_slice()) == []
    assert served(gateway(), service(labels={USE: "wp"}), endpoint_slice()) == ["shop/cart:80"]


def test_a_gateway_with_nothing_bound_says_what_to_do() -> None:
    assert "label a Service, or its Namespace, istio.io/use-waypoint: wp" in warnings(gateway(), service())


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [
        (None, False),
        ({}, False),
        ({"from": "Same"}, False),
        ({"from": "None"}, False),
        ({"from": "All"}, True),
        ({"from": "Selector", "selector": {}}, True),
        ({"from": "Selector", "selector": {"matchLabels": {"team": "a"}}}, True),
        ({"from": "Selector", "selector": {"matchLabels": {"team": "b"}}}, False),
        ({"from": "Selector", "selector": {"matchLabels": {"kubernetes.io/metadata.name": "far"}}}, True),
        ({"from": "Selector", "selector": {"matchExpressions": [{"key": "team", "operator": "Exists"}]}}, True),
        ({"from": "Selector", "selector": {"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]}}, False),
        (
            {
                "from": "Selector",
                "selector": {"matchExpressions": [{"key": "team", "operator": "In", "values": ["a", "b"]}]},
            },
            True,
        ),
        (
            {
                "from": "Selector",
                "selector": {"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["a"]}]},
            },
            False,
        ),
        (
            {
                "from": "Selector",
                "selector": {"matchExpressions": [{"key": "gone", "operator": "NotIn", "values": ["a"]}]},
            },
            True,
        ),
    ],
)
def test_allowed_routes_for_a_service_of_another_namespace(allowed: Any, expected: bool) -> None:
    door = listener() if allowed is None else listener(allowedRoutes={"namespaces": allowed})
    far = namespace("far", {USE: "wp", USE_NS: "shop", "team": "a"})
    objects = (far, gateway(door), service(ns="far"), endpoint_slice(ns="far"))
    assert (served(*objects) == ["far/cart:80"]) is expected
    assert ("AttachmentDenied" in warnings(*objects)) is not expected


def test_each_listener_has_its_own_allowed_routes() -> None:
    doors = (listener(), listener("wide", 8080, allowedRoutes={"namespaces": {"from": "All"}}))
    far = namespace("far", {USE: "wp", USE_NS: "shop"})
    objects = (namespace(), far, gateway(*doors), service(), service("till", "far"))
    assert "till.far" not in routes(*objects)
    assert {"till.far", "cart"} <= routes(*objects, listener=1).keys()


@pytest.mark.parametrize(
    ("on_gateway", "on_class", "expected"),
    [
        ({}, {}, True),
        ({"f": "all"}, {}, True),
        ({"f": "workload"}, {}, False),
        ({"f": "none"}, {}, False),
        ({}, {"f": "workload"}, False),
        ({"f": "service"}, {"f": "workload"}, True),
    ],
)
def test_waypoint_for(on_gateway: Any, on_class: Any, expected: bool) -> None:
    def named(labels: Any) -> Any:
        return {"istio.io/waypoint-for": labels["f"]} if labels else {}

    api = "gateway.networking.k8s.io/v1"
    klass = {
        "apiVersion": api,
        "kind": "GatewayClass",
        "metadata": {"name": "istio-waypoint", "labels": named(on_class)},
    }
    found = served(namespace(), gateway(labels=named(on_gateway)), service(), endpoint_slice(), klass)
    assert bool(found) is expected


def test_an_external_name_is_not_served() -> None:
    objects = (namespace(), gateway(), service(spec={"type": "ExternalName", "externalName": "a.b"}))
    assert served(*objects) == []
    assert "spec.type: ExternalName is not served by this version" in warnings(*objects)


# Which ports


@pytest.mark.parametrize(
    ("name", "app", "speaks"),
    [
        ("", "", Speaks.UNDECLARED),
        ("http", "", Speaks.HTTP),
        ("http-web", "", Speaks.HTTP),
        ("HTTP-web", "", Speaks.HTTP),
        ("httpweb", "", Speaks.UNDECLARED),
        ("http2-web", "", Speaks.HTTP2),
        ("grpc", "", Speaks.HTTP2),
        ("grpc-web", "", Speaks.HTTP),
        ("grpc-web-ui", "", Speaks.HTTP),
        ("grpc-api", "", Speaks.HTTP2),
        ("tcp", "", Speaks.TCP),
        ("tls-x", "", Speaks.TCP),
        ("https", "", Speaks.TCP),
        ("mysql", "", Speaks.TCP),
        ("redis", "", Speaks.TCP),
        ("mongo-1", "", Speaks.TCP),
        ("udp-x", "", Speaks.UDP),
        ("web", "", Speaks.UNDECLARED),
        ("tcp", "http", Speaks.HTTP),
        ("http", "tcp", Speaks.TCP),
        ("http", "kubernetes.io/h2c", Speaks.HTTP2),
        ("tcp", "kubernetes.io/ws", Speaks.HTTP),
        ("http", "kubernetes.io/wss", Speaks.TCP),
        ("", "HTTP2", Speaks.HTTP2),
        ("http", "example.com/odd", Speaks.UNDECLARED),
        ("http_proxy", "", Speaks.HTTP),
    ],
)
def test_what_a_port_speaks(name: str, app: str, speaks: Speaks) -> None:
    assert spoken(80, name, "TCP", app) is speaks


@pytest.mark.parametrize("port", [25, 53, 3306, 27017])
def test_server_first_ports_are_tcp_unless_declared(port: int) -> None:
    assert spoken(port, "web", "TCP", "") is Speaks.TCP
    assert spoken(port, "http", "TCP", "") is Speaks.HTTP


def test_udp_and_sctp_are_not_tcp() -> None:
    assert spoken(80, "http", "UDP", "http") is Speaks.UDP
    assert spoken(80, "http", "SCTP", "") is Speaks.UDP


def test_an_http_listener_serves_http_and_undeclared_ports() -> None:
    ports = [
        {"name": "http", "port": 80},
        {"name": "web", "port": 81},
        {"name": "grpc", "port": 82},
        {"name": "tcp-x", "port": 83},
        {"name": "dns", "port": 53, "protocol": "UDP"},
        {"name": "db", "port": 3306},
    ]
    sliced = endpoint_slice(ports=[{"name": each["name"], "port": each["port"]} for each in ports])
    objects = (namespace(), gateway(), service(ports=ports), sliced)
    assert served(*objects) == ["shop/cart:80", "shop/cart:81", "shop/cart:82"]
    said = warnings(*objects)
    assert "spec.ports[3]: port 83 is declared TCP; an HTTP listener does not serve it" in said
    assert "port 53" not in said
    assert "port 82" not in said


def test_a_service_without_an_http_port_is_warned_of() -> None:
    assert "has no HTTP port" in warnings(namespace(), gateway(), service(ports=[{"name": "tcp", "port": 80}]))
    assert "has no HTTP port" in warnings(namespace(), gateway(), service(ports=[]))


# Which endpoints


def addresses(*objects: Object, port: int = 80) -> list[str]:
    return [each.address for each in clusters(namespace(), gateway(), *objects)[f"shop/cart:{port}"].endpoints]


def test_slices_go_by_name_and_endpoints_as_written() -> None:
    later = endpoint_slice(member("10.0.0.3"), member("10.0.0.1"), name="cart-b")
    earlier = endpoint_slice(member("10.0.0.9"), name="cart-a")
    assert addresses(service(), later, earlier) == ["10.0.0.9:8080", "10.0.0.3:8080", "10.0.0.1:8080"]


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ([{}], [1]),
        ([{"ready": None}], [1]),
        ([{"ready": True}, {"ready": False}], [1]),
        ([{"ready": False}], []),
        ([{"ready": False, "serving": True}], []),
        ([{"ready": False, "serving": True, "terminating": True}], [1]),
        ([{"ready": False, "serving": False, "terminating": True}], []),
        ([{"ready": False, "serving": True, "terminating": True}, {"ready": True}], [2]),
        ([{"ready": False}, {"ready": False, "serving": True, "terminating": True}], [2]),
    ],
)
def test_readiness(conditions: list[Object], expected: list[int]) -> None:
    members = [member(f"10.0.0.{index}", **each) for index, each in enumerate(conditions, 1)]
    assert addresses(service(), endpoint_slice(*members)) == [f"10.0.0.{last}:8080" for last in expected]


def test_the_same_address_twice_is_one_endpoint() -> None:
    one = endpoint_slice(member("10.0.0.1", "a"), member("10.0.0.1", "b"), name="cart-a")
    two = endpoint_slice(member("10.0.0.1", "c"), member("10.0.0.2", "d"), name="cart-b")
    (first, second) = clusters(namespace(), gateway(), service(), one, two)["shop/cart:80"].endpoints
    assert (first.workload, second.workload) == ("a", "d")


def test_a_port_is_found_by_the_name_of_the_service_port() -> None:
    ports = [{"name": "http", "port": 80, "targetPort": "web"}, {"name": "http-admin", "port": 81, "targetPort": 9}]
    one = endpoint_slice(
        member("10.0.0.1"), name="cart-a", ports=[{"name": "http-admin", "port": 9001}, {"name": "http", "port": 8001}]
    )
    two = endpoint_slice(member("10.0.0.2"), name="cart-b", ports=[{"name": "http", "port": 8002}])
    objects = (service(ports=ports), one, two)
    assert addresses(*objects) == ["10.0.0.1:8001", "10.0.0.2:8002"]
    assert addresses(*objects, port=81) == ["10.0.0.1:9001"]


def test_an_unnamed_port_matches_an_unnamed_port() -> None:
    for name in ({}, {"name": ""}, {"name": None}):
        sliced = endpoint_slice(member("10.0.0.1"), ports=[{**name, "port": 9}])
        assert addresses(service(ports=[{"port": 80}]), sliced) == ["10.0.0.1:9"]


@pytest.mark.parametrize(("target", "expected"), [(8080, ["10.0.0.1:8080"]), (None, ["10.0.0.1:80"]), ("web", [])])
def test_a_slice_port_without_a_number_means_the_target_port(target: Any, expected: list[str]) -> None:
    ports = [{"name": "http", "port": 80, **({"targetPort": target} if target else {})}]
    assert addresses(service(ports=ports), endpoint_slice(member("10.0.0.1"), ports=[{"name": "http"}])) == expected


def test_a_service_port_that_no_slice_has_is_warned_of() -> None:
    objects = (*shop()[:3], endpoint_slice(ports=[{"name": "web", "port": 8080}]))
    assert clusters(*objects)["shop/cart:80"].endpoints == ()
    assert 'spec.ports[0].name: no EndpointSlice of it has a port named "http"' in warnings(*objects)
    assert "has no EndpointSlice, so it has no endpoints" in warnings(*shop()[:3])


def test_ipv6_and_dual_stack() -> None:
    four = endpoint_slice(member("10.0.0.1"), name="cart-a")
    six = endpoint_slice(member("FD00:0::1"), name="cart-b", family="IPv6")
    assert addresses(service(), four, six) == ["10.0.0.1:8080", "[fd00::1]:8080"]


def test_fqdn_slices_are_ignored_with_a_warning() -> None:
    objects = (*shop()[:3], endpoint_slice(member("a.example.com"), family="FQDN"))
    assert clusters(*objects)["shop/cart:80"].endpoints == ()
    assert "addressType: FQDN is not served by this version" in warnings(*objects)


def test_slices_of_other_services_and_namespaces_are_not_used() -> None:
    others = (endpoint_slice(member("10.0.0.8"), of="till"), endpoint_slice(member("10.0.0.9"), ns="far"))
    assert addresses(service(), *others) == []


def test_a_pod_names_an_endpoint_without_a_target() -> None:
    pod = thing("Pod", "v1", "cart-x", status={"podIP": "10.0.0.1"})
    found = clusters(*shop()[:3], endpoint_slice(member("10.0.0.1"), member("10.0.0.2")), pod)["shop/cart:80"]
    assert [each.workload for each in found.endpoints] == ["cart-x", ""]


def test_only_the_first_address_of_an_endpoint_is_used() -> None:
    sliced = endpoint_slice({"addresses": ["10.0.0.1", "10.0.0.2"]})
    assert addresses(service(), sliced) == ["10.0.0.1:8080"]
    assert "addresses[1]: only the first address of an endpoint is used" in warnings(*shop()[:3], sliced)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"addresses": ["10.0.0"]}, "endpoints[0].addresses[0]: must be an IPv4 address"),
        ({"addresses": ["fd00::1"]}, "must be an IPv4 address"),
        ({"addresses": [7]}, "must be text, not 7"),
        ({"addresses": ["0.0.0.0"]}, "0.0.0.0 cannot be the address of an endpoint"),
        ({"addresses": ["224.0.0.1"]}, "cannot be the address"),
        ({"addresses": []}, "addresses: must hold an address"),
        ({"addresses": None}, "addresses: is required"),
        ({"addresses": "10.0.0.1"}, 'addresses: must be a list, not "10.0.0.1"'),
        ({"addresses": ["10.0.0.1"], "conditions": {"ready": "yes"}}, "conditions.ready: must be true or false"),
        ({"addresses": ["10.0.0.1"], "targetRef": {"kind": "Pod", "name": "a\nb"}}, "targetRef.name: must be the name"),
        (None, "endpoints[0]: is empty"),
    ],
)
def test_bad_endpoints(entry: Any, said: str) -> None:
    assert said in "\n".join(faults(*shop()[:3], endpoint_slice(entry)))


def test_bad_slices() -> None:
    ports = [{"name": "http", "port": 70000}]
    assert "ports[0].port: must be between 1 and 65535" in faults(*shop()[:3], endpoint_slice(ports=ports))[0]
    twice = [{"name": "http", "port": 1}, {"name": "http", "port": 2}]
    assert 'ports[1].name: "http" is given twice' in faults(*shop()[:3], endpoint_slice(ports=twice))[0]
    assert "addressType: must be one of" in faults(*shop()[:3], endpoint_slice(family="ipv4"))[0]
    unlabelled = thing("EndpointSlice", "discovery.k8s.io/v1", "a", addressType="IPv4", endpoints=[])
    assert "belongs to no Service" in warnings(*shop(unlabelled))


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"ports": [{"name": "http"}]}, "spec.ports[0].port: is required"),
        ({"ports": [{"port": "80"}]}, 'must be a whole number, not "80" (remove the quotes)'),
        ({"ports": [{"port": 80, "targetPort": 0}]}, "targetPort: must be between 1 and 65535"),
        ({"ports": [{"port": 80, "targetPort": "-"}]}, "targetPort: must be a port number or the name of one"),
        ({"ports": [{"port": 80, "protocol": "HTTP"}]}, "protocol: must be one of TCP, UDP, SCTP"),
        ({"ports": [{"port": 80, "name": "a"}, {"port": 81, "name": "a"}]}, 'ports[1].name: "a" is given twice'),
        ({"ports": [{"port": 80, "name": "a"}, {"port": 80, "name": "b"}]}, "ports[1].port: 80 is given twice"),
        ({"ports": [{"port": 80}, {"port": 81}]}, "ports[1].name: is required when there are several ports"),
        ({"ports": [{"port": 80}, {"port": 81, "name": "b"}]}, "ports[0].name: is required when there are several"),
        ({"clusterIP": "10.0.0"}, 'clusterIP: must be an IP address or "None"'),
        ({"externalIPs": ["x"]}, "externalIPs[0]: must be an IP address"),
        ({"type": "Headless"}, "type: must be one of"),
    ],
)
def test_bad_services(spec: Any, said: str) -> None:
    assert said in "\n".join(faults(namespace(), gateway(), service(spec=spec)))


# Which names


def test_host_forms_in_and_beside_the_gateways_namespace() -> None:
    far = namespace("far", {USE: "wp", USE_NS: "shop"})
    door = gateway(listener(allowedRoutes={"namespaces": {"from": "All"}}))
    table = routes(namespace(), far, door, service(), service("till", "far"))
    full = "till.far.svc.cluster.local"
    forms = ["till.far", "till.far.svc", full, f"{full}."]
    assert {name for name in table if "till" in name} == {form + port for form in forms for port in ("", ":80")}
    assert {"cart", "cart:80", "cart.shop"} <= table.keys()


def test_a_host_without_a_port_takes_the_listeners_port_else_the_first_http_port() -> None:
    ports = [{"name": "tcp", "port": 70}, {"name": "http-a", "port": 8000}, {"name": "http-b", "port": 80}]
    objects = (namespace(), gateway(listener(port=80), listener("other", 9999)), service(ports=ports))
    table = routes(*objects)
    assert (table["cart"], table["cart:8000"], table["cart:80"]) == ("shop/cart:80", "shop/cart:8000", "shop/cart:80")
    assert "cart:70" not in table
    assert routes(*objects, listener=1)["cart"] == "shop/cart:8000"


def test_a_services_own_addresses() -> None:
    spec = {"clusterIP": "10.9.0.1", "clusterIPs": ["10.9.0.1", "FD00::0:9"], "externalIPs": ["192.0.2.1"]}
    table = routes(namespace(), gateway(), service(spec=spec))
    assert {name for name in table if name[0] in "1["} == {
        "10.9.0.1",
        "10.9.0.1:80",
        "[fd00::9]",
        "[fd00::9]:80",
        "192.0.2.1",
        "192.0.2.1:80",
    }


def test_a_headless_service_has_names_only() -> None:
    table = routes(namespace(), gateway(), service(spec={"clusterIP": "None"}))
    assert not any("none" in name.lower() for name in table)


def test_an_address_of_two_services() -> None:
    spec = {"externalIPs": ["127.0.0.1"]}
    other = service("a", ports=[{"name": "http", "port": 90}], spec=spec)
    objects = (namespace(), gateway(), service(spec=spec), other)
    table = routes(*objects)
    assert (table["127.0.0.1"], table["127.0.0.1:90"]) == ("shop/cart:80", "shop/a:90")
    assert "host 127.0.0.1 selects shop/cart:80, not shop/a:90" in warnings(*objects)


# Gateways


@pytest.mark.parametrize("protocol", ["HTTPS", "TCP", "TLS", "istio.io/PROXY"])
def test_other_protocols_are_not_opened(protocol: str) -> None:
    objects = (namespace(), gateway(listener("mesh", 15008, protocol), listener()), service())
    result = loaded(*objects)
    assert result.snapshot is not None
    assert [each.name for each in result.snapshot.listeners] == ["http"]
    said = f"spec.listeners[0].protocol: {protocol} listeners are not built in this version; port 15008 is not opened"
    assert said in "\n".join(result.warnings)


def test_a_gateway_with_no_listener_that_opens_is_valid_and_serves_nothing() -> None:
    result = loaded(namespace(), gateway(listener("mesh", 15088, "istio.io/PROXY")), service(), endpoint_slice())
    assert result.snapshot is not None
    assert (result.snapshot.listeners, dict(result.snapshot.clusters)) == ((), {})
    assert len(result.warnings) == 1


def test_a_hostname_on_a_listener_is_warned_of() -> None:
    assert "listeners[0].hostname: is not enforced" in warnings(
        namespace(), gateway(listener(hostname="a.b")), service()
    )


@pytest.mark.parametrize(
    ("listeners", "said"),
    [
        ([listener(port=0)], "spec.listeners[0].port: must be between 1 and 65535, not 0"),
        ([listener(port=65536)], "must be between 1 and 65535"),
        ([listener(port="80")], 'must be a whole number, not "80" (remove the quotes)'),
        ([{"name": "a", "port": 80}], "spec.listeners[0].protocol: is required"),
        ([{"port": 80, "protocol": "HTTP"}], "spec.listeners[0].name: is required"),
        ([listener(), listener(port=81)], 'spec.listeners[1].name: "http" is given twice'),
        ([listener(), listener("b")], 'spec.listeners[1].port: 80 is taken by listener "http"'),
        ([listener(), listener("b", protocol="HBONE")], "80 is taken by listener"),
        ([listener(protocol="HTTPS"), listener("b", protocol="HTTPS")], "80 is taken by listener"),
        ([listener(allowedRoutes={"namespaces": {"from": "Some"}})], "namespaces.from: must be one of All, Same"),
        ([listener(allowedRoutes={"namespaces": {"from": "Selector"}})], "selector: is required when from is Selector"),
        (
            [
                listener(
                    allowedRoutes={
                        "namespaces": {
                            "from": "Selector",
                            "selector": {"matchExpressions": [{"key": "a", "operator": "In"}]},
                        }
                    }
                )
            ],
            "values: must be given with operator In",
        ),
        ([None], "spec.listeners[0]: is empty"),
    ],
)
def test_bad_listeners(listeners: Any, said: str) -> None:
    assert said in "\n".join(faults(namespace(), gateway(*listeners)))


def test_bad_gateways() -> None:
    bare = gateway()
    bare["spec"] = {"listeners": []}
    assert [fault.split(": ", 2)[2] for fault in faults(bare)] == ["spec.gatewayClassName: is required"]
    bare["spec"] = {"listeners": [], "gatewayClassName": "a"}
    assert "spec.listeners: must hold a listener" in faults(bare)[0]
    del bare["spec"]
    assert "spec: is required" in faults(bare)[0]


def test_listeners_that_share_a_port_and_may() -> None:
    doors = [listener("a", 443, "HTTPS", hostname="a.b"), listener("b", 443, "HTTPS", hostname="b.b")]
    assert faults(namespace(), gateway(*doors, listener("c", 443, "UDP"))) == []


# Policies that close


def policy(target: Any, kind: str = "AuthorizationPolicy", ns: str = "shop", **spec: Any) -> Object:
    return thing(kind, "security.istio.io/v1", "deny", ns, spec={"targetRefs": [target] if target else [], **spec})


SERVICE_REF = {"kind": "Service", "group": "", "name": "cart"}
GATEWAY_REF = {"kind": "Gateway", "group": "gateway.networking.k8s.io", "name": "wp"}
CLASS_REF = {"kind": "GatewayClass", "group": "gateway.networking.k8s.io", "name": "istio-waypoint"}


@pytest.mark.parametrize(
    ("guard", "closed"),
    [
        (policy(SERVICE_REF), ["cart"]),
        (policy(SERVICE_REF, "RequestAuthentication"), ["cart"]),
        (policy(SERVICE_REF, action="DENY"), ["cart"]),
        (policy(SERVICE_REF, action="CUSTOM"), ["cart"]),
        (policy(SERVICE_REF, action="AUDIT"), []),
        (policy(None, targetRef=SERVICE_REF), ["cart"]),
        (policy(SERVICE_REF, ns="far"), []),
        (policy({**SERVICE_REF, "name": "other"}), []),
        (policy(GATEWAY_REF), ["cart", "till"]),
        (policy(GATEWAY_REF, ns="far"), []),
        (policy(CLASS_REF, ns="istio-system"), ["cart", "till"]),
        (policy(CLASS_REF), []),
        (policy({**CLASS_REF, "name": "other"}, ns="istio-system"), []),
        (policy(None), []),
        (policy(None, selector={"matchLabels": {"a": "b"}}), []),
    ],
)
def test_policies_close_what_they_target(guard: Object, closed: list[str]) -> None:
    objects = (*shop(service("till")), guard)
    found = clusters(*objects)
    assert [name for name in ("cart", "till") if found[f"shop/{name}:80"].closed] == closed
    for name in closed:
        assert f"{guard['kind']} {guard['metadata']['namespace']}/deny" in found[f"shop/{name}:80"].closed
        assert f"Service shop/{name} is closed (403) until it is" in warnings(*objects)


@pytest.mark.parametrize(
    ("guard", "said"),
    [
        (policy({"kind": "Service"}), "spec.targetRefs[0].name: is required"),
        (policy({**SERVICE_REF, "namespace": "far"}), "namespace: must be the policy's own namespace"),
        (policy(SERVICE_REF, action="Deny"), 'action: must be one of ALLOW, DENY, AUDIT, CUSTOM, not "Deny"'),
        (policy(None, targetRef="cart"), "spec.targetRef: must be a mapping"),
    ],
)
def test_bad_policies(guard: Object, said: str) -> None:
    assert said in "\n".join(faults(*shop(guard)))


def test_a_service_entry_is_warned_of() -> None:
    entry = thing("ServiceEntry", "networking.istio.io/v1", "ext", spec={"hosts": ["a.b"]})
    assert "ServiceEntry shop/ext: is not served by this version" in warnings(*shop(entry))


def test_a_rule_that_is_deleted_leaves_the_defaults() -> None:
    with_rule = clusters(*shop(rule({"outlierDetection": {"maxEjectionPercent": 50}})))["shop/cart:80"]
    without = clusters(*shop())["shop/cart:80"]
    assert with_rule.outlier is not None
    assert (without.outlier, without.destination_rule, without.connect_timeout_ms) == (None, "", 1000)
