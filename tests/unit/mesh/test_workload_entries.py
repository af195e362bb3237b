"""WorkloadEntries as the endpoints of the Services that select them."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.mesh.model import Endpoint, Profile
from tests.unit.mesh.mesh_rig import (
    Object,
    clusters,
    endpoint_slice,
    entry,
    faults,
    gateway,
    member,
    namespace,
    selecting,
    warnings,
)

BASE = (namespace(), gateway())
HEALTHY = {"conditions": [{"type": "Ready", "status": "False"}, {"type": "Healthy", "status": "True"}]}
SICK = {"conditions": [{"type": "Healthy", "status": "False"}]}
PROBED = {"proxy.istio.io/health-checks-enabled": "true"}


def endpoints(*objects: Object, port: int = 80) -> tuple[Endpoint, ...]:
    return clusters(*BASE, *objects)[f"shop/cart:{port}"].endpoints


def addresses(*objects: Object, port: int = 80) -> list[str]:
    return [each.address for each in endpoints(*objects, port=port)]


def test_an_entry_is_an_endpoint_called_by_its_name() -> None:
    profile = Profile("vm", "shop", "cart", "", "cart", "latest")
    assert endpoints(selecting(), entry()) == (Endpoint("10.1.0.1", 8080, "vm", profile=profile),)
    assert warnings(*BASE, selecting(), entry()) == ""


@pytest.mark.parametrize(
    ("fields", "selector", "expected"),
    [
        ({}, {}, True),
        ({"labels": {"app": "cart", "more": "x"}}, {}, True),
        ({"labels": {"app": "till"}}, {}, False),
        ({"labels": {}}, {}, False),
        ({"labels": None}, {}, False),
        ({}, {"app": "cart", "tier": "x"}, False),
        ({"labels": None, "own_labels": {"app": "cart"}}, {}, True),
        ({"own_labels": {"app": "till"}}, {}, False),
        ({"labels": {"tier": "x"}, "own_labels": {"app": "cart"}}, {"app": "cart", "tier": "x"}, True),
        ({"ns": "far"}, {}, False),
    ],
)
def test_a_service_selects_by_labels(fields: Object, selector: dict[str, str], expected: bool) -> None:
    objects = (selecting(**selector), entry(**fields))
    assert bool(endpoints(*objects)) is expected
    said = "WorkloadEntry " in warnings(*BASE, *objects)
    assert said is not expected


@pytest.mark.parametrize("selector", [None, {}])
def test_a_service_without_a_selector_selects_nothing(selector: Any) -> None:
    bare = selecting()
    bare["spec"]["selector"] = selector
    assert endpoints(bare, entry()) == ()
    assert "spec.labels: no Service or ServiceEntry of its namespace selects these labels" in warnings(
        *BASE, bare, entry()
    )


@pytest.mark.parametrize(
    ("target", "ports", "expected"),
    [
        (None, None, "10.1.0.1:80"),
        (8080, None, "10.1.0.1:8080"),
        (8080, {"http": 9}, "10.1.0.1:9"),
        (8080, {"web": 9}, "10.1.0.1:8080"),
        ("web", {"web": 9}, "10.1.0.1:9"),
        ("web", {"http": 9, "web": 7}, "10.1.0.1:7"),
        ("web", {"http": 9}, ""),
        ("web", {"web": None}, ""),
        ("web", None, ""),
    ],
)
def test_which_port(target: Any, ports: Any, expected: str) -> None:
    objects = (selecting([{"name": "http", "port": 80, "targetPort": target}]), entry(ports=ports))
    assert addresses(*objects) == ([expected] if expected else [])
    missing = 'WorkloadEntry shop/vm: spec.ports: has no port "web", so it is no endpoint of shop/cart:80'
    assert (missing in warnings(*BASE, *objects)) is (not expected)


def test_entries_come_after_the_slices_by_name() -> None:
    objects = (
        entry("b", address="10.1.0.2"),
        entry("a", address="10.1.0.3"),
        selecting(),
        endpoint_slice(member("10.0.0.9"), name="z"),
        entry("twice", address="10.0.0.9"),
    )
    assert addresses(*objects) == ["10.0.0.9:8080", "10.1.0.3:8080", "10.1.0.2:8080"]


def test_endpoints_that_are_leaving_do_not_serve_beside_an_entry() -> None:
    leaving = endpoint_slice(member("10.0.0.1", ready=False, serving=True, terminating=True))
    assert addresses(selecting(), leaving, entry()) == ["10.1.0.1:8080"]
    assert addresses(selecting(), leaving) == ["10.0.0.1:8080"]


def test_a_port_that_only_entries_have() -> None:
    objects = (selecting(), endpoint_slice(ports=[{"name": "web", "port": 1}]), entry())
    assert addresses(*objects) == ["10.1.0.1:8080"]
    assert 'no EndpointSlice of it has a port named "http"' in warnings(*BASE, *objects)
    assert "no endpoints" not in warnings(*BASE, *objects)


def test_ipv6() -> None:
    assert addresses(selecting(), entry(address="FD00:0::1")) == ["[fd00::1]:8080"]


@pytest.mark.parametrize(
    ("fields", "hbone", "identity"),
    [
        ({}, False, ""),
        ({"annotations": {"ambient.istio.io/redirection": "enabled"}}, True, ""),
        ({"labels": {"app": "cart", "networking.istio.io/tunnel": "http"}}, True, ""),
        ({"own_labels": {"networking.istio.io/tunnel": "http"}}, True, ""),
        ({"serviceAccount": "till"}, False, "ns/shop/sa/till"),
    ],
)
def test_how_it_is_reached(fields: Object, hbone: bool, identity: str) -> None:
    (found,) = endpoints(selecting(), entry(**fields))
    assert (found.hbone, found.identity) == (hbone, identity)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"status": SICK}, True),
        ({"annotations": PROBED}, False),
        ({"annotations": PROBED, "status": SICK}, False),
        ({"annotations": PROBED, "status": HEALTHY}, True),
        ({"annotations": PROBED, "status": {"conditions": [None, 7]}}, False),
        ({"annotations": {"proxy.istio.io/health-checks-enabled": "false"}}, True),
    ],
)
def test_an_entry_that_is_probed_serves_when_it_is_healthy(fields: Object, expected: bool) -> None:
    assert bool(endpoints(selecting(), entry(**fields))) is expected


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"address": None}, "spec.address: is required"),
        ({"address": ""}, "spec.address: is required"),
        ({"address": 7}, "spec.address: must be text, not 7"),
        ({"address": "10.0.0"}, 'spec.address: must be an IP address or a host name, not "10.0.0"'),
        ({"address": "10.0.0.300"}, "spec.address: must be an IP address"),
        ({"address": "a b"}, "spec.address: must be an IP address"),
        ({"address": "fe80::1%eth0"}, "spec.address: must be an IP address"),
        ({"address": "0.0.0.0"}, "spec.address: 0.0.0.0 cannot be the address of an endpoint"),
        ({"address": "ff02::1"}, "spec.address: ff02::1 cannot be the address of an endpoint"),
        ({"ports": {"http": 0}}, "spec.ports.http: must be between 1 and 65535"),
        ({"ports": {"http": "80"}}, 'spec.ports.http: must be a whole number, not "80" (remove the quotes)'),
        ({"ports": {"": 80}}, "spec.ports: a port must have a name"),
        ({"ports": [80]}, "spec.ports: must be a mapping"),
        ({"labels": {"app": 1}}, "spec.labels.app: must be text, not 1"),
        ({"labels": "app"}, "spec.labels: must be a mapping"),
        ({"serviceAccount": "a/b"}, "spec.serviceAccount: must be the name of a ServiceAccount"),
        ({"weight": -1}, "spec.weight: must be between 0"),
        ({"adress": "10.0.0.1"}, 'spec.adress: is not a known field (did you mean "address"?)'),
    ],
)
def test_bad_entries(fields: Object, said: str) -> None:
    (fault,) = faults(*BASE, selecting(), entry(**fields))
    assert fault.startswith("WorkloadEntry-3.yaml:")
    assert f": WorkloadEntry shop/vm: {said}" in fault


def test_an_entry_without_a_spec() -> None:
    bare = entry()
    del bare["spec"]
    assert "spec: is required" in faults(*BASE, bare)[0]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"address": "vm.example.com"}, "one with a host name is for a ServiceEntry with resolution DNS"),
        ({"address": "unix:///run/a.sock"}, "spec.address: a Unix socket is not served by this version"),
        ({"address": None, "network": "far"}, "spec: has no address of its own"),
    ],
)
def test_what_is_not_served_of_an_entry(fields: Object, said: str) -> None:
    assert said in warnings(*BASE, selecting(), entry(**fields))
    assert not endpoints(selecting(), entry(**fields))


@pytest.mark.parametrize(("weight", "share"), [(None, 1), (0, 1), (1, 1), (5, 5)])
def test_weights(weight: int | None, share: int) -> None:
    fields: Object = {} if weight is None else {"weight": weight}
    (endpoint,) = endpoints(selecting(), entry(**fields))
    assert endpoint.weight == share
