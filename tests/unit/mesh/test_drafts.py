"""Objects as one writes them, not as a cluster has them, and endpoints that are not there: said once, with the remedy.

Entries N7, N15, N22, N23 and F28 to F40 of the outside's list, by their names.
"""

from __future__ import annotations

import pytest

from tests.unit.mesh.mesh_rig import (
    Object,
    endpoint_slice,
    entry,
    gateway,
    hbone,
    loaded,
    member,
    namespace,
    pod,
    selecting,
    service,
    shop,
    thing,
)

LIVE = "give live objects: kubectl get service,endpointslice,pod -o yaml"


def told(*objects: Object) -> list[str]:
    result = loaded(*objects)
    assert result.faults == ()
    return list(result.warnings)


def tunnelled(*services: Object) -> list[str]:
    names = [each["metadata"]["name"] for each in services]
    slices = [endpoint_slice(member("10.0.0.1"), name=f"of-{each}", of=each) for each in names]
    return told(namespace(), gateway(hbone()), *services, *slices)


def test_services_without_an_address_are_told_once() -> None:
    """N7, F28."""
    (line,) = tunnelled(service(), service("till"), service("cash"))
    assert "Service shop/cart: spec.clusterIP: has no clusterIP, the address by which a ztunnel asks for it" in line
    assert line.endswith(f"{LIVE}; the same: shop/till, shop/cash")


@pytest.mark.parametrize("spec", [{"clusterIP": "10.96.0.1"}, {"clusterIP": "None"}, {"clusterIPs": ["10.96.0.1"]}])
def test_a_service_with_an_address_or_meant_without_is_not(spec: Object) -> None:
    assert tunnelled(service(spec=spec)) == []


def test_over_http_a_service_needs_no_address() -> None:
    assert told(*shop()) == []
    workloads = gateway(hbone(), labels={"istio.io/waypoint-for": "workload"})
    assert told(namespace(), workloads, service(), endpoint_slice(member("10.0.0.1"))) == []


def test_services_without_slices_are_told_once() -> None:
    """N7: the guide's two files as they stand."""
    (line,) = told(namespace(), gateway(), service(), service("till"))
    assert f"Service shop/cart: has no EndpointSlice, so it has no endpoints; {LIVE}; the same: shop/till" in line


def endpoints(name: str = "cart") -> Object:
    return thing("Endpoints", "v1", name, subsets=[{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 8080}]}])


def test_legacy_endpoints_are_said_to_be_no_slices() -> None:
    """F40, N22."""
    (line,) = told(namespace(), gateway(), service(), endpoints())
    assert f"has no EndpointSlice (Endpoints are not read), so it has no endpoints; {LIVE}" in line
    assert told(*shop(endpoints(), endpoints("kubernetes"))) == [], "a cluster has both"


@pytest.mark.parametrize(
    "objects",
    [
        [endpoint_slice(*(member(f"10.0.0.{last}", ready=False) for last in (1, 2, 3)))],
        [endpoint_slice(member("10.0.0.1", ready=False), name="a"), endpoint_slice(
            member("10.0.0.2", ready=False), member("10.0.0.3", ready=False, serving=True), name="b")],
    ],
)  # fmt: skip
def test_endpoints_none_of_which_is_ready(objects: list[Object]) -> None:
    """F31, N22."""
    (line,) = told(namespace(), gateway(), service(), *objects)
    assert "Service shop/cart: spec.ports[0]: has no endpoints: 3 endpoints found, none of them ready" in line


def test_an_entry_that_is_not_healthy_is_an_endpoint_that_is_not_ready() -> None:
    sick = entry(annotations={"proxy.istio.io/health-checks-enabled": "true"})
    (line,) = told(namespace(), gateway(), selecting(), sick)
    assert "1 endpoint found, none of them ready" in line
    assert told(namespace(), gateway(), selecting(), sick, entry("well", address="10.1.0.2")) == []


def test_leaving_endpoints_are_endpoints_while_there_are_no_others() -> None:
    leaving = endpoint_slice(member("10.0.0.1", ready=False, serving=True, terminating=True))
    assert told(namespace(), gateway(), service(), leaving) == []


def test_slices_without_endpoints() -> None:
    """F32: what is called `endpoint` there is told as well."""
    empty = {**endpoint_slice(), "endpoints": [], "endpoint": [member("10.0.0.1")]}
    first, second = sorted(told(namespace(), gateway(), service(), empty))
    assert 'endpoint: is not a known field (did you mean "endpoints"?)' in first
    assert "Service shop/cart: has no endpoints: there are none in its EndpointSlices" in second


def unbound(*objects: Object) -> str:
    (line,) = (each for each in told(gateway(), *objects) if "no Service is bound" in each)
    return line.partition("use-waypoint: wp")[2]


def test_a_label_for_another_waypoint_is_named() -> None:
    """F38, N15."""
    other = service(labels={"istio.io/use-waypoint": "waypoint"})
    assert unbound(namespace(labels={}), other) == "; Service shop/cart names waypoint shop/waypoint"
    many = [service(f"s{number}", labels={"istio.io/use-waypoint": "waypoint"}) for number in range(5)]
    assert unbound(namespace(labels={}), *many).endswith("Service shop/s2 names waypoint shop/waypoint and 2 more")


def test_a_missing_namespace_is_named() -> None:
    """F39, N15."""
    assert unbound(service()) == "; Namespace shop not among the manifests, so its labels are not known"
    assert unbound(namespace(labels={}), service()) == "", "it is there, and not labelled"
    opted_out = service(labels={"istio.io/use-waypoint": "none"})
    assert unbound(namespace(), opted_out) == ""
    assert unbound() == "; there is no Service among the manifests"


def test_a_waypoint_that_is_called_almost_as_this_one_is_asked_for() -> None:
    """F38's kind, where other Services are served."""
    far = namespace("far", {"istio.io/use-waypoint": "wpp", "istio.io/use-waypoint-namespace": "shop"})
    objects = (service("till", labels={"istio.io/use-waypoint": "wpp"}), far, service("cash", "far"))
    first, second = told(*shop(*objects))
    said = "waypoint shop/wpp is not among the manifests (did you mean shop/wp?), so the Service is not served"
    assert f"Service shop/till: metadata.labels[istio.io/use-waypoint]: {said}" in first
    assert f"Service far/cash: {said}" in second


def test_a_canary_that_is_called_almost_as_this_one_is_asked_for() -> None:
    named = {"istio.io/use-waypoint": "bookinfo-waypoint", "istio.io/use-waypoint-canary": "wpp"}
    (line,) = told(*shop(service("till", labels=named)))
    assert "Service shop/till: metadata.labels[istio.io/use-waypoint-canary]: waypoint shop/wpp is not among" in line


def test_other_waypoints_are_none_of_our_business() -> None:
    other = service("till", labels={"istio.io/use-waypoint": "bookinfo-waypoint"})
    assert told(*shop(other)) == []
    near = service("till", labels={"istio.io/use-waypoint": "wq"})
    result = loaded(*shop(near, gateway(name="wq")), gateway="shop/wp")
    assert result.warnings == ()


def test_pods_of_other_kinds_stay_silent() -> None:
    assert told(*shop(pod("cart-1", "10.0.0.1"))) == []
