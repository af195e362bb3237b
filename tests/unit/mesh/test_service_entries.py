"""ServiceEntries at a waypoint, field by field: what comes of a valid one. What is refused is in test_entry_cases."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.controller.forms import cluster_form
from proxy.mesh.model import Cluster, Endpoint, Profile
from proxy.mesh.resolving.load import Loader
from proxy.observe.series_labels import DESTINATION, destination_of, service_of
from tests.unit.mesh.entry_rig import BASE, HOST, NAME, SELECTING, TUNNEL, at, port
from tests.unit.mesh.mesh_rig import (
    USE,
    USE_NS,
    Object,
    clusters,
    documents,
    endpoint_slice,
    entry,
    external,
    gateway,
    hbone,
    listener,
    namespace,
    pod,
    routes,
    rule,
    served,
    service,
    thing,
    warnings,
)

PROFILE = Profile("api", "shop", "", "", "api", "latest")
CAPTURED = {"ambient.istio.io/redirection": "enabled"}
ALL: Object = {"allowedRoutes": {"namespaces": {"from": "All"}}}
UNREADY = {"conditions": [{"type": "Ready", "status": "False"}]}


def cluster(*objects: Object, name: str = NAME) -> Cluster:
    return clusters(*BASE, *objects)[name]


def addresses(*objects: Object, name: str = NAME) -> list[str]:
    return [each.address for each in cluster(*objects, name=name).endpoints]


def test_a_static_one_is_a_cluster_for_each_port_as_a_service_is() -> None:
    found = clusters(*BASE, external(ports=[port(80, "http"), port(443, "https", "TLS")]))
    assert list(found) == [NAME, f"shop/{HOST}:443"]
    http, tls = found.values()
    assert (http.protocol, http.authority) == ("http", f"{HOST}:80")
    assert (tls.protocol, tls.envoy_name) == ("tcp", f"inbound-vip|443|tcp|{HOST}")
    assert http.endpoints == (Endpoint("192.0.2.1", 80, "api", profile=PROFILE),)
    assert warnings(*BASE, external()) == ""


@pytest.mark.parametrize(
    ("protocol", "spoken"),
    [
        ("HTTP", "http"),
        ("http", "http"),
        ("HTTP2", "http2"),
        ("GRPC", "http2"),
        ("GRPC-Web", "http"),
        ("HTTPS", "tcp"),
        ("TLS", "tcp"),
        ("TCP", "tcp"),
        ("MONGO", "tcp"),
        ("", "undeclared"),
        (None, "undeclared"),
    ],
)
def test_ports_protocol(protocol: str | None, spoken: str) -> None:
    """It is the field that counts, not the port's name, as it does for a Service."""
    given = {key: value for key, value in port(80, "tcp", protocol or "").items() if value or protocol == ""}
    assert cluster(external(ports=[given])).protocol == spoken


def test_ports_protocol_udp_is_not_served() -> None:
    assert served(*BASE, external(ports=[port(53, "dns", "UDP")])) == []


@pytest.mark.parametrize(
    ("target", "ports", "number"),
    [(None, None, 80), (8080, None, 8080), (8080, {"http": 9000}, 9000), (None, {"http": 9000}, 9000)],
    ids=["number", "targetPort", "endpoints.ports before targetPort", "endpoints.ports"],
)
def test_ports_of_endpoints(target: int | None, ports: Any, number: int) -> None:
    declared = port(80, "http") | ({"targetPort": target} if target else {})
    endpoint = at("192.0.2.1", **({"ports": ports} if ports else {}))
    assert addresses(external(ports=[declared], endpoints=[endpoint])) == [f"192.0.2.1:{number}"]


@pytest.mark.parametrize(
    ("fields", "attribute", "value"),
    [
        ({"weight": 7}, "weight", 7),
        ({"weight": 0}, "weight", 1),
        ({"serviceAccount": "pay"}, "identity", "ns/shop/sa/pay"),
        ({"serviceAccount": "pay"}, "hbone", False),
        ({"labels": TUNNEL, "serviceAccount": "pay"}, "hbone", True),
        ({"network": "far"}, "ip", "192.0.2.1"),
        ({"locality": "a/b/c"}, "ip", "192.0.2.1"),
    ],
)
def test_endpoints_fields(fields: Object, attribute: str, value: object) -> None:
    (found,) = cluster(external(endpoints=[at("192.0.2.1", **fields)])).endpoints
    assert getattr(found, attribute) == value


def test_endpoints_network_is_told() -> None:
    said = warnings(*BASE, external(endpoints=[at("192.0.2.1", network="far")]))
    assert "spec.endpoints[0].network: is not in force in this version" in said


def test_metrics_labels_are_istios() -> None:
    """K12-K15: the host is both names of the Service, the entry is the workload; nothing says which app it is."""
    (found,) = cluster(external(labels={"version": "v2"}, endpoints=[at("192.0.2.1", serviceAccount="pay")])).endpoints
    assert found.profile
    profile = [getattr(found.profile, each) for each in found.profile.__slots__]
    destination = dict(zip(DESTINATION, destination_of(profile, found.identity, "cluster.local", "east"), strict=True))
    assert destination == {
        "destination_workload": b"api",
        "destination_workload_namespace": b"shop",
        "destination_principal": b"spiffe://cluster.local/ns/shop/sa/pay",
        "destination_app": b"unknown",
        "destination_version": b"v2",
        "destination_canonical_service": b"api",
        "destination_canonical_revision": b"v2",
        "destination_cluster": b"east",
    }
    assert service_of(NAME, HOST.encode()) == (HOST.encode(), HOST.encode(), b"shop")


def test_endpoints_of_ipv6_and_given_twice() -> None:
    assert addresses(external(endpoints=[at("fd00::0:1"), at("192.0.2.1"), at("fd00::1")])) == [
        "[fd00::1]:80",
        "192.0.2.1:80",
    ]


def test_labels_of_the_entry_say_who_is_behind_it_and_that_it_speaks_hbone() -> None:
    labels = {"app": "bank", "version": "v2", "service.istio.io/canonical-name": "money", **TUNNEL}
    (found,) = cluster(external(labels=labels)).endpoints
    assert found.profile == Profile("api", "shop", "bank", "v2", "money", "v2")
    assert found.hbone


def test_an_endpoint_at_the_address_of_a_captured_pod_is_that_pod() -> None:
    """As istiod's SupportsTunnel has it: by address."""
    inside = pod("cart-1", "10.0.0.9", "cart", annotations=CAPTURED)
    (found,) = cluster(external(endpoints=[at("10.0.0.9")]), inside).endpoints
    assert (found.hbone, found.identity, found.workload) == (True, "ns/shop/sa/cart", "cart-1")
    (outside,) = cluster(external(endpoints=[at("10.0.0.8")]), inside).endpoints
    assert (outside.hbone, outside.identity) == (False, "")


def test_hosts_each_have_clusters_of_their_own() -> None:
    found = clusters(*BASE, external(hosts=["a.example", "B.example."]))
    assert list(found) == ["shop/a.example:80", "shop/b.example:80"]
    assert [each.authority for each in found.values()] == ["a.example:80", "b.example:80"]


def test_hosts_and_addresses_are_what_it_is_asked_for_by() -> None:
    objects = (*BASE, external(addresses=["240.0.0.1", "fd00::1", "240.0.0.2/32"]))
    names = [HOST, f"{HOST}.", "240.0.0.1", "[fd00::1]", "240.0.0.2"]
    assert routes(*objects) == dict.fromkeys([*(f"{each}:80" for each in names), *names], NAME)
    assert routes(*objects, listener=1) == dict.fromkeys((f"{each}:80" for each in names), NAME)


def test_hosts_wildcard_is_asked_for_by_address() -> None:
    objects = (*BASE, external(hosts=["*.example.com"]))
    assert routes(*objects, listener=1) == {"240.0.0.1:80": "shop/*.example.com:80"}
    assert "a wildcard needs: give spec.addresses" in warnings(*BASE, external(hosts=["*.example.com"], addresses=None))


ALLOCATED = {
    "addresses": [{"value": "240.240.0.5", "host": HOST}, {"value": "2001:2::5", "host": HOST}, {"value": "x"}]
}


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({}, ["240.240.0.5", "[2001:2::5]"]),
        ({"addresses": ["240.0.0.1"]}, ["240.0.0.1"]),
        ({"labels": {"networking.istio.io/enable-autoallocate-ip": "false"}}, []),
        ({"labels": {"networking.istio.io/enable-autoallocate-ip": "true"}}, ["240.240.0.5", "[2001:2::5]"]),
        ({"hosts": ["b.example"]}, []),
    ],
)
def test_status_addresses_are_those_that_istiod_has_allocated(fields: Object, found: list[str]) -> None:
    given = external(**{"addresses": None, **fields}, status=ALLOCATED)
    own = [name.removesuffix(":80") for name in routes(*BASE, given, listener=1) if "example" not in name]
    assert own == found
    assert ("neither spec.addresses nor one that istiod has allocated" in warnings(*BASE, given)) is (not found)


def test_addresses_ranges_are_told() -> None:
    said = warnings(*BASE, external(addresses=["240.0.0.1", "10.0.0.0/8"]))
    assert "spec.addresses[1]: a range is not served by this version" in said


def test_workload_selector_selects_entries_and_ready_pods_of_its_namespace() -> None:
    objects = (
        external(**SELECTING, ports=[port(80, "http", targetPort=8080)]),
        pod("b", "10.0.0.2", "cart", labels={"app": "cart", "more": "x"}, annotations=CAPTURED),
        pod("a", "10.0.0.1", labels={"app": "cart"}),
        pod("c", "10.0.0.3", labels={"app": "till"}),
        pod("d", "10.0.0.4", labels={"app": "cart"}, status={"podIP": "10.0.0.4", **UNREADY}),
        pod("e", "10.0.0.5", labels={"app": "cart"}, ns="far"),
        pod("f", labels={"app": "cart"}),
        entry(ports={"http": 9000}, weight=3),
        entry("sick", address="10.1.0.2", annotations={"proxy.istio.io/health-checks-enabled": "true"}),
    )
    found = cluster(*objects).endpoints
    assert [(each.address, each.workload, each.hbone, each.weight) for each in found] == [
        ("10.1.0.1:9000", "vm", False, 3),
        ("10.0.0.1:8080", "a", False, 1),
        ("10.0.0.2:8080", "b", True, 1),
    ]
    assert found[2].identity == "ns/shop/sa/cart"
    assert warnings(*BASE, *objects) == ""


def test_workload_selector_without_labels_or_members_is_told() -> None:
    empty = external(workloadSelector={})
    assert "spec.workloadSelector: has no labels, so it selects nothing" in warnings(*BASE, empty, entry())
    assert "no Pod or WorkloadEntry of namespace shop has the labels of its" in warnings(*BASE, external(**SELECTING))
    assert cluster(empty, entry(labels={})).endpoints == ()


def test_resolution_static_leaves_out_entries_with_a_host_name() -> None:
    named = entry(address="vm.example")
    assert addresses(external(**SELECTING), named) == []
    assert "one with a host name is for a ServiceEntry with resolution DNS" in warnings(
        *BASE, external(**SELECTING), named
    )


@pytest.mark.parametrize(
    ("own", "target", "found"),
    [(["203.0.113.5"], None, ["203.0.113.5:80"]), (["203.0.113.5"], 8080, ["203.0.113.5:8080"])],
)
def test_resolution_none_goes_where_the_connection_was_going(
    own: list[str], target: int | None, found: list[str]
) -> None:
    declared = port(80, "http") | ({"targetPort": target} if target else {})
    given = external(resolution=None, endpoints=None, addresses=own, ports=[declared])
    assert addresses(given) == found


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"resolution": None, "endpoints": None, "addresses": None}, "where spec.addresses is one single address"),
        ({"resolution": None, "endpoints": None, "addresses": ["10.0.0.0/8"]}, "one single address"),
        ({"resolution": None, "endpoints": None, "addresses": ["10.0.0.1", "10.0.0.2"]}, "one single address"),
        (
            {"resolution": "DYNAMIC_DNS", "endpoints": None, "addresses": None, "hosts": ["*.example.com"]},
            "is not served by this version with resolution DYNAMIC_DNS",
        ),
        ({"exportTo": ["far"]}, "exportTo hides it from the namespace of the waypoint"),
        ({"exportTo": ["~"]}, "exportTo hides it"),
        ({"hosts": [f"{'a' * 60}.{'b' * 60}.{'c' * 60}"]}, "is longer than 160 characters"),
        ({"hosts": ["cart.shop.svc.cluster.local"]}, "is a name of Service shop/cart"),
        ({"hosts": ["cart.shop"]}, "is a name of Service shop/cart"),
    ],
)
def test_what_is_not_served_is_told(fields: Object, said: str) -> None:
    objects = (*BASE, service(), endpoint_slice(), external(**fields))
    assert served(*objects) == ["shop/cart:80"]
    assert f"spec.hosts[0]: {said}" in warnings(*objects) or said in warnings(*objects)


@pytest.mark.parametrize("scopes", [["."], ["*"], [], None, ["shop", "far"]])
def test_export_to_the_namespace_of_the_waypoint(scopes: Any) -> None:
    assert served(*BASE, external(exportTo=scopes)) == [NAME]


@pytest.mark.parametrize("location", ["MESH_INTERNAL", "MESH_EXTERNAL"])
def test_location_is_the_same_here(location: str) -> None:
    assert addresses(external(location=location)) == ["192.0.2.1:80"]


@pytest.mark.parametrize(
    ("labels", "of_namespace", "found"),
    [
        ({}, {USE: "wp"}, True),
        ({}, {}, False),
        ({USE: "wp"}, {}, True),
        ({USE: "none"}, {USE: "wp"}, False),
        ({USE: "other"}, {USE: "wp"}, False),
    ],
)
def test_use_waypoint_binds_it_as_a_service(labels: Object, of_namespace: dict[str, str], found: bool) -> None:
    objects = (namespace(labels=of_namespace), gateway(), external(labels=labels))
    assert bool(served(*objects)) is found


def test_use_waypoint_of_another_namespace() -> None:
    given = external(ns="far", labels={USE: "wp", USE_NS: "shop"})
    assert served(namespace(labels={}), gateway(listener(**ALL)), given) == [f"far/{HOST}:80"]
    assert "AttachmentDenied" in warnings(namespace(labels={}), gateway(), given)


def test_of_two_with_one_host_the_older_has_it() -> None:
    objects = (
        *BASE,
        external("a", endpoints=[at("192.0.2.1")], created="2025-01-02T00:00:00Z"),
        external("b", endpoints=[at("192.0.2.2")], created="2025-01-01T00:00:00Z"),
    )
    assert [each.address for each in clusters(*objects)[NAME].endpoints] == ["192.0.2.2:80"]
    assert "ServiceEntry shop/a: spec.hosts[0]: ServiceEntry shop/b has this host already" in warnings(*objects)


def test_a_service_has_a_bare_name_before_a_host() -> None:
    objects = (*BASE, service(), endpoint_slice(), external(hosts=["cart"]))
    assert [each.workload for each in clusters(*objects)["shop/cart:80"].endpoints] == ["cart-1", "cart-2", "cart-3"]
    assert "Service shop/cart has this host already" in warnings(*objects)


@pytest.mark.parametrize("host", [HOST, "*.example.com", "*"])
def test_destination_rules_are_for_it_as_for_a_service(host: str) -> None:
    policy = {
        "outlierDetection": {"consecutive5xxErrors": 2, "maxEjectionPercent": 100},
        "portLevelSettings": [{"port": {"number": 81}, "loadBalancer": {"simple": "RANDOM"}}],
    }
    found = clusters(*BASE, external(ports=[port(80, "a"), port(81, "b")]), rule(policy, host=host))
    outlier = found[NAME].outlier
    assert outlier and outlier.consecutive_5xx == 2
    assert found[f"shop/{HOST}:81"].outlier is None
    assert "does nothing" not in warnings(*BASE, external(), rule({"outlierDetection": {}}, host=host))


def test_destination_rules_subsets_are_of_its_endpoints_labels() -> None:
    spec = {"subsets": [{"name": "v1", "labels": {"version": "v1"}}, {"name": "v2", "labels": {"version": "v2"}}]}
    given = external(endpoints=[at("192.0.2.1", labels={"version": "v1"}), at("192.0.2.2")])
    loader = Loader()
    loader.load(documents(*BASE, given, rule(None, host=HOST, spec=spec)))
    explained = "\n".join(loader.explained(True))
    assert "subset v1 (version=v1) of shop/rule (DestinationRule-3.yaml:1): 1 of 2 endpoints" in explained
    assert "subset v2 (version=v2) of shop/rule (DestinationRule-3.yaml:1): 0 of 2 endpoints" in explained


@pytest.mark.parametrize(
    ("tls", "names"),
    [
        ({"mode": "SIMPLE"}, ("spiffe://a/b",)),
        ({"mode": "SIMPLE", "subjectAltNames": ["c.example"]}, ("c.example",)),
        ({"mode": "DISABLE"}, ()),
    ],
)
def test_subject_alt_names_are_verified_where_a_rule_names_none(tls: Object, names: tuple[str, ...]) -> None:
    found = cluster(external(subjectAltNames=["spiffe://a/b"]), rule({"tls": tls}, host=HOST))
    assert found.policy.tls and found.policy.tls.subject_alt_names == names
    origination = cluster_form(found, 0, [0])["origination"]
    assert (origination["names"] if origination else []) == list(names), "what workers verify"


@pytest.mark.parametrize("kind", ["AuthorizationPolicy", "RequestAuthentication"])
def test_a_policy_that_targets_it_stands_before_all_of_its_hosts(kind: str) -> None:
    spec: dict[str, Any] = {"targetRefs": [{"group": "networking.istio.io", "kind": "ServiceEntry", "name": "api"}]}
    spec |= {"jwtRules": [{"issuer": "https://a"}]} if kind == "RequestAuthentication" else {}
    guard = thing(kind, "security.istio.io/v1", "guard", spec=spec)
    both = clusters(*BASE, external(hosts=["a.example", "b.example"]), external("open", hosts=["c.example"]), guard)
    assert [bool(each.tokens or each.access) for each in both.values()] == [True, True, False]
    missing = thing(
        kind, "security.istio.io/v1", "guard", spec={"targetRefs": [{"kind": "ServiceEntry", "name": "apy"}]}
    )
    assert 'ServiceEntry apy (did you mean "api"?) is not in namespace shop' in warnings(*BASE, external(), missing)


@pytest.mark.parametrize(
    ("kind", "api", "spec"),
    [
        (
            *("TCPRoute", "gateway.networking.k8s.io/v1alpha2"),
            {"parentRefs": [{"group": "networking.istio.io", "kind": "ServiceEntry", "name": "api"}]},
        ),
    ],
)
def test_a_route_that_attaches_to_it_is_told(kind: str, api: str, spec: Object) -> None:
    said = warnings(*BASE, external(), thing(kind, api, "route", spec=spec))
    assert f"{kind} shop/route: spec." in said and "attaches to ServiceEntry" in said


def test_waypoint_for_workload_leaves_it_out_by_name() -> None:
    objects = (namespace(), gateway(hbone(), labels={"istio.io/waypoint-for": "workload"}), external())
    assert routes(*objects) == {}
