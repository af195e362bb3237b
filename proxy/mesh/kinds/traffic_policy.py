"""The fields of a DestinationRule's `trafficPolicy`: what Istio accepts.

Tables, read with networking/v1alpha3/destination_rule.proto and Istio's ValidateDestinationRule beside them; which of
the fields are in force is in `in_force`.
"""

from __future__ import annotations

from proxy.mesh.kinds.balancing import load_balancer
from proxy.mesh.kinds.connections import connection_pool
from proxy.mesh.kinds.security import client_tls, proxy_protocol, tunnel
from proxy.mesh.reading.records import built
from proxy.mesh.reading.schema import (
    At,
    Given,
    any_of,
    at_most_one,
    boolean,
    duration,
    duration_or_none,
    fields,
    integer,
    items,
    number,
    percent,
    port_number,
    unsigned,
)
from proxy.mesh.traffic.outlier import OutlierDetection
from proxy.mesh.traffic.policy import Members, PortPolicy, RetryBudget, TrafficPolicy

_BY_PORT = ("loadBalancer", "connectionPool", "outlierDetection", "tls")


def _split(at: At, given: Given) -> None:
    if given.get("consecutiveLocalOriginFailures") and given.get("splitExternalLocalOriginErrors") is not True:
        at.down("consecutiveLocalOriginFailures").fault("needs splitExternalLocalOriginErrors: true")


def _never(at: At, found: OutlierDetection) -> None:
    if found.consecutive_5xx == 0 and not (found.consecutive_gateway or found.split_local_origin):
        at.down("consecutive5xxErrors").warn("0 switches ejection off: no endpoint is ever ejected")


def _old_errors(at: At, value: object) -> int | None:
    at.warn("is ignored, as Istio does; use consecutive5xxErrors")
    return integer(-(2**31), 2**31 - 1)(at, value)


def _share(at: At, value: object) -> int | None:
    """A percentage of which 0 cannot be told from unset, in Istio's API either."""
    return percent(at, value) or None


_outlier_detection = built(
    OutlierDetection,
    {
        "consecutive5xxErrors": unsigned,
        "consecutiveGatewayErrors": unsigned,
        "splitExternalLocalOriginErrors": boolean,
        "consecutiveLocalOriginFailures": unsigned,
        "interval": duration,
        "baseEjectionTime": duration,
        "maxEjectionPercent": _share,
        "minHealthPercent": percent,
        "outlierDetectionHttpErrorCodes": items(integer(100, 599)),
        "consecutiveErrors": _old_errors,
    },
    given=(_split,),
    rules=(_never,),
)

_retry_budget = built(
    RetryBudget, {"percent": number(0, 100), "minRetryConcurrency": unsigned, "budgetInterval": duration_or_none}
)


def _failover_needs_outliers(at: At, found: Members) -> None:
    balancer = found.load_balancer
    if balancer is None or found.outlier_detection:
        return
    for setting, asked in (
        ("localityLbSetting", balancer.locality_lb_setting),
        ("zoneAwareLbSetting", balancer.zone_aware_lb_setting),
    ):
        if asked and (asked.failover or asked.failover_priority):
            name = "failover" if asked.failover else "failoverPriority"
            text = "does nothing without outlierDetection, by which it is known who is not well; add it"
            at.down("loadBalancer", setting, name).warn(text)


_selector = fields({"number": port_number}, required=("number",))


def _port(at: At, value: object) -> int | None:
    found = _selector(at, value)
    number = found["number"] if found else None
    return number if isinstance(number, int) else None


_MEMBERS = {
    "loadBalancer": load_balancer,
    "connectionPool": connection_pool,
    "outlierDetection": _outlier_detection,
    "tls": client_tls,
}

_port_level = built(
    PortPolicy, {**_MEMBERS, "port": _port}, given=(any_of(*_BY_PORT),), rules=(_failover_needs_outliers,)
)


def _ports_once(at: At, found: TrafficPolicy) -> None:
    ports = [entry.port for entry in found.port_level_settings]
    for index, port in enumerate(ports):
        if port in ports[:index]:
            at.down("portLevelSettings", index, "port").warn(f"port {port} is given twice; the first settings are used")


traffic_policy = built(
    TrafficPolicy,
    {
        **_MEMBERS,
        "portLevelSettings": items(_port_level),
        "tunnel": tunnel,
        "proxyProtocol": proxy_protocol,
        "retryBudget": _retry_budget,
    },
    given=(
        any_of(*_BY_PORT, "portLevelSettings", "tunnel", "proxyProtocol", "retryBudget"),
        at_most_one("tunnel", "proxyProtocol"),
    ),
    rules=(_ports_once, _failover_needs_outliers),
)
