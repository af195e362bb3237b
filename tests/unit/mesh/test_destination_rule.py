"""What is said of valid DestinationRules, and what comes of them; which fields there are is in test_rule_cases."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.controller.pool_form import pool_form
from proxy.mesh.traffic.outlier import FailurePercentage, OutlierDetection, SuccessRate
from tests.unit.mesh.mesh_rig import (
    clusters,
    endpoint_slice,
    faults,
    gateway,
    hbone,
    loaded,
    member,
    namespace,
    rule,
    service,
    shop,
)

OD = "outlierDetection"
LB = "loadBalancer"


def warned(policy: Any = None, **spec: Any) -> list[str]:
    result = loaded(*shop(rule(policy, spec=spec)))
    assert not result.faults, [str(fault) for fault in result.faults]
    return [warning.split("DestinationRule shop/rule: ")[1] for warning in result.warnings]


def test_a_rule_without_a_spec_and_a_bad_annotation_are_refused() -> None:
    bare = {key: value for key, value in rule().items() if key != "spec"}
    assert "spec: is required" in faults(*shop(bare))[0]
    note = {"waypointd.io/abandoned-request-timeout": "never"}
    (fault,) = faults(*shop(rule(annotations=note)))
    assert "metadata.annotations[waypointd.io/abandoned-request-timeout]: must be a duration" in fault


@pytest.mark.parametrize(
    ("policy", "warnings"),
    [
        ({LB: {"simple": "ROUND_ROBIN"}}, []),
        ({LB: {"simple": "UNSPECIFIED"}}, []),
        ({LB: {"simple": "LEAST_CONN"}}, []),
        ({LB: {"simple": "PASSTHROUGH"}}, []),
        (
            {LB: {"backendUtilization": {}}},
            ["backendUtilization: is not in force in this version (ROUND_ROBIN is used)"],
        ),
        ({LB: {"consistentHash": {"useSourceIp": True}}}, []),
        ({LB: {"warmup": {"duration": "1s"}}}, []),
        ({LB: {"simple": "RANDOM", "warmup": {"duration": "1s"}}}, ["warmup: does nothing with RANDOM"]),
        (
            {LB: {"consistentHash": {"useSourceIp": True}, "warmupDurationSecs": "1s"}},
            ["Secs: does nothing with consistentHash"],
        ),
        ({LB: {"localityLbSetting": {"enabled": True}}}, []),
        (
            {LB: {"localityLbSetting": {"failover": [{"from": "a", "to": "b"}]}}},
            ["failover: does nothing without outlierDetection"],
        ),
        (
            {LB: {"localityLbSetting": {"distribute": [{"from": "*", "to": {"*": 100}}], "failoverPriority": ["app"]}}},
            ["failoverPriority: does nothing beside distribute", "does nothing without outlierDetection"],
        ),
        (
            {LB: {"zoneAwareLbSetting": {"failoverPriority": ["app"]}}},
            [
                "failoverPriority: does nothing at a waypoint, in Istio",
                "failoverPriority: does nothing without outlier",
            ],
        ),
        ({"connectionPool": {"tcp": {"connectTimeout": "2s", "maxConnections": 0}}}, []),
        ({"connectionPool": {"tcp": {"maxConnections": 5}, "http": {"maxRetries": 5, "idleTimeout": "1s"}}}, []),
        ({"connectionPool": {"http": {"h2UpgradePolicy": "UPGRADE"}}}, []),
        ({"connectionPool": {"http": {"useClientProtocol": True}}}, []),
        ({OD: {"maxEjectionPercent": 50, "consecutiveGatewayErrors": 0, "minHealthPercent": 0}}, []),
        ({OD: {"maxEjectionPercent": 50, "consecutiveGatewayErrors": 3}}, []),
        ({OD: {"maxEjectionPercent": 50, "consecutive5xxErrors": 0}}, ["Errors: 0 switches ejection off"]),
        ({OD: {"maxEjectionPercent": 50, "consecutive5xxErrors": 0, "consecutiveGatewayErrors": 3}}, []),
        ({OD: {"maxEjectionPercent": 50, "minHealthPercent": 3}}, []),
        ({OD: {"maxEjectionPercent": 50, "outlierDetectionHttpErrorCodes": [429]}}, []),
        (
            {OD: {"maxEjectionPercent": 50, "consecutiveErrors": 3}},
            ["consecutiveErrors: is ignored, as Istio does; use"],
        ),
        (
            {
                OD: {
                    "maxEjectionPercent": 50,
                    "splitExternalLocalOriginErrors": True,
                    "consecutiveLocalOriginFailures": 2,
                }
            },
            [],
        ),
        ({"tls": {"mode": "DISABLE"}}, []),
        (
            {"tls": {"mode": "ISTIO_MUTUAL"}},
            ["tls: ISTIO_MUTUAL is done over HBONE only: endpoints of shop/cart:80 are reached without TLS"],
        ),
        ({"retryBudget": {"percent": 20, "budgetInterval": "0s"}}, []),
        ({"retryBudget": {"percent": 20, "budgetInterval": "5s"}}, []),
        ({LB: {"consistentHash": {"maglev": {"tableSize": 7}}}}, ["consistentHash: names no key (httpHeaderName, "]),
        ({LB: {"consistentHash": {"useSourceIp": False}}}, ["consistentHash: names no key"]),
        ({LB: {"consistentHash": {"httpHeaderName": "x-user"}}}, []),
        (
            {"portLevelSettings": [{"port": {"number": 80}, LB: {"backendUtilization": {}}}]},
            ["backendUtilization: is not in force"],
        ),
        (
            {"portLevelSettings": [{"port": {"number": 80}, LB: {}}, {"port": {"number": 80}, LB: {}}]},
            ["portLevelSettings[1].port: port 80 is given twice; the first settings are used"],
        ),
    ],
)
def test_warned_policies(policy: Any, warnings: list[str]) -> None:
    said = warned(policy)
    assert len(said) == len(warnings), said
    for each in warnings:
        assert any(each in text for text in said), said


def test_subsets_that_nothing_routes_to_are_one_warning() -> None:
    subsets = [{"name": "v1", "trafficPolicy": {LB: {"simple": "RANDOM"}}}, {"name": "v2"}]
    said = "no VirtualService sends requests to v1, v2 of Service shop/cart, so that does nothing here"
    assert warned(subsets=subsets) == [f"spec.subsets: {said}"]


def test_a_null_field_is_a_field_that_is_not_set() -> None:
    assert warned({OD: None, LB: None, "tls": {"mode": "DISABLE"}}, exportTo=None, subsets=None) == []


@pytest.mark.parametrize(
    ("outlier", "expected"),
    [
        (None, None),
        ({}, OutlierDetection(5, 10_000, 30_000, 10)),
        ({"consecutive5xxErrors": 0}, None),
        ({"consecutive5xxErrors": None}, OutlierDetection(5, 10_000, 30_000, 10)),
        (
            {"consecutive5xxErrors": 3, "interval": "1s", "baseEjectionTime": "1m30s", "maxEjectionPercent": 100},
            OutlierDetection(3, 1000, 90_000, 100),
        ),
        ({"maxEjectionPercent": 0}, OutlierDetection(5, 10_000, 30_000, 10)),
    ],
)
def test_outlier_detection(outlier: Any, expected: OutlierDetection | None) -> None:
    found = clusters(*shop(rule({OD: outlier, LB: {}})))["shop/cart:80"]
    assert found.outlier == expected
    assert found.destination_rule == "shop/rule"


def test_the_connect_timeout_and_the_abandoned_request_timeout() -> None:
    policy = {"connectionPool": {"tcp": {"connectTimeout": "2.5s"}}}
    note = "waypointd.io/abandoned-request-timeout"
    for text, expected in (("2s", 2000), ("off", 0), (None, 1000)):
        notes = {note: text} if text else {}
        found = clusters(*shop(rule(policy, annotations=notes)))["shop/cart:80"]
        assert (found.connect_timeout_ms, found.abandoned_ms) == (2500, expected)


def test_recovery_and_quorum_are_annotations() -> None:
    policy = {OD: {"consecutive5xxErrors": 3}}
    notes = {"waypointd.io/recovery": "probe", "waypointd.io/local-origin-quorum": "2"}
    for given, expected in ((notes, (True, 2)), ({}, (False, 1)), ({"waypointd.io/recovery": "full"}, (False, 1))):
        outlier = clusters(*shop(rule(policy, annotations=given)))["shop/cart:80"].outlier
        assert outlier is not None
        assert (outlier.probe, outlier.local_origin_quorum) == expected


@pytest.mark.parametrize(
    ("note", "text", "expected"),
    [
        ("success-rate", "on", SuccessRate(5, 100, 1900, 100)),
        ("success-rate", "request_volume=20  minimum_hosts=3", SuccessRate(3, 20, 1900, 100)),
        ("success-rate", "stdev_factor=0 enforcing=0", SuccessRate(5, 100, 0, 0)),
        ("failure-percentage", "on", FailurePercentage(85, 5, 50, 100)),
        ("failure-percentage", "threshold=30", FailurePercentage(30, 5, 50, 100)),
    ],
)
def test_detectors_by_rate_are_annotations(note: str, text: str, expected: SuccessRate | FailurePercentage) -> None:
    made = rule({OD: {"consecutive5xxErrors": 0}}, annotations={f"waypointd.io/{note}": text})
    outlier = clusters(*shop(made))["shop/cart:80"].outlier
    assert outlier is not None
    assert {outlier.success_rate, outlier.failure_percentage} == {expected, None}


def test_a_detector_that_has_too_few_endpoints_is_told_of() -> None:
    for text, warnings in (("on", 1), ("minimum_hosts=1", 0)):
        made = rule({OD: {"maxEjectionPercent": 100}}, annotations={"waypointd.io/success-rate": text})
        told = [each for each in loaded(*shop(made)).warnings if "judges nothing" in each]
        assert len(told) == warnings
        assert all("metadata.annotations[waypointd.io/success-rate]: judges nothing: there " in each for each in told)


@pytest.mark.parametrize(
    ("fields", "ejects"),
    [
        ({"consecutive5xxErrors": 0}, False),
        ({"consecutive5xxErrors": 0, "consecutiveGatewayErrors": 2}, True),
        ({"consecutive5xxErrors": 0, "splitExternalLocalOriginErrors": True}, True),
        ({}, True),
    ],
)
def test_a_rule_ejects_by_any_of_its_thresholds(fields: dict[str, Any], ejects: bool) -> None:
    outlier = clusters(*shop(rule({OD: {"maxEjectionPercent": 50} | fields})))["shop/cart:80"].outlier
    assert (outlier is not None) == ejects


@pytest.mark.parametrize(
    ("note", "text", "fault"),
    [
        ("success-rate", "", 'must be "on" or settings: minimum_hosts, request_volume, stdev_factor, enforcing'),
        ("success-rate", "off", '"off": must be "on" or settings, each once, of minimum_hosts, request_volume'),
        ("success-rate", "minimum_hosts=0", 'minimum_hosts: must be a number from 1 to 2147483647, not "0"'),
        ("success-rate", "enforcing=101", 'enforcing: must be a number from 0 to 100, not "101"'),
        ("success-rate", "minimum_hosts=3 minimum_hosts=4", '"minimum_hosts=4": must be "on" or settings, each once'),
        ("failure-percentage", "threshold=0", "threshold: must be a number from 1 to 100"),
        ("failure-percentage", "stdev_factor=1", '"stdev_factor=1": must be "on" or settings'),
        ("recovery", "half", 'must be one of full, probe, not "half"'),
        ("limits-scope", "mesh", 'must be one of replica, fleet, not "mesh"'),
        ("local-origin-quorum", "0", 'must be a number of replicas from "1" to "32", not "0"'),
        ("local-origin-quorum", "99", "must be a number of replicas"),
        ("local-origin-quorum", "two", "must be a number of replicas"),
    ],
)
def test_annotations_with_a_wrong_value_are_refused(note: str, text: str, fault: str) -> None:
    (told,) = faults(*shop(rule(annotations={f"waypointd.io/{note}": text})))
    assert f"metadata.annotations[waypointd.io/{note}]: {fault}" in told


def test_limits_may_be_for_the_whole_fleet() -> None:
    pool = {"connectionPool": {"http": {"http2MaxRequests": 7}}, "retryBudget": {"percent": 12.5}}
    for given, fleet in (({}, None), ({"limits-scope": "replica"}, None), ({"limits-scope": "fleet"}, True)):
        notes = {f"waypointd.io/{name}": value for name, value in given.items()}
        form = pool_form(clusters(*shop(rule(pool, annotations=notes)))["shop/cart:80"].policy)
        assert (form.get("fleet"), form["requests"], form["budget_percent"], form["budget_min"]) == (fleet, 7, 12.5, 3)


def test_an_annotation_of_ours_that_there_is_not_is_warned_of() -> None:
    members = [member("10.0.0.1")]
    mistyped = rule({}, annotations={"waypointd.io/recover": "probe"})
    found = loaded(namespace(), gateway(), service(), endpoint_slice(*members), mistyped).warnings
    assert any(
        "waypointd.io/recover]: is not known" in warning and "waypointd.io/recovery" in warning for warning in found
    )


@pytest.mark.parametrize(
    ("percent", "endpoints", "needed"),
    [(10, 1, 100), (10, 2, 50), (33, 3, 34), (34, 3, None), (49, 2, 50), (50, 2, None), (10, 10, None), (99, 1, 100)],
)
def test_a_cap_that_never_lets_anything_be_ejected_is_warned_of(
    percent: int, endpoints: int, needed: int | None
) -> None:
    members = [member(f"10.0.0.{last}") for last in range(1, endpoints + 1)]
    policy = {OD: {"maxEjectionPercent": percent}}
    warnings = loaded(namespace(), gateway(), service(), endpoint_slice(*members), rule(policy)).warnings
    if needed is None:
        assert warnings == ()
    else:
        counted = "1 endpoint" if endpoints == 1 else f"{endpoints} endpoints"
        assert warnings[0].endswith(
            "DestinationRule shop/rule: spec.trafficPolicy.outlierDetection.maxEjectionPercent: never ejects: "
            f"{percent} % of {counted} of shop/cart:80 is 0; set maxEjectionPercent to at least {needed}"
        )


@pytest.mark.parametrize(
    ("key", "said"),
    [({"httpHeaderName": "x-user"}, True), ({"httpCookie": {"name": "u"}}, True), ({"useSourceIp": True}, False)],
    ids=["header", "cookie", "source"],
)
def test_a_key_that_bytes_do_not_have_is_told(key: dict[str, Any], said: bool) -> None:
    tcp = service(ports=[{"name": "tcp", "port": 80, "targetPort": 8080}])
    rules = rule({LB: {"consistentHash": key}})
    result = loaded(namespace(), gateway(hbone()), tcp, endpoint_slice(), rules)
    told = [str(each) for each in result.warnings if "useSourceIp alone can be a key" in str(each)]
    assert len(told) == said


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ({LB: {"simple": "RANDOM"}}, True),
        ({"connectionPool": {"tcp": {"connectTimeout": "2s"}}}, True),
        ({"connectionPool": {"tcp": {"maxConnections": 9}}}, False),
        ({"retryBudget": {}}, False),
    ],
)
def test_a_scope_of_limits_that_there_are_not_is_told(policy: dict[str, Any], said: bool) -> None:
    result = loaded(*shop(rule(policy, annotations={"waypointd.io/limits-scope": "fleet"})))
    assert [str(each).partition("limits-scope]: ")[2] for each in result.warnings] == [
        "does nothing: the rule has no limits in connectionPool, and no retryBudget"
    ] * said
