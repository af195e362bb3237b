"""Nothing is silently ignored: the entries N1, N4 ... and F1 ... of the outside's list, by their names."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.mesh.mesh_rig import (
    Object,
    endpoint_slice,
    gateway,
    hbone,
    listener,
    loaded,
    namespace,
    rule,
    service,
    shop,
    thing,
)

GATEWAY_API = "gateway.networking.k8s.io/v1"
ISTIO = "networking.istio.io/v1"
TO_SERVICE = {"group": "", "kind": "Service", "name": "cart", "port": 80}
TO_GATEWAY = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "wp"}
TO_CLASS = {"group": "gateway.networking.k8s.io", "kind": "GatewayClass", "name": "istio-waypoint"}


def attached(kind: str, api: str, ns: str = "shop", **spec: Any) -> Object:
    return thing(kind, api, "odd", ns, spec=spec)


def route(*parents: Object, kind: str = "TCPRoute", version: str = "v1alpha2", ns: str = "shop") -> Object:
    return attached(kind, f"gateway.networking.k8s.io/{version}", ns, parentRefs=list(parents))


@pytest.mark.parametrize(
    ("subject", "what"),
    [
        pytest.param(route(TO_SERVICE), "Service shop/cart", id="F5-N1"),
        pytest.param(
            attached("WasmPlugin", "extensions.istio.io/v1alpha1", phase="AUTHN", targetRefs=[TO_GATEWAY]),
            "Gateway shop/wp",
            id="F7",
        ),
        pytest.param(
            attached("Telemetry", "telemetry.istio.io/v1", targetRefs=[TO_GATEWAY], accessLogging=[{"disabled": True}]),
            "Gateway shop/wp",
            id="F8",
        ),
        (route(TO_SERVICE, kind="TLSRoute", version="v1alpha3"), "Service shop/cart"),
        (route({**TO_SERVICE, "name": "other"}, TO_SERVICE), "Service shop/cart"),
        (route({**TO_SERVICE, "namespace": "shop"}, ns="far"), "Service shop/cart"),
        (route({"name": "wp"}), "Gateway shop/wp"),
        (attached("EnvoyFilter", "networking.istio.io/v1alpha3", targetRefs=[TO_SERVICE]), "Service shop/cart"),
        (attached("EnvoyFilter", "networking.istio.io/v1alpha3", configPatches=[]), "all of namespace shop"),
        (attached("Telemetry", "telemetry.istio.io/v1", "istio-system", tracing=[]), "the whole mesh"),
        (
            attached("WasmPlugin", "extensions.istio.io/v1alpha1", "istio-system", targetRefs=[TO_CLASS]),
            "GatewayClass istio-waypoint",
        ),
        (attached("TrafficExtension", "extensions.istio.io/v1alpha1", targetRefs=[TO_SERVICE]), "Service shop/cart"),
        (attached("BackendTLSPolicy", GATEWAY_API, targetRefs=[TO_SERVICE]), "Service shop/cart"),
        (attached("ListenerSet", GATEWAY_API, parentRef=TO_GATEWAY), "Gateway shop/wp"),
        (attached("RateLimitPolicy", "kuadrant.io/v1", targetRef=TO_GATEWAY), "Gateway shop/wp"),
        (attached("TCPRoute", "example.org/v1", parentRefs=[TO_SERVICE]), "Service shop/cart"),
    ],
)
def test_what_attaches_to_what_is_served_is_named_once(subject: Object, what: str) -> None:
    result = loaded(*shop(subject))
    (said,) = result.warnings
    name = f"{subject['kind']} {subject['metadata']['namespace']}/odd"
    assert name in said.replace(".kuadrant.io", "").replace(".example.org", "")
    assert f"attaches to {what} and is not in force in this version" in said
    assert "remove it, or leave" in said
    assert result.snapshot is not None and result.snapshot.warnings == (said,)


@pytest.mark.parametrize(
    "subject",
    [
        route({**TO_SERVICE, "name": "other"}),
        route({"name": "ingress", "namespace": "far"}),
        route(TO_SERVICE, ns="far"),
        attached("EnvoyFilter", "networking.istio.io/v1alpha3", workloadSelector={"labels": {"a": "b"}}),
        attached("EnvoyFilter", "networking.istio.io/v1alpha3", "far"),
        attached("WasmPlugin", "extensions.istio.io/v1alpha1", targetRefs=[TO_CLASS]),
        attached("RateLimitPolicy", "kuadrant.io/v1", targetRef={**TO_GATEWAY, "name": "other"}),
        attached("VerticalPodAutoscaler", "autoscaling.k8s.io/v1", targetRef={"kind": "Deployment", "name": "cart"}),
        attached("Odd", "example.org/v1", targetRefs=["cart", {"kind": ["Service"]}, {"kind": "Service", "name": 7}]),
        {"apiVersion": GATEWAY_API, "kind": "TLSRoute", "metadata": "odd"},
    ],
)
def test_what_attaches_elsewhere_is_left_alone(subject: Object) -> None:
    assert loaded(*shop(subject)).warnings == ()


def test_what_attaches_to_a_service_of_another_waypoint_is_none_of_our_business() -> None:
    other = service("till", labels={"istio.io/use-waypoint": "other"})
    assert loaded(*shop(other, route({**TO_SERVICE, "name": "till"}))).warnings == ()


def test_a_route_without_parents_says_so() -> None:
    (said,) = loaded(*shop(attached("TLSRoute", GATEWAY_API, parentrefs=[TO_SERVICE]))).warnings
    assert 'has no parentRefs, so it attaches to nothing (did you mean "parentRefs"?)' in said


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        (route({**TO_SERVICE, "name": "carts"}), 'spec.parentRefs[0]: there is no Service shop/carts (did you mean '),
        (
            route({**TO_SERVICE, "name": "carts"}, kind="HTTPRoute", version="v1"),
            'spec.parentRefs[0]: there is no Service shop/carts (did you mean ',
        ),
        (
            attached("EnvoyFilter", "networking.istio.io/v1alpha3", targetRefs=[{**TO_SERVICE, "name": "cartz"}]),
            "targetRefs[0]: there is no Service shop/cartz (did you mean",
        ),
    ],
)  # fmt: skip
def test_what_names_almost_a_service_that_is_served_is_asked_about(subject: Object, said: str) -> None:
    """F14's kind."""
    (told,) = loaded(*shop(subject)).warnings
    assert said in told
    spec: Object = {key: [{**TO_SERVICE, "name": "quite-another"}] for key in subject["spec"] if key.endswith("Refs")}
    assert loaded(*shop({**subject, "spec": spec or {"hosts": ["quite-another"]}})).warnings == ()


def test_a_telemetry_for_the_namespace_of_a_service_counts() -> None:
    far = (namespace("far", {"istio.io/use-waypoint": "wp", "istio.io/use-waypoint-namespace": "shop"}),)
    telemetry = attached("Telemetry", "telemetry.istio.io/v1", "far")
    assert not [each for each in loaded(*shop(telemetry)).warnings if "attaches" in each]
    assert [each for each in loaded(*shop(*far, service(ns="far"), telemetry)).warnings if "attaches" in each]


SECURITY = "security.istio.io/v1"


def policy(kind: str = "AuthorizationPolicy", ns: str = "shop", **spec: Any) -> Object:
    return attached(kind, SECURITY, ns, **spec)


def tried(policy: Object) -> Object:
    """Under dry-run."""
    return policy | {"metadata": policy["metadata"] | {"annotations": {"istio.io/dry-run": "true"}}}


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        pytest.param(
            policy(action="DENY", targetrefs=[TO_SERVICE]),
            'spec.targetrefs: is not a known field (did you mean "targetRefs"?)',
            id="F12-N4",
        ),
        pytest.param(policy(rules={}, targetRefs=[TO_CLASS]), "spec.rules: must be a list, not a mapping", id="F15"),
        pytest.param(
            policy(selector={"matchLabels": {"a": "b"}}, targetRefs=[TO_CLASS]),
            "cannot be used together with selector",
            id="F17",
        ),
        (policy(targetRef=TO_CLASS, targetRefs=[TO_CLASS]), "cannot be used together with targetRef"),
        (policy(rule=[]), "spec.rule: is not a known field"),
        (policy(rules=[{"form": []}]), "spec.rules[0].form: is not a known field"),
        (policy(rules=[{"from": [{"sources": {}}]}]), "from[0].sources: is not a known field"),
        (policy(rules=[{"from": [{"source": {"principal": ["a"]}}]}]), "source.principal: is not a known field"),
        (policy(rules=[{"to": [{"operation": {"path": ["/"]}}]}]), "operation.path: is not a known field"),
        (policy(rules=[{"when": [{"values": ["a"]}]}]), "when[0].key: is required"),
        (policy(targetRefs=[{**TO_CLASS, "kind": "Gatewayclass"}]), "spec.targetRefs[0].kind: must be one of Service"),
        (policy(targetRefs=[{**TO_CLASS, "group": "apps"}]), "spec.targetRefs[0].group: must be"),
        (policy("RequestAuthentication", jwtrules=[]), "spec.jwtrules: is not a known field"),
        (policy("RequestAuthentication", jwtRules=[{"jwksUrl": "a"}]), "jwtRules[0].jwksUrl: is not a known field"),
        (policy("RequestAuthentication", action="DENY"), "spec.action: is not a known field"),
    ],
)
def test_a_misspelt_policy_is_a_fault(subject: Object, said: str) -> None:
    assert said in "\n".join(map(str, loaded(*shop(subject)).faults))


def test_all_that_istio_knows_in_a_policy_is_right() -> None:
    texts = ["a"]
    source: dict[str, Any] = dict.fromkeys(("principals", "requestPrincipals", "namespaces", "notNamespaces"), texts)
    source |= {name: ["10.0.0.1", "fd00::/8"] for name in ("ipBlocks", "remoteIpBlocks", "notIpBlocks")}
    accounts = {"serviceAccounts": ["a", "ns/a"], "trustDomains": ["*.corp", "td"]}
    operation: dict[str, Any] = dict.fromkeys(("hosts", "methods", "paths", "notPaths"), texts)
    operation |= {"ports": ["80"], "notPorts": ["65535"]}
    keys = ("source.ip", "source.principal", "request.auth.claims[a][b]", "request.headers[x-a]", "connection.sni")
    one: dict[str, Any] = {
        "from": [{"source": source}, {"source": accounts}],
        "to": [{"operation": operation}, {"operation": {"paths": ["/a/{*}/b/{**}", "/{**}/", "*"]}}],
        "when": [{"key": key, "values": ["::1"], "notValues": ["10.0.0.0/8"]} for key in keys],
    }
    jwt = {
        **{"issuer": "a", "audiences": texts, "jwksUri": "https://a", "forwardOriginalToken": True, "timeout": "5s"},
        "fromHeaders": [{"name": "x", "prefix": "B "}],
        "outputClaimToHeaders": [{"header": "x", "claim": "sub"}],
    }
    custom = policy(action="CUSTOM", provider={"name": "p"}, rules=[{"to": one["to"]}, {}], targetRefs=[TO_CLASS])
    allow = policy(rules=[one, {}], targetRefs=[TO_CLASS]) | {"metadata": {"name": "another", "namespace": "shop"}}
    of_jwt = policy("RequestAuthentication", jwtRules=[jwt], selector={"matchLabels": {"a": "b"}})
    result = loaded(*shop(custom, allow, of_jwt))
    assert result.faults == ()


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        pytest.param(
            policy(targetRefs=[{"kind": "Service", "name": "cort"}]),
            'Service cort (did you mean "cart"?) is not in namespace shop',
            id="F14",
        ),
        pytest.param(
            policy(ns="default", targetRefs=[{"kind": "Service", "name": "cart"}]),
            "Service cart is not in namespace default, so the policy does not apply to it; if metadata.namespace is",
            id="F18",
        ),
        (policy(targetRefs=[{**TO_GATEWAY, "name": "wb"}]), "Gateway wb"),
        (policy(targetRefs=[TO_CLASS]), "a GatewayClass is targeted from namespace istio-system only"),
        (
            tried(policy(targetRefs=[TO_GATEWAY])),
            "is set: it is not enforced; what it would do is counted",
        ),
        (
            tried(policy(targetRefs=[TO_GATEWAY], action="CUSTOM", provider={"name": "x"}, rules=[{}])),
            "is set: it is not enforced, and nobody asks its provider",
        ),
        pytest.param(
            thing("DestinationRules", ISTIO, "r", spec={"host": "cart"}),
            "kind: ignored: there is no kind DestinationRules (did you mean DestinationRule?)",
            id="F9-N4",
        ),
        (thing("destinationrule", ISTIO, "r"), "did you mean DestinationRule?"),
        (thing("Services", "v1", "r"), "did you mean Service?"),
        (thing("EndpointSlices", "discovery.k8s.io/v1", "r"), "did you mean EndpointSlice?"),
        (thing("AuthorisationPolicy", SECURITY, "r"), "did you mean AuthorizationPolicy?"),
        (thing("VirtualServices", ISTIO, "r"), "did you mean VirtualService?"),
        (thing("HttpRoute", GATEWAY_API, "r"), "did you mean HTTPRoute?"),
        pytest.param(
            thing("DestinationRule", ISTIO, "r", "default", spec={"host": "cart.default.svc.cluster.local"}),
            "names no Service, so the rule does nothing; if metadata.namespace is missing, give it",
            id="F45",
        ),
    ],
)
def test_what_matches_nothing_says_so(subject: Object, said: str) -> None:
    (told,) = loaded(*shop(subject)).warnings
    assert said in told


@pytest.mark.parametrize(
    ("kind", "api"),
    [
        *[(kind, "v1") for kind in ("ServiceAccount", "ConfigMap", "Secret", "Endpoints", "PodTemplate", "Event")],
        *[(kind, "apps/v1") for kind in ("Deployment", "ReplicaSet", "StatefulSet")],
        *[(kind, ISTIO) for kind in ("WorkloadGroup", "Sidecar", "ProxyConfig", "Gateway")],
        *[(kind, GATEWAY_API) for kind in ("ReferenceGrant",)],
        ("PeerAuthentication", SECURITY),
        ("ServiceImport", "multicluster.x-k8s.io/v1"),
    ],
)
def test_kinds_that_exist_are_no_slip_of_the_pen(kind: str, api: str) -> None:
    assert loaded(*shop(thing(kind, api, "r"))).warnings == ()


def ingress(name: str = "ingress", kind: str = "istio") -> Object:
    found = gateway(listener(), name=name)
    found["spec"]["gatewayClassName"] = kind
    return found


@pytest.mark.parametrize("others", [[ingress()], [ingress(), ingress("b", "nginx")]])
def test_a_gateway_of_another_class_is_not_ours(others: list[Object]) -> None:
    """N8, F35."""
    result = loaded(*shop(*others))
    assert (result.faults, result.warnings) == ((), ())
    assert result.snapshot is not None and result.snapshot.gateway == "shop/wp"


def test_the_only_gateway_is_served_and_said_to_be_no_waypoint() -> None:
    """N8, F36."""
    found = ingress("wp")
    result = loaded(namespace(), found, service(), endpoint_slice())
    assert result.snapshot is not None and result.snapshot.gateway == "shop/wp"
    assert "spec.gatewayClassName: istio is not the class of waypoints" in "".join(result.warnings)


@pytest.mark.parametrize(
    "own", [gateway(hbone(), name="b"), gateway(name="b", labels={"istio.io/waypoint-for": "all"}), gateway(name="b")]
)
def test_two_waypoints_are_still_a_choice(own: Object) -> None:
    """N8: a waypoint of one's own class says so by its listener or label."""
    if "hbone" in str(own).lower() or "labels" in own["metadata"]:
        own["spec"]["gatewayClassName"] = "mine"
    (said,) = loaded(*shop(own, ingress())).faults
    assert "there are 2 Gateways" in str(said) and "ingress" not in str(said)


OUTLIER: Object = {"outlierDetection": {"consecutive5xxErrors": 2, "maxEjectionPercent": 100}}


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        pytest.param(
            [rule(OUTLIER, name="a"), rule({"outlierDetection": {"maxEjectionPercent": 50}}, name="b")],
            "DestinationRule shop/b: spec.host: is not in force for Service shop/cart: of several for one host the "
            "trafficPolicy of the oldest counts, else of the first by name, shop/a; keep one",
            id="F19-N5",
        ),
        pytest.param(
            [rule({"portLevelSettings": [{"port": {"number": 9999}, **OUTLIER}]})],
            "portLevelSettings[0].port.number: Service shop/cart has no port 9999, so this does nothing; it has 80",
            id="F21-N5",
        ),
        pytest.param(
            [rule(OUTLIER, "cart.shop.svc.cluster.local", ns="client")],
            "is not in force for Service shop/cart: waypoints take rules of the namespaces shop, istio-system only",
            id="F23-N5",
        ),
        pytest.param(
            [rule(OUTLIER, "cart.default")],
            "cart.default names no Service, so the rule does nothing; write cart.shop.svc.cluster.local",
            id="F24-N5",
        ),
        pytest.param(
            [rule({"outlierDetection": {"consecutive5xxErrors": 0}})],
            "outlierDetection.consecutive5xxErrors: 0 switches ejection off",
            id="F26-N5",
        ),
        (
            [rule({"portLevelSettings": [{"port": {"number": 80}, "outlierDetection": {"consecutive5xxErrors": 0}}]})],
            "portLevelSettings[0].outlierDetection.consecutive5xxErrors: 0 switches ejection off",
        ),
        ([rule(OUTLIER, "cart.nowhere.svc")], "cart.nowhere.svc names no Service, so the rule does nothing; write"),
        ([rule(OUTLIER, "nosuch.shop")], "nosuch.shop names no Service, so the rule does nothing"),
        (
            [rule(OUTLIER), rule(OUTLIER, "*.shop.svc.cluster.local", "wide")],
            "DestinationRule shop/wide: spec.host: is not in force for Service shop/cart: shop/rule is, whose host",
        ),
        (
            [rule(OUTLIER), rule(OUTLIER, "cart.shop.svc.cluster.local", "root", "istio-system")],
            "DestinationRule istio-system/root: spec.host: is not in force for Service shop/cart: shop/rule is",
        ),
        (
            [rule(OUTLIER, "cart.shop.svc.cluster.local", "root", "istio-system", {"exportTo": ["."]})],
            "is not in force for Service shop/cart: exportTo hides it from the waypoint",
        ),
    ],
)
def test_a_rule_that_does_nothing_says_so(rules: list[Object], said: str) -> None:
    (told,) = loaded(*shop(*rules)).warnings
    assert said in told


@pytest.mark.parametrize(
    "one",
    [
        rule(OUTLIER),
        rule(OUTLIER, "*.local"),
        rule(OUTLIER, "www.example.org"),
        rule(OUTLIER, "reviews.example", "b"),
        rule({"portLevelSettings": [{"port": {"number": 9999}, **OUTLIER}]}, "*.local"),
    ],
)
def test_a_rule_that_is_in_force_or_for_others_says_nothing(one: Object) -> None:
    assert loaded(*shop(one)).warnings == ()
