"""Policies close what they target, or decide who gets in."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.mesh.mesh_rig import (
    Object,
    clusters,
    endpoint_slice,
    faults,
    gateway,
    namespace,
    selecting,
    service,
    shop,
    thing,
    warnings,
)


def policy(target: Any, kind: str = "AuthorizationPolicy", ns: str = "shop", **spec: Any) -> Object:
    return thing(
        kind, "security.istio.io/v1", "deny", ns, spec={**({"targetRefs": [target]} if target else {}), **spec}
    )


SERVICE_REF = {"kind": "Service", "group": "", "name": "cart"}
GATEWAY_REF = {"kind": "Gateway", "group": "gateway.networking.k8s.io", "name": "wp"}
CLASS_REF = {"kind": "GatewayClass", "group": "gateway.networking.k8s.io", "name": "istio-waypoint"}
ANY: list[dict[str, object]] = [{}]


@pytest.mark.parametrize("guard", [policy(SERVICE_REF, action="AUDIT"), policy(SERVICE_REF)])
def test_Z12_policies_that_close_nothing(guard: Object) -> None:
    assert not clusters(*shop(guard))["shop/cart:80"].closed


def test_policies_without_a_say_are_told_of() -> None:
    audit = policy(SERVICE_REF, action="AUDIT", rules=ANY)
    tried = policy(CLASS_REF, ns="istio-system", action="DENY", rules=ANY)
    tried["metadata"] |= {"name": "tried", "annotations": {"istio.io/dry-run": "true"}}
    found = clusters(*shop(audit, tried, policy(SERVICE_REF) | {"metadata": {"name": "a", "namespace": "shop"}}))
    cart = found["shop/cart:80"]
    assert [each.name for each in cart.access] == ["shop/a"]
    assert sorted(each.name for each in cart.shadows) == ["istio-system/tried", "shop/deny"]


AUTHENTICATION = "RequestAuthentication"


@pytest.mark.parametrize(
    ("where", "guarded"),
    [
        pytest.param({"target": SERVICE_REF}, ["cart"], id="service"),
        pytest.param({"target": None, "targetRef": SERVICE_REF}, ["cart"], id="one-ref"),
        pytest.param({"target": SERVICE_REF, "ns": "far"}, [], id="other-namespace"),
        pytest.param({"target": {**SERVICE_REF, "name": "other"}}, [], id="other-service"),
        pytest.param({"target": GATEWAY_REF}, ["cart", "till"], id="gateway"),
        pytest.param({"target": GATEWAY_REF, "ns": "far"}, [], id="other-gateway"),
        pytest.param({"target": CLASS_REF, "ns": "istio-system"}, ["cart", "till"], id="class"),
        pytest.param({"target": CLASS_REF}, [], id="class-of-no-root"),
        pytest.param({"target": {**CLASS_REF, "name": "other"}, "ns": "istio-system"}, [], id="other-class"),
        pytest.param({"target": None}, [], id="none"),
        pytest.param({"target": None, "selector": {"matchLabels": {"a": "b"}}}, [], id="selector"),
    ],
)
def test_Z1_Z52_Z60_Z64_J1_E35_what_policies_target(where: dict[str, Any], guarded: list[str]) -> None:
    target, more = where["target"], {name: value for name, value in where.items() if name != "target"}
    custom = policy(target, action="CUSTOM", rules=ANY, **more)
    objects = (*shop(service("till")), custom)
    found = clusters(*objects)
    assert [name for name in ("cart", "till") if found[f"shop/{name}:80"].closed] == guarded
    for name in guarded:
        assert f"AuthorizationPolicy {custom['metadata']['namespace']}/deny" in found[f"shop/{name}:80"].closed
        assert f"Service shop/{name} is closed (403) until it is" in warnings(*objects)
    tokens = policy(target, AUTHENTICATION, jwtRules=[{"issuer": "https://a"}], **more)
    found = clusters(*shop(service("till")), tokens)
    assert [name for name in ("cart", "till") if found[f"shop/{name}:80"].tokens] == guarded
    assert not any(each.closed for each in found.values())


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


WEB = {"matchLabels": {"app": "cart"}}
BY_PATH = {"rules": [{"to": [{"operation": {"paths": ["/a"]}}]}]}
BY_NAME = {"rules": [{"from": [{"source": {"namespaces": ["far"]}}]}]}
TOKENS = {"jwtRules": [{"issuer": "a", "jwksUri": "https://a.example/keys"}]}


@pytest.mark.parametrize(
    ("kind", "ns", "spec", "said"),
    [
        pytest.param(AUTHENTICATION, "shop", {"selector": WEB, **TOKENS}, "no token is verified there", id="tokens"),
        pytest.param(AUTHENTICATION, "istio-system", TOKENS, "no token is verified there", id="mesh-wide"),
        pytest.param("AuthorizationPolicy", "shop", {"selector": WEB, **BY_PATH}, "allows nobody there", id="Z3"),
        pytest.param("AuthorizationPolicy", "shop", BY_PATH, "allows nobody there", id="Z3-namespace"),
        pytest.param("AuthorizationPolicy", "shop", {"selector": WEB, **BY_NAME}, "", id="Z2"),
        pytest.param("AuthorizationPolicy", "far", BY_PATH, "", id="other-namespace"),
        pytest.param(
            "AuthorizationPolicy", "shop", {"selector": {"matchLabels": {"app": "x"}}, **BY_PATH}, "", id="other-pods"
        ),
    ],
)
def test_Z2_Z3_policies_that_ztunnel_cannot_keep_to_are_told(kind: str, ns: str, spec: Object, said: str) -> None:
    given = thing(kind, "security.istio.io/v1", "p", ns, spec=spec)
    told = warnings(namespace(), gateway(), selecting(), endpoint_slice(), given)
    assert ("has no targetRefs" in told and said in told and "Service shop/cart" in told) if said else told == "", told
