"""What `--check -v` says of clusters: the rule in force and why, where values come from, how endpoints are reached."""

from __future__ import annotations

import pytest

from proxy.mesh.resolving.live import Live
from proxy.mesh.resolving.load import Document, Loader
from tests.unit.mesh.mesh_rig import (
    Object,
    documents,
    endpoint_slice,
    gateway,
    hbone,
    member,
    namespace,
    pod,
    rule,
    service,
    shop,
    thing,
)

FULL = "cart.shop.svc.cluster.local"
CAPTURED = {"ambient.istio.io/redirection": "enabled"}
OUTLIER: Object = {"outlierDetection": {"consecutive5xxErrors": 2, "maxEjectionPercent": 100}}


def explained(*objects: Object, has_identity: bool = True) -> list[str]:
    loader = Loader()
    assert loader.load(documents(*objects)).snapshot is not None
    return loader.explained(has_identity)


def test_rate_limits_are_named_as_one_writes_them() -> None:
    limited = service(annotations={"waypointd.io/rate-limit": "5/second; 9/day key=path; 1/never"})
    lines = explained(namespace(), gateway(), limited, endpoint_slice())
    told = "  rate limits: 5/second burst=5 key=none scope=replica; 9/day burst=9 key=path scope=replica"
    assert told in lines


def test_a_cluster_without_a_rule() -> None:
    assert explained(*shop()) == [
        "shop/cart:80 (http): 3 endpoints: 3 in plain TCP (10.0.0.1:8080, 10.0.0.2:8080, 10.0.0.3:8080)",
        "  no DestinationRule: never ejects; connectTimeout 1s (default)",
    ]


def test_values_are_said_with_the_line_they_come_from() -> None:
    written = (
        "# a comment\n---\n"
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\n"
        "metadata:\n  name: r\n  namespace: shop\n  annotations:\n    waypointd.io/recovery: probe\n"
        "spec:\n  host: cart\n  trafficPolicy:\n    connectionPool: {tcp: {connectTimeout: 250ms}}\n"
        "    outlierDetection:\n      interval: 1m30s\n      consecutive5xxErrors:\n        7\n"
    )
    loader = Loader()
    loader.load([*documents(*shop()), Document("r.yaml", written)])
    _, which, outlier, pool, annotations = loader.explained(True)
    assert which.startswith(
        "  DestinationRule shop/r (r.yaml:3), spec.trafficPolicy: it stands in the namespace of way"
    )
    assert outlier.strip() == (
        "outlierDetection: consecutive5xxErrors 7 (line 16), interval 90s (line 15), baseEjectionTime 30s (default), "
        "maxEjectionPercent 10 (default)"
    )
    assert pool.strip() == "connectionPool: tcp.connectTimeout 250ms (line 13)"
    assert annotations.strip() == (
        "annotations: abandoned-request-timeout 1s (default), recovery probe (line 9), local-origin-quorum 1 (default)"
    )


def test_limits_of_the_whole_fleet_are_named() -> None:
    pool: Object = {"connectionPool": {"http": {"http2MaxRequests": 7}}}
    *_, told = explained(*shop(rule(pool, annotations={"waypointd.io/limits-scope": "fleet"})))
    assert "limits-scope fleet" in told


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ([rule(OUTLIER)], "it stands in the namespace of waypoint and Service and is for exactly this host"),
        (
            [rule(OUTLIER, "*.local", ns="istio-system")],
            "it stands in the root namespace and *.local is the most specific host there that covers it",
        ),
        (
            [rule(OUTLIER), rule({"outlierDetection": {}}, name="z")],
            "is for exactly this host; of 2 for it the first by age, then name, that has a policy",
        ),
    ],
)
def test_why_a_rule_is_in_force(rules: list[Object], said: str) -> None:
    assert explained(*shop(*rules))[1].endswith(said)


def test_the_waypoint_in_another_namespace() -> None:
    far = namespace("far", {"istio.io/use-waypoint": "wp", "istio.io/use-waypoint-namespace": "shop"})
    everywhere: Object = {"allowedRoutes": {"namespaces": {"from": "All"}}}
    base = (namespace(), far, gateway(hbone(**everywhere)), service(ns="far"))
    there = "cart.far.svc.cluster.local"
    found = explained(*base, rule(OUTLIER, there, ns="shop"))
    assert "it stands in the waypoint's namespace and is for" in found[1]
    found = explained(*base, rule(OUTLIER, ns="far"))
    assert "it stands in the Service's namespace and is for" in found[1]


def test_the_policy_of_a_port() -> None:
    ports = [{"name": "http", "port": 80}, {"name": "http-b", "port": 81}]
    settings = {"portLevelSettings": [{"port": {"number": 81}, **OUTLIER}]}
    lines = explained(*shop()[:2], service(ports=ports), endpoint_slice(), rule(settings))
    assert "spec.trafficPolicy: it stands" in lines[1] and "never ejects: outlierDetection is not set" in lines[2]
    assert lines[5] == "shop/cart:81 (http): no endpoints, requests get 503"
    assert "spec.trafficPolicy.portLevelSettings[0]: it stands" in lines[6], lines


def test_a_subset_says_who_is_in_it_and_what_is_its_own() -> None:
    mine = {"name": "v1", "labels": {"v": "1"}, "trafficPolicy": {"loadBalancer": {"simple": "PASSTHROUGH"}}}
    first = rule(OUTLIER, name="a", spec={"subsets": [mine]})
    off = {"outlierDetection": {"consecutive5xxErrors": 0}}
    second = rule(name="b", spec={"subsets": [{"name": "v2", "trafficPolicy": off}]})
    lines = explained(*shop(pod("cart-1", "10.0.0.1", labels={"v": "1"}), first, second))
    assert lines[5:] == [
        "  subset v1 (v=1) of shop/a (DestinationRule-5.yaml:1): 1 of 3 endpoints",
        "    loadBalancer: simple PASSTHROUGH (line 18)",
        "  subset v2 (no labels) of shop/b (DestinationRule-6.yaml:1): 3 of 3 endpoints",
        "    never ejects: outlierDetection is switched off",
    ]


def test_values_of_another_rule_are_said_with_its_name() -> None:
    policy = {"connectionPool": {"tcp": {"connectTimeout": "2s"}}}
    second = rule(name="b", spec={"subsets": [{"name": "v1", "trafficPolicy": policy}]})
    lines = explained(*shop(rule(OUTLIER, name="a"), second))
    assert lines[-1] == "    connectionPool: tcp.connectTimeout 2s (shop/b, line 13)"


def test_what_an_api_has_given_has_no_lines() -> None:
    loader = Loader()
    live = Live(loader, "kubernetes")
    for each in shop(rule(OUTLIER)):
        live.put((each["kind"], each["metadata"]["name"]), each)
    assert loader.loaded().snapshot
    assert "consecutive5xxErrors 2 (set), interval 10s (default)" in loader.explained(True)[2]


def test_what_switches_ejection_off() -> None:
    lines = explained(*shop(rule({"outlierDetection": {"consecutive5xxErrors": 0}})))
    assert "never ejects: outlierDetection is switched off" in lines[2]
    lines = explained(*shop(rule()))
    assert "it has no trafficPolicy for this port" in lines[1] and "outlierDetection is not set" in lines[2]


def test_how_endpoints_are_reached() -> None:
    members = [member(f"10.0.0.{last}", f"p-{last}") for last in (1, 2, 3)]
    captured = [pod("p-1", "10.0.0.1", "cart", annotations=CAPTURED), pod("p-2", "10.0.0.2", annotations=CAPTURED)]
    objects = (namespace(), gateway(hbone()), service(), endpoint_slice(*members), *captured, pod("p-3", "10.0.0.3"))
    unknown = "(1 of unknown service account, which is not checked)"
    assert explained(*objects)[0] == (
        f"shop/cart:80 (http): 3 endpoints: 2 over HBONE {unknown}; 1 in plain TCP (10.0.0.3:8080)"
    )
    assert (
        "2 captured, and for want of --tls-dir or --ca in plain TCP all the same"
        in explained(*objects, has_identity=False)[0]
    )


def test_what_is_closed_and_what_is_not_served() -> None:
    guard = thing(
        "AuthorizationPolicy",
        "security.istio.io/v1",
        "g",
        spec={"targetRefs": [{"kind": "Service", "name": "cart"}], "action": "CUSTOM", "rules": [{}]},
    )
    lines = explained(*shop(guard, service("till", labels={"istio.io/use-waypoint": "none"})))
    assert lines[1].startswith("  closed, every request gets 403: AuthorizationPolicy shop/g")
    assert lines[-1] == "Services that are not bound to this Gateway: shop/till"


def test_who_gets_in() -> None:
    target: dict[str, object] = {"targetRefs": [{"kind": "Service", "name": "cart"}]}
    deny: dict[str, object] = {"action": "DENY", "rules": [{}, {"to": [{"operation": {"methods": ["PUT"]}}]}]}
    policies = [
        thing("AuthorizationPolicy", "security.istio.io/v1", name, spec=target | spec)
        for name, spec in (("a", {}), ("b", deny))
    ]
    assert "  who gets in: AuthorizationPolicies shop/a (ALLOW, no rules: nobody), shop/b (DENY, 2 rules)" in explained(
        *shop(*policies)
    )
