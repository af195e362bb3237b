"""Which endpoints a Service port has, and in which order."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.mesh.mesh_rig import (
    Object,
    clusters,
    endpoint_slice,
    faults,
    gateway,
    member,
    namespace,
    service,
    shop,
    thing,
    warnings,
)


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
