"""Every field of a DestinationRule: what is refused, what is warned of, what is understood."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.mesh.traffic.outlier import OutlierDetection
from tests.unit.mesh.mesh_rig import (
    clusters,
    endpoint_slice,
    faults,
    gateway,
    loaded,
    member,
    namespace,
    rule,
    service,
    shop,
)

OD = "outlierDetection"
LB = "loadBalancer"


def refused(policy: Any = None, **spec: Any) -> str:
    return "\n".join(faults(*shop(rule(policy, spec=spec))))


def warned(policy: Any = None, **spec: Any) -> list[str]:
    result = loaded(*shop(rule(policy, spec=spec)))
    assert not result.faults, [str(fault) for fault in result.faults]
    return [warning.split("DestinationRule shop/rule: ")[1] for warning in result.warnings]


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        # trafficPolicy
        ({}, "spec.trafficPolicy: sets nothing"),
        ("x", 'spec.trafficPolicy: must be a mapping, not "x"'),
        (
            {"outlierDetecton": {}},
            'trafficPolicy.outlierDetecton: is not a known field (did you mean "outlierDetection"?)',
        ),
        (
            {"tunnel": {"targetHost": "a", "targetPort": 1}, "proxyProtocol": {"version": "V1"}},
            "cannot be used together",
        ),
        ({"tunnel": {"targetHost": "a", "targetPort": 0}}, "targetPort: must be between 1 and 65535, not 0"),
        ({"tunnel": {"protocol": "GET", "targetHost": "a", "targetPort": 1}}, "must be one of CONNECT, POST"),
        ({"tunnel": {"targetPort": 1}}, "tunnel.targetHost: is required"),
        ({"proxyProtocol": {"version": "V3"}}, "must be one of V1, V2"),
        ({"retryBudget": {"percent": 101}}, "percent: must be between 0 and 100, not 101"),
        # outlierDetection
        ({OD: []}, "outlierDetection: must be a mapping, not a list"),
        (
            {OD: {"consecutive5xxErrors": "3"}},
            'consecutive5xxErrors: must be a whole number, not "3" (remove the quotes)',
        ),
        ({OD: {"consecutive5xxErrors": -1}}, "must be between 0 and 4294967295, not -1"),
        ({OD: {"consecutive5xxErrors": 2**32}}, "must be between"),
        ({OD: {"consecutive5xxErrors": True}}, "must be a whole number, not true"),
        ({OD: {"consecutive5xxErrors": 1.0}}, "must be a whole number, not 1.0"),
        ({OD: {"consecutive5xxErrors": [3]}}, "must be a whole number, not a list"),
        ({OD: {"consecutive5xxErors": 3}}, 'is not a known field (did you mean "consecutive5xxErrors"?)'),
        ({OD: {"zzzz": 3}}, "outlierDetection.zzzz: is not a known field"),
        ({OD: {"interval": 10}}, 'interval: must be a duration in text such as "10s" or "1m30s"; write "10s"'),
        ({OD: {"interval": "0s"}}, "interval: must be at least 1ms"),
        ({OD: {"baseEjectionTime": "30"}}, "baseEjectionTime: must be a duration"),
        ({OD: {"maxEjectionPercent": 101}}, "maxEjectionPercent: must be between 0 and 100, not 101"),
        ({OD: {"maxEjectionPercent": -1}}, "must be between 0 and 100"),
        ({OD: {"maxEjectionPercent": "50%"}}, 'must be a whole number, not "50%"'),
        ({OD: {"minHealthPercent": 101}}, "must be between 0 and 100"),
        ({OD: {"consecutiveLocalOriginFailures": 1}}, "needs splitExternalLocalOriginErrors: true"),
        ({OD: {"splitExternalLocalOriginErrors": "yes"}}, "must be true or false"),
        (
            {OD: {"outlierDetectionHttpErrorCodes": [99]}},
            "outlierDetectionHttpErrorCodes[0]: must be between 100 and 599",
        ),
        ({OD: {"consecutiveErrors": "x"}}, "must be a whole number"),
        # loadBalancer
        ({LB: {"simple": "ROUNDROBIN"}}, 'not "ROUNDROBIN" (did you mean "ROUND_ROBIN"?)'),
        ({LB: {"simple": "RANDOM", "consistentHash": {"useSourceIp": True}}}, "cannot be used together with simple"),
        ({LB: {"consistentHash": {"httpCookie": {"path": "/"}}}}, "httpCookie.name: is required"),
        ({LB: {"consistentHash": {"httpHeaderName": "x", "useSourceIp": True}}}, "cannot be used together"),
        ({LB: {"consistentHash": {"maglev": {}}}}, "maglev.tableSize: is required"),
        ({LB: {"consistentHash": {"maglev": {"tableSize": 100}}}}, "must be a prime number, not 100"),
        ({LB: {"consistentHash": {"maglev": {"tableSize": 5000011}}}}, "must be between"),
        ({LB: {"consistentHash": {"minimumRingSize": 1, "ringHash": {}}}}, "cannot be used together"),
        (
            {LB: {"consistentHash": {"httpCookie": {"name": "a", "attributes": [{"name": "x"}, {"name": "x"}]}}}},
            "twice",
        ),
        ({LB: {"warmup": {}}}, "warmup.duration: is required"),
        ({LB: {"warmup": {"duration": "1s", "aggression": 0}}}, "aggression: must be between"),
        (
            {LB: {"localityLbSetting": {"distribute": [{"from": "a", "to": {"a": 60, "b": 30}}]}}},
            "must add up to 100, not 90",
        ),
        ({LB: {"localityLbSetting": {"distribute": [{"from": "a", "to": {"a": 0}}]}}}, "must be between 1 and 100"),
        ({LB: {"localityLbSetting": {"distribute": [{"from": "a/*/b", "to": {"a": 100}}]}}}, "must be region"),
        (
            {
                LB: {
                    "localityLbSetting": {
                        "distribute": [{"from": "a", "to": {"a": 100}}, {"from": "a/b", "to": {"a": 100}}]
                    }
                }
            },
            "distribute[1].from: overlaps an earlier locality",
        ),
        ({LB: {"localityLbSetting": {"failover": [{"from": "a", "to": "a"}]}}}, "must differ"),
        ({LB: {"localityLbSetting": {"failover": [{"from": "a/b", "to": "a"}]}}}, "must be a region"),
        (
            {
                LB: {
                    "localityLbSetting": {
                        "failover": [{"from": "a", "to": "b"}],
                        "distribute": [{"from": "a", "to": {"b": 100}}],
                    }
                }
            },
            "cannot be used together",
        ),
        (
            {
                LB: {
                    "localityLbSetting": {
                        "failover": [{"from": "a", "to": "b"}],
                        "failoverPriority": ["topology.kubernetes.io/zone"],
                    }
                }
            },
            "cannot be used together",
        ),
        # connectionPool
        ({"connectionPool": {}}, "connectionPool: sets nothing: give at least one of tcp, http"),
        ({"connectionPool": {"tcp": {"connectTimeout": "0.1ms"}}}, "connectTimeout: must be at least 1ms"),
        ({"connectionPool": {"tcp": {"maxConnections": -1}}}, "maxConnections: must be between 0 and 2147483647"),
        (
            {"connectionPool": {"http": {"useClientProtocol": True, "h2UpgradePolicy": "UPGRADE"}}},
            "cannot be used together",
        ),
        ({"connectionPool": {"http": {"http2KeepAlive": {"interval": "1s"}}}}, "http2KeepAlive.timeout: is required"),
        # tls
        ({"tls": {"mode": "MUTUAL"}}, "tls.clientCertificate: is required with mode MUTUAL"),
        (
            {"tls": {"mode": "SIMPLE", "credentialName": "a", "caCertificates": "b"}},
            "cannot be used together with credential",
        ),
        ({"tls": {"mode": "SIMPLE", "insecureSkipVerify": True, "subjectAltNames": ["a"]}}, "with insecureSkipVerify"),
        ({"tls": {"mode": "SIMPLE", "credentialName": "configmap://else/a"}}, "NAME: of the rule's own namespace"),
        ({"tls": {"mode": "STRICT"}}, "must be one of DISABLE, SIMPLE, MUTUAL, ISTIO_MUTUAL"),
        # portLevelSettings
        ({"portLevelSettings": [None]}, "portLevelSettings[0]: is empty"),
        ({"portLevelSettings": [{"outlierDetection": {}}]}, "portLevelSettings[0].port: is required"),
        ({"portLevelSettings": [{"port": {}, "outlierDetection": {}}]}, "port.number: is required"),
        ({"portLevelSettings": [{"port": {"number": 80}}]}, "portLevelSettings[0]: sets nothing"),
        ({"portLevelSettings": [{"port": {"number": 80}, "portLevelSettings": []}]}, "is not a known field"),
        (
            {"portLevelSettings": [{"port": {"number": 80}, OD: {"interval": 1}}]},
            "portLevelSettings[0].outlierDetection.int",
        ),
        ({"portLevelSettings": {}}, "must be a list, not a mapping"),
    ],
)
def test_refused_policies(policy: Any, said: str) -> None:
    assert said in refused(policy)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"host": None}, "spec.host: is required"),
        ({"host": ""}, "spec.host: must be a host name"),
        ({"host": 7}, "spec.host: must be text, not 7 (put quotes around it)"),
        ({"host": "a_b"}, "spec.host: must be a host name"),
        ({"host": "a.*.b"}, "spec.host: must be a host name"),
        ({"host": "a.*b"}, "spec.host: must be a host name"),
        ({"host": "a..b"}, "spec.host: must be a host name"),
        ({"host": "a." * 130 + "b"}, "spec.host: must be a host name"),
        ({"exportTo": ["."], "workloadSelector": {"matchLabels": {"a": 1}}}, "matchLabels.a: must be text"),
        ({"exportTo": ["*"], "workloadSelector": {}}, "exportTo: must be the rule's own namespace"),
        ({"exportTo": [".", "shop"]}, 'exportTo[1]: "shop" is given twice'),
        ({"exportTo": ["*", "a"]}, 'exportTo: "*" means all namespaces and must stand alone'),
        ({"exportTo": ["~"]}, 'exportTo[0]: must be a namespace, "." or "*", not "~"'),
        ({"exportTo": ["A_B"]}, "exportTo[0]: must be a namespace"),
        ({"exportTo": "*"}, 'exportTo: must be a list, not "*"'),
        ({"subsets": [None]}, "subsets[0]: is empty"),
        ({"subsets": [{}]}, "subsets[0].name: is required"),
        ({"subsets": [{"name": "v1"}, {"name": "v1"}]}, 'subsets[1].name: "v1" is given twice'),
        ({"subsets": [{"name": "V_1"}]}, "subsets[0].name: must be a name of"),
        ({"subsets": [{"name": "v1", "labels": {"a": 1}}]}, "subsets[0].labels.a: must be text, not 1 (put quotes"),
        (
            {"subsets": [{"name": "v1", "trafficPolicy": {OD: {"interval": 3}}}]},
            "subsets[0].trafficPolicy.outlierDetection",
        ),
        ({"hots": "a"}, 'spec.hots: is not a known field (did you mean "host"?)'),
    ],
)
def test_refused_rules(spec: Any, said: str) -> None:
    assert said in refused(**spec)


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
        ({LB: {"simple": "LEAST_CONN"}}, ["simple: LEAST_CONN is not in force in this version (ROUND_ROBIN is used)"]),
        (
            {LB: {"simple": "PASSTHROUGH"}},
            ["simple: PASSTHROUGH is not in force in this version (ROUND_ROBIN is used)"],
        ),
        (
            {LB: {"consistentHash": {"useSourceIp": True}}},
            ["consistentHash: is not in force in this version (ROUND_ROBIN is"],
        ),
        ({LB: {"warmup": {"duration": "1s"}}}, ["warmup: is not in force in this version"]),
        ({LB: {"localityLbSetting": {"enabled": True}}}, ["localityLbSetting.enabled: true is not in force"]),
        (
            {LB: {"localityLbSetting": {"failover": [{"from": "a", "to": "b"}]}}},
            ["localityLbSetting.failover: is not in force", "failover: does nothing without outlierDetection"],
        ),
        ({"connectionPool": {"tcp": {"connectTimeout": "2s", "maxConnections": 0}}}, []),
        (
            {"connectionPool": {"tcp": {"maxConnections": 5}}},
            ["maxConnections: 5 is not in force in this version (there is no limit)"],
        ),
        (
            {"connectionPool": {"http": {"maxRetries": 5, "idleTimeout": "1s"}}},
            ["maxRetries: 5 is not in force in this version (there is no limit); nor is trafficPolicy.connectionPool."],
        ),
        (
            {"connectionPool": {"http": {"h2UpgradePolicy": "UPGRADE"}}},
            ["h2UpgradePolicy: UPGRADE is not in force in this version (H"],
        ),
        ({OD: {"maxEjectionPercent": 50, "consecutiveGatewayErrors": 0, "minHealthPercent": 0}}, []),
        (
            {OD: {"maxEjectionPercent": 50, "consecutiveGatewayErrors": 3}},
            ["consecutiveGatewayErrors: 3 is not in force"],
        ),
        ({OD: {"maxEjectionPercent": 50, "minHealthPercent": 3}}, ["minHealthPercent: 3 is not in force"]),
        ({OD: {"maxEjectionPercent": 50, "outlierDetectionHttpErrorCodes": [429]}}, ["Codes: is not in force"]),
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
            ["splitExternalLocalOriginErrors: true is not in force"],
        ),
        ({"tls": {"mode": "DISABLE"}}, []),
        (
            {"tls": {"mode": "ISTIO_MUTUAL"}},
            ["tls: ISTIO_MUTUAL is done over HBONE only: endpoints of shop/cart:80 are reached without TLS"],
        ),
        ({"retryBudget": {"percent": 20}}, ["retryBudget: is not in force"]),
        (
            {"portLevelSettings": [{"port": {"number": 80}, LB: {"simple": "RANDOM"}}]},
            ["simple: RANDOM is not in force"],
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


def test_subsets_are_one_warning_whatever_is_in_them() -> None:
    subsets = [{"name": "v1", "trafficPolicy": {LB: {"simple": "RANDOM"}}}, {"name": "v2"}]
    assert warned(subsets=subsets) == ["spec.subsets: is not in force in this version (nothing routes to a subset)"]


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
    ("note", "text", "fault"),
    [
        ("recovery", "half", 'must be one of full, probe, not "half"'),
        ("local-origin-quorum", "0", 'must be a number of replicas from "1" to "32", not "0"'),
        ("local-origin-quorum", "99", "must be a number of replicas"),
        ("local-origin-quorum", "two", "must be a number of replicas"),
    ],
)
def test_annotations_with_a_wrong_value_are_refused(note: str, text: str, fault: str) -> None:
    (told,) = faults(*shop(rule(annotations={f"waypointd.io/{note}": text})))
    assert f"metadata.annotations[waypointd.io/{note}]: {fault}" in told


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
