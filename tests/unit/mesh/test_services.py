"""Which Services are served."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.mesh.mesh_rig import (
    CANARY,
    CANARY_NS,
    USE,
    USE_NS,
    endpoint_slice,
    gateway,
    listener,
    namespace,
    routes,
    served,
    service,
    warnings,
)


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


@pytest.mark.parametrize(
    ("on_namespace", "on_service", "expected"),
    [
        ({}, {USE: "other", CANARY: "wp"}, True),
        ({}, {USE: "wp", CANARY: "other"}, True),
        ({}, {USE: "other", USE_NS: "far", CANARY: "wp"}, True),
        ({}, {USE: "other", CANARY: "wp", CANARY_NS: "elsewhere"}, False),
        ({}, {USE: "other", CANARY: "none"}, False),
        ({}, {CANARY: "wp"}, False),
        ({}, {USE: "none", CANARY: "wp"}, False),
        ({USE: "other", CANARY: "wp"}, {}, True),
        ({USE: "other", CANARY: "wp"}, {USE: "third"}, False),
        ({USE: "other", CANARY: "wp"}, {USE: "none"}, False),
        ({USE: "other", CANARY: "wp"}, {CANARY: "none"}, False),
        ({USE: "other", CANARY: "wp"}, {CANARY: "third"}, False),
        ({USE: "other"}, {CANARY: "wp"}, True),
        ({USE: "other", CANARY: "wp"}, {"gateway.istio.io/managed": "istio.io-mesh-controller"}, False),
    ],
)
def test_a_canary_is_served_too(on_namespace: Any, on_service: Any, expected: bool) -> None:
    """Where istiod binds it: beside a waypoint, and the Namespace's only for who inherits its waypoint."""
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
