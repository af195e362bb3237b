"""Policies close what they target, or decide who gets in."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.mesh.mesh_rig import Object, clusters, faults, service, shop, thing, warnings


def policy(target: Any, kind: str = "AuthorizationPolicy", ns: str = "shop", **spec: Any) -> Object:
    return thing(
        kind, "security.istio.io/v1", "deny", ns, spec={**({"targetRefs": [target]} if target else {}), **spec}
    )


SERVICE_REF = {"kind": "Service", "group": "", "name": "cart"}
GATEWAY_REF = {"kind": "Gateway", "group": "gateway.networking.k8s.io", "name": "wp"}
CLASS_REF = {"kind": "GatewayClass", "group": "gateway.networking.k8s.io", "name": "istio-waypoint"}
ANY: list[dict[str, object]] = [{}]


@pytest.mark.parametrize(
    ("guard", "closed"),
    [
        (policy(SERVICE_REF, "RequestAuthentication"), ["cart"]),
        (policy(SERVICE_REF, action="CUSTOM", rules=ANY), ["cart"]),
        (policy(SERVICE_REF, action="AUDIT"), []),
        (policy(SERVICE_REF), []),
        (policy(None, "RequestAuthentication", targetRef=SERVICE_REF), ["cart"]),
        (policy(SERVICE_REF, "RequestAuthentication", ns="far"), []),
        (policy({**SERVICE_REF, "name": "other"}, "RequestAuthentication"), []),
        (policy(GATEWAY_REF, "RequestAuthentication"), ["cart", "till"]),
        (policy(GATEWAY_REF, "RequestAuthentication", ns="far"), []),
        (policy(CLASS_REF, "RequestAuthentication", ns="istio-system"), ["cart", "till"]),
        (policy(CLASS_REF, "RequestAuthentication"), []),
        (policy({**CLASS_REF, "name": "other"}, "RequestAuthentication", ns="istio-system"), []),
        (policy(None, "RequestAuthentication"), []),
        (policy(None, "RequestAuthentication", selector={"matchLabels": {"a": "b"}}), []),
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
