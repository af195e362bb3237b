"""The table of what is in force: complete, and told of in one warning."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import pytest

from proxy.mesh.kinds.in_force import FIELDS, is_in_force
from proxy.mesh.traffic.fields import api_name
from proxy.mesh.traffic.outlier import FailurePercentage, SuccessRate
from proxy.mesh.traffic.policy import TrafficPolicy
from tests.unit.mesh.mesh_rig import loaded, rule, shop

OURS = {
    "outlierDetection.probe",
    "outlierDetection.localOriginQuorum",
    *(f"outlierDetection.successRate.{api_name(each)}" for each in dataclasses.fields(SuccessRate)),
    *(f"outlierDetection.failurePercentage.{api_name(each)}" for each in dataclasses.fields(FailurePercentage)),
}


def declared(record: Any, path: str = "") -> Iterator[str]:
    """Every field of a policy, by its dotted path: those of lists and of what the table does not look into, as one."""
    hints = get_type_hints(record)
    for each in dataclasses.fields(record):
        name, inside = f"{path}{api_name(each)}", _record(hints[each.name])
        if inside is None or name in FIELDS:
            yield name
        else:
            yield from declared(inside, f"{name}.")


def _record(hint: Any) -> Any:
    options = get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    return next((each for each in options if dataclasses.is_dataclass(each)), None)


def test_every_field_of_the_model_has_a_row_and_every_row_is_a_field() -> None:
    assert set(declared(TrafficPolicy)) - OURS - {"portLevelSettings"} == FIELDS.keys()


def warned(spec: dict[str, Any]) -> list[str]:
    return [each.partition(": DestinationRule shop/rule: ")[2] for each in loaded(*shop(rule(spec=spec))).warnings]


def test_one_warning_names_all_fields_at_the_place_of_the_first() -> None:
    policy: dict[str, Any] = {
        "outlierDetection": {"maxEjectionPercent": 100},
        "loadBalancer": {"backendUtilization": {}},
        "portLevelSettings": [{"port": {"number": 80}, "loadBalancer": {"backendUtilization": {}}}],
        "retryBudget": {"percent": 20},
    }
    inner: dict[str, Any] = {"loadBalancer": {"backendUtilization": {}}}
    said, unused = warned({"trafficPolicy": policy, "subsets": [{"name": "v1", "trafficPolicy": inner}]})
    assert unused.startswith("spec.subsets: no VirtualService sends requests to v1")
    assert said == (
        "spec.trafficPolicy.loadBalancer.backendUtilization: is not in force in this version (ROUND_ROBIN is used); "
        "nor are trafficPolicy.portLevelSettings[0].loadBalancer.backendUtilization (ROUND_ROBIN is used), "
        "subsets[0].trafficPolicy.loadBalancer.backendUtilization (ROUND_ROBIN is used)"
    )


def test_what_istio_leaves_out_at_waypoints_is_told_apart() -> None:
    zones = {"zoneAwareLbSetting": {"enabled": True, "minClusterSize": 3}}
    tunnel = {"protocol": "POST", "targetHost": "a.b", "targetPort": 1}
    policy: dict[str, Any] = {"loadBalancer": zones, "tunnel": tunnel}
    setting, alike = "trafficPolicy.loadBalancer.zoneAwareLbSetting", "(all endpoints are balanced alike)"
    assert sorted(warned({"trafficPolicy": policy})) == [
        f"spec.{setting}.enabled: true does nothing at a waypoint, in Istio too {alike}"
        f"; nor does {setting}.minClusterSize 3 {alike}",
        "spec.trafficPolicy.tunnel: is for TCP, in Istio too: requests for shop/cart:80 go to the endpoints themselves",
        "spec.trafficPolicy.tunnel: is not in force in this version (connections go to the endpoints themselves)",
    ]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("loadBalancer.consistentHash.httpCookie.name", "user", True),
        ("loadBalancer.warmup.duration", "60s", True),
        ("connectionPool.tcp.tcpKeepalive.time", "7200s", True),
        ("connectionPool.http.http2KeepAlive.interval", "5s", True),
        ("proxyProtocol.version", "V2", True),
        ("retryBudget.budgetInterval", "10s", True),
        ("loadBalancer.backendUtilization.weightUpdatePeriod", "1s", False),
        ("tunnel.targetHost", "a.b", True),
        ("tunnel.protocol", "POST", False),
        ("what.there.is.not", 1, False),
    ],
)
def test_what_is_in_a_mapping_that_has_one_row_goes_with_it(name: str, value: object, expected: bool) -> None:
    assert is_in_force(name, value) is expected


def test_what_asks_for_what_is_done_anyway_is_silent() -> None:
    policy: dict[str, Any] = {
        "outlierDetection": {"maxEjectionPercent": 100, "minHealthPercent": 0, "outlierDetectionHttpErrorCodes": []},
        "loadBalancer": {"simple": "ROUND_ROBIN", "localityLbSetting": {"enabled": False, "failover": []}},
        "connectionPool": {"tcp": {"maxConnections": 0}, "http": {"useClientProtocol": False}},
        "tls": {"mode": "DISABLE", "sni": "a"},
    }
    assert warned({"trafficPolicy": policy, "subsets": []}) == []


def test_a_rule_for_sidecars_is_told_of_once() -> None:
    spec = {"workloadSelector": {"matchLabels": {"a": "b"}}, "trafficPolicy": {"loadBalancer": {"simple": "RANDOM"}}}
    (said,) = warned(spec)
    assert said.startswith("spec.workloadSelector: the rule is ignored: it is for sidecars, in Istio too")
