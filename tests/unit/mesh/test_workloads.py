"""Captured Pods: which endpoints are reached over HBONE, and which identity must answer."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.mesh.model import Endpoint
from tests.unit.mesh.mesh_rig import Object, clusters, endpoint_slice, faults, member, pod, shop

CAPTURED = {"ambient.istio.io/redirection": "enabled"}


def endpoints(*objects: Object, **more: Any) -> tuple[Endpoint, ...]:
    return clusters(*shop()[:3], *objects, **more)["shop/cart:80"].endpoints


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, False),
        ({"annotations": CAPTURED}, True),
        ({"annotations": {"ambient.istio.io/redirection": "pending"}}, False),
        ({"annotations": {"ambient.istio.io/redirection": "Enabled"}}, False),
        ({"annotations": {"ambient.istio.io/redirection": "disabled"}}, False),
        ({"labels": {"ambient.istio.io/redirection": "enabled"}}, False),
        ({"labels": {"networking.istio.io/tunnel": "http"}}, True),
        ({"labels": {"networking.istio.io/tunnel": "http3,http"}}, True),
        ({"labels": {"networking.istio.io/tunnel": "http3, http"}}, False),
        ({"labels": {"networking.istio.io/tunnel": "http3"}}, False),
        ({"labels": {"networking.istio.io/tunnel": ""}}, False),
        ({"labels": {"networking.istio.io/tunnel": None}}, False),
        ({"annotations": {"networking.istio.io/tunnel": "http"}}, False),
        ({"labels": {"gateway.istio.io/managed": "istio.io-mesh-controller"}}, True),
        ({"labels": {"gateway.istio.io/managed": "istio.io-gateway-controller"}}, False),
        ({"labels": {"istio.io/dataplane-mode": "ambient"}}, False),
    ],
)
def test_which_pods_are_captured(fields: Object, expected: bool) -> None:
    (found,) = endpoints(endpoint_slice(member("10.0.0.1", "cart-1")), pod("cart-1", "10.0.0.1", **fields))
    assert found.hbone is expected
    assert found.workload == "cart-1"


@pytest.mark.parametrize(
    ("account", "ns", "expected"),
    [("", "shop", ""), ("cart", "shop", "ns/shop/sa/cart"), ("cart", "far", "")],
)
def test_the_identity_is_the_pods_service_account(account: str, ns: str, expected: str) -> None:
    (found,) = endpoints(endpoint_slice(member("10.0.0.1", "cart-1")), pod("cart-1", "10.0.0.1", account, ns))
    assert found.identity == expected


def test_an_identity_is_known_of_pods_that_are_not_captured_too() -> None:
    (found,) = endpoints(endpoint_slice(member("10.0.0.1", "cart-1")), pod("cart-1", account="a"))
    assert (found.hbone, found.identity) == (False, "ns/shop/sa/a")


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (member("10.0.0.1", "named"), ("named", "ns/shop/sa/by-name")),
        (member("10.0.0.2"), ("at-2", "ns/shop/sa/by-ip")),
        (member("10.0.0.2", "gone"), ("gone", "ns/shop/sa/by-ip")),
        (member("10.0.0.2", "named"), ("named", "ns/shop/sa/by-name")),
        (member("10.0.0.9"), ("", "")),
        ({"addresses": ["10.0.0.2"], "targetRef": {"kind": "Machine", "name": "named"}}, ("named", "ns/shop/sa/by-ip")),
        ({"addresses": ["10.0.0.9"], "targetRef": {"name": "named"}}, ("named", "ns/shop/sa/by-name")),
    ],
)
def test_a_pod_is_found_by_name_and_else_by_address(entry: Object, expected: tuple[str, str]) -> None:
    pods = (pod("named", "10.0.0.1", "by-name"), pod("at-2", "10.0.0.2", "by-ip"))
    (found,) = endpoints(endpoint_slice(entry), *pods)
    assert (found.workload, found.identity) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "cart-1"),
        ({"spec": {"hostNetwork": False}}, "cart-1"),
        ({"spec": {"hostNetwork": True}}, ""),
        ({"status": {"podIP": "10.0.0.1", "phase": "Running"}}, "cart-1"),
        ({"status": {"podIP": "10.0.0.1", "phase": "Pending"}}, "cart-1"),
        ({"status": {"podIP": "10.0.0.1", "phase": "Succeeded"}}, ""),
        ({"status": {"podIP": "10.0.0.1", "phase": "Failed"}}, ""),
        ({"status": {"podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]}}, "cart-1"),
        ({"status": {"podIP": "10.0.0.300", "podIPs": [None, {"ip": 7}]}}, ""),
        ({"status": {"podIPs": "10.0.0.1"}}, ""),
        ({"status": None}, ""),
        ({"status": []}, ""),
        ({"ns": "far"}, ""),
    ],
)
def test_whose_address_it_is(fields: Object, expected: str) -> None:
    (found,) = endpoints(endpoint_slice(member("10.0.0.1")), pod("cart-1", **{"ip": "10.0.0.1", **fields}))
    assert found.workload == expected


def test_both_families_of_a_pod() -> None:
    both = pod("cart-1", account="a", status={"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "FD00::0:1"}]})
    six = endpoint_slice(member("fd00::1"), name="cart-6", family="IPv6")
    found = endpoints(endpoint_slice(member("10.0.0.1")), six, both)
    assert [(each.address, each.workload) for each in found] == [
        ("10.0.0.1:8080", "cart-1"),
        ("[fd00::1]:8080", "cart-1"),
    ]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"serviceAccountName": 7}, "spec.serviceAccountName: must be text, not 7"),
        ({"serviceAccountName": "a/b"}, "spec.serviceAccountName: must be the name of a ServiceAccount"),
        ({"hostNetwork": "no"}, "spec.hostNetwork: must be true or false"),
    ],
)
def test_bad_pods(spec: Object, said: str) -> None:
    assert said in "\n".join(faults(*shop(pod("cart-1", spec=spec))))


def test_a_pod_may_be_empty() -> None:
    bare = pod("cart-1")
    del bare["spec"], bare["status"]
    assert faults(*shop(bare)) == []
