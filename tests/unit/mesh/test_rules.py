"""Which DestinationRule a Service gets (destinationrule.md 1.6, 1.7)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.mesh.mesh_rig import (
    Object,
    clusters,
    endpoint_slice,
    gateway,
    listener,
    loaded,
    namespace,
    rule,
    service,
    shop,
)

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


@pytest.mark.parametrize(
    ("host", "applies"),
    [
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
        ("*.svc.cluster.local", True),
        (f"*.{FULL}", False),
        ("*.other.svc.cluster.local", False),
    ],
)
def test_hosts(host: str, applies: bool) -> None:
    assert (chosen(rule(errors(3), host=host)) is not None) is applies


def test_a_short_host_is_of_the_rules_own_namespace() -> None:
    assert chosen(rule(errors(3), ns="infra")) is None
    assert chosen(rule(errors(3), ns="infra", host=FULL)) == "infra/rule"


def test_namespaces_in_order_waypoint_service_root() -> None:
    all_three = [rule(errors(3), ns=each, host=FULL) for each in ("infra", "shop", "istio-system")]
    assert chosen(*all_three) == "infra/rule"
    assert chosen(*all_three[1:]) == "shop/rule"
    assert chosen(*all_three[2:]) == "istio-system/rule"
    assert chosen(rule(errors(3), ns="other", host=FULL)) is None


def test_a_wildcard_in_an_earlier_namespace_hides_an_exact_host_in_a_later_one() -> None:
    assert chosen(rule(errors(3), ns="infra", host="*.local"), rule(errors(3), host="cart")) == "infra/rule"


def test_the_most_specific_host_wins_in_one_namespace() -> None:
    rules = [
        rule(errors(3), host=host, name=f"r{index}") for index, host in enumerate(["*", "*.local", "*.cluster.local"])
    ]
    assert chosen(*rules) == "shop/r2"
    assert chosen(*rules, rule(errors(3), name="exact")) == "shop/exact"


def test_a_wildcard_and_an_exact_host_are_not_merged() -> None:
    exact = rule({"loadBalancer": {}}, name="exact")
    found = clusters(namespace(), gateway(), service(), endpoint_slice(), rule(errors(3), host="*"), exact)
    assert found["shop/cart:80"].outlier is None


@pytest.mark.parametrize(
    ("scopes", "applies"),
    [
        (None, True),
        ([], True),
        (["*"], True),
        (["."], False),
        (["shop"], False),
        (["infra"], True),
        (["other"], False),
        (["other", "infra"], True),
    ],
)
def test_export_to_is_judged_from_the_waypoints_namespace(scopes: Any, applies: bool) -> None:
    assert (chosen(rule(errors(3), spec={"exportTo": scopes})) is not None) is applies


def test_a_private_rule_counts_in_its_own_namespace() -> None:
    assert chosen(rule(errors(3), spec={"exportTo": ["."]}), waypoint_in="shop") == "shop/rule"


def test_a_waypoint_in_the_root_namespace_sees_only_private_rules_of_it_first() -> None:
    public = rule(errors(3), ns="istio-system", host=FULL, name="public")
    private = rule(errors(3), ns="istio-system", host=FULL, name="private", spec={"exportTo": ["."]})
    own = rule(errors(3))
    assert chosen(public, own, waypoint_in="istio-system") == "shop/rule"
    assert chosen(private, own, waypoint_in="istio-system") == "istio-system/private"
    assert chosen(public, waypoint_in="istio-system") == "istio-system/public"


def test_a_hidden_rule_lets_the_next_namespace_be_asked() -> None:
    hidden = rule(errors(3), spec={"exportTo": ["other"]})
    assert chosen(hidden, rule(errors(3), ns="istio-system", host=FULL)) == "istio-system/rule"


def test_of_several_rules_for_a_host_the_oldest_then_the_first_by_name_with_a_policy_is_taken() -> None:
    empty = rule(name="a")
    second, third = rule(errors(3), name="b"), rule(errors(4), name="c")
    assert chosen(third, second, empty) == "shop/b"
    older = rule(errors(5), name="z", creationTimestamp="2024-01-01T00:00:00Z")
    newer = rule(errors(6), name="a", creationTimestamp="2025-01-01T00:00:00Z")
    assert chosen(newer, older) == "shop/z"
    assert chosen(empty) == "shop/a"


def test_rules_with_other_exports_are_not_merged_and_the_last_is_taken() -> None:
    first = rule(errors(3), name="a", spec={"exportTo": ["infra"]})
    wider = rule(errors(4), name="b", spec={"exportTo": ["infra", "other"]})
    apart = rule(errors(5), name="c", spec={"exportTo": ["*"]})
    assert chosen(first, wider) == "shop/a"
    assert chosen(first, wider, apart) == "shop/c"


def test_a_rule_with_a_workload_selector_is_skipped_with_a_warning() -> None:
    selecting = rule(errors(3), spec={"workloadSelector": {"matchLabels": {"a": "b"}}, "exportTo": ["."]})
    result = loaded(namespace(), gateway(), service(), endpoint_slice(), selecting)
    assert result.snapshot is not None
    assert result.snapshot.clusters["shop/cart:80"].destination_rule == ""
    assert "the rule is ignored: it is for sidecars" in result.warnings[0]


def test_port_settings_replace_the_whole_policy_of_their_port() -> None:
    policy = {
        **errors(3),
        "connectionPool": {"tcp": {"connectTimeout": "3s"}},
        "portLevelSettings": [
            {"port": {"number": 81}, "outlierDetection": {"consecutive5xxErrors": 7, "maxEjectionPercent": 100}},
            {"port": {"number": 82}, "connectionPool": {"tcp": {"connectTimeout": "4s"}}},
        ],
    }
    ports = [{"name": f"http-{number}", "port": number} for number in (80, 81, 82)]
    sliced = endpoint_slice(ports=[{"name": f"http-{number}", "port": number} for number in (80, 81, 82)])
    found = clusters(namespace(), gateway(), service(ports=ports), sliced, rule(policy))
    seen = {
        name: (each.outlier.consecutive_5xx if each.outlier else None, each.connect_timeout_ms)
        for name, each in found.items()
    }
    assert seen == {"shop/cart:80": (3, 3000), "shop/cart:81": (7, 1000), "shop/cart:82": (None, 4000)}


def test_a_rule_with_port_settings_only_leaves_the_other_ports_alone() -> None:
    policy = {"portLevelSettings": [{"port": {"number": 81}, **errors(3)}]}
    found = clusters(namespace(), gateway(), service(), endpoint_slice(), rule(policy))["shop/cart:80"]
    assert (found.outlier, found.destination_rule) == (None, "shop/rule")


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
