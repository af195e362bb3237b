"""Which DestinationRule a Service gets, and what of it (tables 1.6 and 1.7 of what is known of Istio's)."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.mesh.model import Cluster
from proxy.mesh.resolving.clusters import subset
from proxy.mesh.resolving.policies import Governing
from proxy.mesh.traffic.balancing import Simple
from proxy.mesh.traffic.security import TlsMode
from tests.unit.mesh.mesh_rig import (
    Object,
    clusters,
    endpoint_slice,
    entry,
    gateway,
    inventory_of,
    listener,
    loaded,
    namespace,
    pod,
    rule,
    service,
    shop,
    thing,
)

ROOT = "istio-system"
FULL = "cart.shop.svc.cluster.local"
ALL: Object = {"allowedRoutes": {"namespaces": {"from": "All"}}}


def errors(count: int) -> Object:
    return {"outlierDetection": {"consecutive5xxErrors": count, "maxEjectionPercent": 100}}


def chosen(*rules: Object, waypoint_in: str = "infra", port: int = 80) -> str | None:
    """Name of the rule the Service shop/cart gets from a waypoint in another namespace."""
    labels = {"istio.io/use-waypoint": "wp", "istio.io/use-waypoint-namespace": waypoint_in}
    door = gateway(listener(**ALL), ns=waypoint_in)
    found = clusters(namespace(labels=labels), door, service(), endpoint_slice(), *rules)[f"shop/cart:{port}"]
    return found.destination_rule or None


SOLO: Object = {"exportTo": ["."]}


def at(ns: str, host: str = FULL, name: str = "rule", spec: Object | None = None, **fields: Any) -> Object:
    return rule(errors(3), host=host, ns=ns, name=name, spec=spec, **fields)


def exported(name: str, *scopes: str) -> Object:
    return at("shop", name=name, spec={"exportTo": list(scopes)})


OLDER, NEWER = (f"{year}-01-01T00:00:00Z" for year in (2024, 2025))
WILD = [at("shop", host, f"r{index}") for index, host in enumerate(["*", "*.local", "*.cluster.local"])]
EMPTY = rule(name="a")


def row(name: str, rules: list[Object], expected: str | None, waypoint_in: str = "infra") -> Any:
    return pytest.param(rules, expected, waypoint_in, id=f"1.6 {name}")


@pytest.mark.parametrize(
    ("rules", "expected", "waypoint_in"),
    [
        *(
            row(f"expand host: {host}", [at("shop", host)], "shop/rule" if taken else None)
            for host, taken in (
                ("cart", True),
                (FULL, True),
                ("CART", True),
                ("Cart.Shop.svc.cluster.local", True),
                ("cart.shop", False),
                ("cart.shop.svc", False),
                ("till", False),
                ("*", True),
                ("*.local", True),
                ("*.shop.svc.cluster.local", True),
                ("*art.shop.svc.cluster.local", True),
                (f"*.{FULL}", False),
                ("*.other.svc.cluster.local", False),
            )
        ),
        row("expand host: in the rule's own namespace", [at("infra", "cart")], None),
        row("1 namespace: the waypoint's", [at(ns) for ns in ("infra", "shop", "istio-system")], "infra/rule"),
        row("1 namespace: of the root only what is private to it", [at("istio-system"), at("shop")], "shop/rule", ROOT),
        row(
            "1 namespace: what is private to the root",
            [at("istio-system", spec=SOLO), at("shop")],
            "istio-system/rule",
            ROOT,
        ),
        row("1 namespace: the client's is never asked", [at("other")], None),
        row("1 namespace: a private rule counts there", [at("shop", spec=SOLO)], "shop/rule", "shop"),
        row("2 namespace: the Service's", [at(ns) for ns in ("shop", "istio-system")], "shop/rule"),
        *(
            row(f"2 namespace: exportTo {scopes}", [at("shop", spec={"exportTo": scopes})], taken)
            for scopes, taken in (
                (None, "shop/rule"),
                ([], "shop/rule"),
                (["*"], "shop/rule"),
                (["."], None),
                (["shop"], None),
                (["infra"], "shop/rule"),
                (["other"], None),
                (["other", "infra"], "shop/rule"),
            )
        ),
        row("3 namespace: the root's", [at("istio-system")], "istio-system/rule"),
        row("3 namespace: from there", [at("istio-system")], "istio-system/rule", ROOT),
        row(
            "3 namespace: where the one before is hidden",
            [at("shop", spec={"exportTo": ["other"]}), at("istio-system")],
            "istio-system/rule",
        ),
        row("within one namespace: the longest wildcard", WILD, "shop/r2"),
        row("within one namespace: the exact host", [*WILD, at("shop", name="exact")], "shop/exact"),
        row(
            "within one namespace: of equals the first by alphabet",
            [at("shop", "*t.shop.svc.cluster.local", "b"), at("shop", "*t.shop.svc.cluster.local", "a")],
            "shop/a",
        ),
        row("consequence: a namespace beats a host", [at("infra", "*.local"), at("shop")], "infra/rule"),
        row("several rules: the first by name", [at("shop", name="c"), at("shop", name="b")], "shop/b"),
        row("several rules: the first with a policy", [at("shop", name="b"), EMPTY], "shop/b"),
        row("several rules: none has a policy", [EMPTY, rule(name="b")], "shop/a"),
        row(
            "several rules: the oldest",
            [at("shop", name="a", creationTimestamp=NEWER), at("shop", name="z", creationTimestamp=OLDER)],
            "shop/z",
        ),
        row(
            "several rules: those for sidecars are skipped",
            [at("shop", name="a", spec={"workloadSelector": {"matchLabels": {"a": "b"}}}), at("shop", name="b")],
            "shop/b",
        ),
        row(
            "differing exportTo: a wider one joins",
            [exported("a", "infra"), exported("b", "infra", "x")],
            "shop/a",
        ),
        row(
            "differing exportTo: one apart is the last",
            [exported("a", "infra", "x"), exported("b", "infra"), exported("c", "*")],
            "shop/c",
        ),
    ],
)
def test_which_rule(rules: list[Object], expected: str | None, waypoint_in: str) -> None:
    assert chosen(*rules, waypoint_in=waypoint_in) == expected


def test_1_6_user_rule_and_gateway_api_backend_policy() -> None:
    """BackendTLSPolicy is not in force; the rule's own members would win over it."""
    policy = thing(
        "BackendTLSPolicy",
        "gateway.networking.k8s.io/v1",
        "tls",
        spec={"targetRefs": [{"group": "", "kind": "Service", "name": "cart"}], "validation": {"hostname": "cart"}},
    )
    result = loaded(*shop(policy, rule({"tls": {"mode": "DISABLE"}})))
    assert result.snapshot
    tls = result.snapshot.clusters["shop/cart:80"].policy.tls
    assert tls is not None and tls.mode is TlsMode.DISABLE
    assert any("BackendTLSPolicy shop/tls" in each and "not in force" in each for each in result.warnings)


def test_a_wildcard_and_an_exact_host_are_not_merged() -> None:
    exact = rule({"loadBalancer": {}}, name="exact")
    found = clusters(namespace(), gateway(), service(), endpoint_slice(), rule(errors(3), host="*"), exact)
    assert found["shop/cart:80"].outlier is None


# Three ports and a subset; every case says of a member of the policy which value is in force where.
PORTS = [{"name": f"http-{number}", "port": number} for number in (80, 81, 82)]


def timeout(seconds: int) -> Object:
    return {"connectionPool": {"tcp": {"connectTimeout": f"{seconds}s"}}}


def on(number: int, **members: Any) -> Object:
    return {"port": {"number": number}, **members}


def level(
    name: str, member: str, top: Object | None, subset: Object | None, expected: dict[tuple[int, str], object]
) -> Any:
    return pytest.param(member, top, subset, expected, id=f"1.7 {name}")


RANDOM, LEAST = {"loadBalancer": {"simple": "RANDOM"}}, {"loadBalancer": {"simple": "LEAST_REQUEST"}}
DEFAULT = Simple.UNSPECIFIED
BUDGET: Object = {"retryBudget": {"percent": 7}}
OUTLIER, SIMPLE, PERCENT = "outlier_detection.consecutive_5xx", "load_balancer.simple", "retry_budget.percent"
CONNECT = "connection_pool.tcp.connect_timeout_ms"


@pytest.mark.parametrize(
    ("member", "top", "subset", "expected"),
    [
        level(
            "port over top: it replaces",
            OUTLIER,
            {**errors(3), "portLevelSettings": [on(81, **errors(7)), on(82, **timeout(4))]},
            None,
            {(80, ""): 3, (81, ""): 7, (82, ""): None},
        ),
        level(
            "port over top: what it does not say is the default",
            CONNECT,
            {**timeout(3), "portLevelSettings": [on(81, **errors(7))]},
            None,
            {(80, ""): 3000, (81, ""): 1000, (82, ""): 3000},
        ),
        level(
            "port over top: the top's tunnel, proxyProtocol and retryBudget are lost",
            PERCENT,
            {**BUDGET, "portLevelSettings": [on(81, **errors(7))]},
            None,
            {(80, ""): 7.0, (81, ""): None},
        ),
        level(
            "port over top: ports alone",
            OUTLIER,
            {"portLevelSettings": [on(81, **errors(7))]},
            None,
            {(80, ""): None, (81, ""): 7},
        ),
        level("subset over: it inherits", OUTLIER, errors(3), None, {(80, "v1"): 3}),
        level("subset over: without a policy above", OUTLIER, None, errors(5), {(80, ""): None, (80, "v1"): 5}),
        level(
            "subset over: a member that it says replaces the whole member",
            "outlier_detection.interval_ms",
            {"outlierDetection": {"interval": "1s"}},
            errors(5),
            {(80, ""): 1000, (80, "v1"): 10_000},
        ),
        level("subset over: others stay", CONNECT, {**timeout(3), **errors(3)}, errors(5), {(80, "v1"): 3000}),
        level(
            "subset over: over the port's entry",
            OUTLIER,
            {**errors(3), "portLevelSettings": [on(81, **errors(7))]},
            RANDOM,
            {(80, "v1"): 3, (81, "v1"): 7},
        ),
        level(
            "subset with its own port entry: its four members come from there",
            OUTLIER,
            errors(3),
            {**errors(5), "portLevelSettings": [on(81, **RANDOM)]},
            {(80, "v1"): 5, (81, "v1"): None},
        ),
        level(
            "subset with its own port entry: the other three are inherited",
            PERCENT,
            {**BUDGET, **errors(3)},
            {"portLevelSettings": [on(81, **RANDOM)]},
            {(81, "v1"): 7.0},
        ),
        level(
            "hash lookup: subset port > subset > port > top",
            SIMPLE,
            {**RANDOM, "portLevelSettings": [on(82, **LEAST)]},
            {"portLevelSettings": [on(81, loadBalancer={"simple": "ROUND_ROBIN"})], **timeout(1)},
            {
                (80, ""): Simple.RANDOM,
                (82, ""): Simple.LEAST_REQUEST,
                (80, "v1"): Simple.RANDOM,
                (81, "v1"): Simple.ROUND_ROBIN,
                (82, "v1"): Simple.LEAST_REQUEST,
            },
        ),
    ],
)
def test_levels(
    member: str, top: Object | None, subset: Object | None, expected: dict[tuple[int, str], object]
) -> None:
    given = rule(top, spec={"subsets": [{"name": "v1", **({"trafficPolicy": subset} if subset else {})}]})
    governing = governed(given)
    for (port, name), value in expected.items():
        policy: Any = governing.policy(port, name)
        for step in member.split("."):
            policy = getattr(policy, step) if policy is not None else None
        assert policy == value, (port, name)


def test_1_7_outlier_state_scope() -> None:
    """A subset is a cluster of its own, with a name and so a state of its own."""
    whole, part = part_of(rule(errors(3), spec={"subsets": [{"name": "v1", "labels": {"v": "1"}}]}))
    assert (whole.name, part.name) == ("shop/cart:80", "shop/cart:80/v1")
    assert part.envoy_name == f"inbound-vip|80|http/v1|{FULL}"


def test_subsets_of_several_rules_come_together_and_a_name_counts_once() -> None:
    first = rule(errors(3), name="a", spec={"subsets": [{"name": "v1", "trafficPolicy": errors(4)}]})
    second = rule(
        errors(9), name="b", spec={"subsets": [{"name": "v1"}, {"name": "v2", "trafficPolicy": {**errors(5)}}]}
    )
    governing = governed(first, second)
    assert [*governing.subsets] == ["v1", "v2"]
    mine, theirs = governing.policy(80, "v1"), governing.policy(80, "v2")
    assert (mine.origins["outlierDetection"].rule, theirs.origins["outlierDetection"].rule) == ("shop/a", "shop/b")
    assert theirs.origins["outlierDetection"].path == ("spec", "subsets", 1, "trafficPolicy", "outlierDetection")
    assert theirs.rule == "shop/a"
    warnings = loaded(*shop(first, second)).warnings
    assert any("b: spec.subsets[0].name: DestinationRule shop/a has a subset of this name" in each for each in warnings)


def test_annotations_come_with_the_outlier_detection_they_are_about() -> None:
    probing = {"waypointd.io/recovery": "probe"}
    first = rule(errors(3), name="a")
    second = rule(name="b", spec={"subsets": [{"name": "v1", "trafficPolicy": errors(5)}]}, annotations=probing)
    governing = governed(first, second)
    whole, part = governing.policy(80).ejecting, governing.policy(80, "v1").ejecting
    assert whole is not None and not whole.probe
    assert part is not None and part.probe


def governed(*rules: Object) -> Governing:
    inventory = inventory_of(namespace(), gateway(), service(ports=PORTS), endpoint_slice(ports=PORTS), *rules)
    found = inventory.rules.select(FULL, "shop")
    assert found is not None
    return found


def part_of(given: Object) -> tuple[Cluster, Cluster]:
    """The cluster of the Service, and that of its subset v1."""
    pods = [pod(f"cart-{last}", f"10.0.0.{last}", labels={"v": str(last % 2)}) for last in (1, 2, 3)]
    vm = entry(address="10.1.0.1", labels={"app": "cart", "v": "1"}, ports={"http": 8080})
    shown = (namespace(), gateway(), service(spec={"selector": {"app": "cart"}}), endpoint_slice(), *pods, vm)
    inventory = inventory_of(*shown, given)
    found = inventory.services["shop/cart"]
    governing = inventory.rules.select(FULL, "shop")
    assert governing is not None
    whole = clusters(*shown, given)["shop/cart:80"]
    return whole, subset(inventory, found, found.ports[0], governing, "v1")


def test_a_subset_has_the_endpoints_with_its_labels() -> None:
    whole, part = part_of(rule(errors(3), spec={"subsets": [{"name": "v1", "labels": {"v": "1"}}]}))
    assert [each.ip for each in whole.endpoints] == ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.1.0.1"]
    assert [each.ip for each in part.endpoints] == ["10.0.0.1", "10.0.0.3", "10.1.0.1"]


@pytest.mark.parametrize(
    ("labels", "size"), [({}, 4), ({"v": "0"}, 1), ({"v": "1", "app": "cart"}, 1), ({"v": "7"}, 0)]
)
def test_labels_of_a_subset(labels: dict[str, str], size: int) -> None:
    _, part = part_of(rule(errors(3), spec={"subsets": [{"name": "v1", "labels": labels}]}))
    assert len(part.endpoints) == size


def test_a_subset_that_nobody_is_in_is_warned_of() -> None:
    given = rule(errors(3), spec={"subsets": [{"name": "v1", "labels": {"v": "7"}}, {"name": "v2"}]})
    known = shop(pod("cart-1", "10.0.0.1", labels={"v": "1"}), given)
    (said,) = [each for each in loaded(*known).warnings if "has these labels" in each]
    assert "spec.subsets[0].labels: no endpoint of Service shop/cart has these labels, so the subset has none" in said
    assert not any("has these labels" in each for each in loaded(*shop(given)).warnings), "nobody knows their labels"


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("till", "spec.host: till.shop.svc.cluster.local names no Service, so the rule does nothing"),
        ("cart.shop", f"a host with a dot in it is not completed, so the rule does nothing; write {FULL}"),
        ("cart.shop.svc", f"write {FULL}"),
        ("example.com", None),
        ("*.example.com", None),
    ],
)
def test_a_rule_for_nothing_is_warned_of(host: str, said: str | None) -> None:
    warnings = loaded(namespace(), gateway(), service(), endpoint_slice(), rule(errors(3), host=host)).warnings
    assert (said in warnings[0]) if said else warnings == ()


def test_a_rule_that_is_deleted_leaves_the_defaults() -> None:
    with_rule = clusters(*shop(rule({"outlierDetection": {"maxEjectionPercent": 50}})))["shop/cart:80"]
    without = clusters(*shop())["shop/cart:80"]
    assert with_rule.outlier is not None
    assert (without.outlier, without.destination_rule, without.connect_timeout_ms) == (None, "", 1000)
