"""The fields of a DestinationRule's `trafficPolicy`: what Istio accepts, and which of it does nothing here yet.

A table, read with networking/v1alpha3/destination_rule.proto and Istio's ValidateDestinationRule beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isqrt

from proxy.mesh.kinds.locality import locality_setting
from proxy.mesh.reading.metadata import is_subdomain
from proxy.mesh.reading.records import optional, required, struct
from proxy.mesh.reading.remarks import shown
from proxy.mesh.reading.schema import (
    AnyCheck,
    At,
    Given,
    any_of,
    anything,
    at_most_one,
    boolean,
    count,
    duration,
    duration_or_none,
    fields,
    filled,
    integer,
    items,
    matching,
    number,
    one_of,
    percent,
    port_number,
    text,
    unenforced,
    unsigned,
)

_ROUND_ROBIN = "ROUND_ROBIN is used"
_DONE_ALGORITHMS = ("UNSPECIFIED", "ROUND_ROBIN")
_ALGORITHMS = (*_DONE_ALGORITHMS, "LEAST_REQUEST", "LEAST_CONN", "RANDOM", "PASSTHROUGH")
_MAGLEV_LARGEST = 5_000_011


def _simple(at: At, value: object) -> str | None:
    algorithm = one_of(*_ALGORITHMS)(at, value)
    if algorithm and algorithm not in _DONE_ALGORITHMS:
        at.warn(f"{algorithm} is not enforced by this version; {_ROUND_ROBIN}")
    return algorithm


def _prime(at: At, maglev: Given) -> None:
    size = maglev["tableSize"]
    assert isinstance(size, int)
    if size < 2 or any(size % divisor == 0 for divisor in range(2, isqrt(size) + 1)):
        at.down("tableSize").fault(f"must be a prime number, not {size}")


def _names_unique(at: At, cookie: Given) -> None:
    attributes = cookie.get("attributes")
    names = [attribute["name"] for attribute in attributes] if isinstance(attributes, tuple) else []
    for index, name in enumerate(names):
        if name in names[:index]:
            at.down("attributes", index, "name").fault(f"{shown(name)} is given twice")


_cookie = fields(
    {
        "name": filled,
        "path": text,
        # 0s makes a session cookie, so the rule of at least 1 ms does not hold here.
        "ttl": duration_or_none,
        "attributes": items(fields({"name": filled, "value": text}, required=("name",))),
    },
    required=("name",),
    rules=(_names_unique,),
)

_consistent_hash = fields(
    {
        "httpHeaderName": text,
        "httpCookie": _cookie,
        "useSourceIp": boolean,
        "httpQueryParameterName": text,
        "ringHash": fields({"minimumRingSize": unsigned}),
        "maglev": fields({"tableSize": integer(1, _MAGLEV_LARGEST - 1)}, required=("tableSize",), rules=(_prime,)),
        "minimumRingSize": unsigned,
    },
    rules=(
        at_most_one("httpHeaderName", "httpCookie", "useSourceIp", "httpQueryParameterName"),
        at_most_one("ringHash", "maglev"),
        at_most_one("minimumRingSize", "ringHash"),
        at_most_one("minimumRingSize", "maglev"),
    ),
)

_warmup = fields(
    {"duration": duration, "minimumPercent": number(0, 100), "aggression": number(1e-9, 1e9)}, required=("duration",)
)

_load_balancer = fields(
    {
        "simple": _simple,
        "consistentHash": unenforced(_consistent_hash, _ROUND_ROBIN),
        "localityLbSetting": unenforced(locality_setting, "all endpoints are balanced alike", unless=({},)),
        "zoneAwareLbSetting": unenforced(anything, "all endpoints are balanced alike"),
        "warmup": unenforced(_warmup),
        "warmupDurationSecs": unenforced(duration),
    },
    rules=(
        at_most_one("simple", "consistentHash"),
        at_most_one("localityLbSetting", "zoneAwareLbSetting"),
        at_most_one("warmup", "warmupDurationSecs"),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolTcp:
    """`connectionPool.tcp`; times in milliseconds, as everywhere here."""

    connect_timeout: int | None = optional(duration, None)


_pool_tcp = struct(
    PoolTcp,
    also={
        "maxConnections": unenforced(count, unless=(0,)),
        "maxConnectionDuration": unenforced(duration),
        "idleTimeout": unenforced(duration_or_none),
        "tcpKeepalive": unenforced(fields({"probes": unsigned, "time": duration, "interval": duration})),
    },
)


def _upgrade_policy(at: At, http: Given) -> None:
    if http.get("useClientProtocol") is True and http.get("h2UpgradePolicy") == "UPGRADE":
        at.down("useClientProtocol").fault("cannot be used together with h2UpgradePolicy UPGRADE")


_pool_http = fields(
    {
        "http1MaxPendingRequests": unenforced(count, unless=(0,)),
        "http2MaxRequests": unenforced(count, unless=(0,)),
        "maxRequestsPerConnection": unenforced(count, unless=(0,)),
        "maxRetries": unenforced(count, unless=(0,)),
        "idleTimeout": unenforced(duration_or_none),
        "h2UpgradePolicy": unenforced(
            one_of("DEFAULT", "DO_NOT_UPGRADE", "UPGRADE"), "HTTP/1.1 is used", unless=("DEFAULT", "DO_NOT_UPGRADE")
        ),
        "useClientProtocol": unenforced(boolean, "HTTP/1.1 is used", unless=(False,)),
        "maxConcurrentStreams": unenforced(count, unless=(0,)),
        "http2KeepAlive": unenforced(
            fields({"interval": duration, "timeout": duration}, required=("interval", "timeout"))
        ),
    },
    rules=(_upgrade_policy,),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionPool:
    """`connectionPool`."""

    tcp: PoolTcp | None = optional(_pool_tcp, None)


_connection_pool = struct(ConnectionPool, also={"http": _pool_http}, given=(any_of("tcp", "http"),))


def _split(at: At, outlier: Given) -> None:
    if outlier.get("consecutiveLocalOriginFailures") and outlier.get("splitExternalLocalOriginErrors") is not True:
        at.down("consecutiveLocalOriginFailures").fault("needs splitExternalLocalOriginErrors: true")


def _old_errors(at: At, value: object) -> int | None:
    at.warn("is ignored, as Istio does; use consecutive5xxErrors")
    return count(at, value)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutlierSettings:
    """`outlierDetection`; None is what the rule does not say."""

    consecutive_5xx_errors: int | None = optional(unsigned, None, "consecutive5xxErrors")
    interval: int | None = optional(duration, None)
    base_ejection_time: int | None = optional(duration, None)
    max_ejection_percent: int | None = optional(percent, None)


_outlier_detection = struct(
    OutlierSettings,
    also={
        "consecutiveGatewayErrors": unenforced(unsigned, unless=(0,)),
        "splitExternalLocalOriginErrors": unenforced(boolean, unless=(False,)),
        "consecutiveLocalOriginFailures": unenforced(unsigned, unless=(0,)),
        "minHealthPercent": unenforced(percent, "ejections always hold", unless=(0,)),
        "outlierDetectionHttpErrorCodes": unenforced(
            items(integer(100, 599)), "the codes 500 to 599 count", unless=([],)
        ),
        "consecutiveErrors": _old_errors,
    },
    given=(_split,),
)


def _tls_files(at: At, tls: Given) -> None:
    named = tls.get("credentialName")
    files = [name for name in ("clientCertificate", "privateKey", "caCertificates") if tls.get(name)]
    if named and files:
        at.down(files[0]).fault("cannot be used together with credentialName")
    if tls.get("mode") == "MUTUAL" and not named:
        for name in ("clientCertificate", "privateKey"):
            if not tls.get(name):
                at.down(name).fault("is required with mode MUTUAL")
    if tls.get("insecureSkipVerify") is True:
        for name in ("caCertificates", "subjectAltNames"):
            if tls.get(name):
                at.down(name).fault("cannot be used together with insecureSkipVerify")
    if isinstance(named, str) and named.startswith("configmap://"):
        namespace, slash, _ = named.removeprefix("configmap://").partition("/")
        if slash and namespace != at.manifest.namespace:
            at.down("credentialName").fault("must be in the rule's own namespace")


_tls_shape = fields(
    {
        "mode": one_of("DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"),
        "clientCertificate": text,
        "privateKey": text,
        "caCertificates": text,
        "caCrl": text,
        "credentialName": text,
        "subjectAltNames": items(text),
        "sni": text,
        "insecureSkipVerify": boolean,
    },
    rules=(_tls_files,),
)


def _tls(at: At, value: object) -> Given | None:
    found = _tls_shape(at, value)
    mode = value.get("mode") if isinstance(value, dict) else None
    if mode in ("SIMPLE", "MUTUAL"):
        at.warn(f"{mode} is not enforced by this version; endpoints are connected to without TLS")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Port:
    number: int = required(port_number)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Policy:
    connection_pool: ConnectionPool | None = optional(_connection_pool, None)
    outlier_detection: OutlierSettings | None = optional(_outlier_detection, None)
    tls: Given | None = optional(_tls, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class PortSettings(_Policy):
    """One of `portLevelSettings`."""

    port: _Port = required(struct(_Port))


_UNENFORCED = {"loadBalancer": _load_balancer}
_BY_PORT = ("loadBalancer", "connectionPool", "outlierDetection", "tls")

_port_level = struct(PortSettings, also=_UNENFORCED, given=(any_of(*_BY_PORT),))


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficSettings(_Policy):
    """`trafficPolicy`, of the fields that this version does something with."""

    port_level_settings: tuple[PortSettings, ...] = optional(items(_port_level), ())


def _ports_once(at: At, found: TrafficSettings) -> None:
    ports = [entry.port.number for entry in found.port_level_settings]
    for index, port in enumerate(ports):
        if port in ports[:index]:
            at.down("portLevelSettings", index, "port").warn(f"port {port} is given twice; the first settings are used")


def _locality_failover(at: At, policy: Given) -> None:
    balancer = policy.get("loadBalancer")
    locality = balancer.get("localityLbSetting") if isinstance(balancer, dict) else None
    if isinstance(locality, dict) and locality.get("failover") and "outlierDetection" not in policy:
        at.down("loadBalancer", "localityLbSetting", "failover").warn("does nothing without outlierDetection")


_tunnel = fields(
    {
        "protocol": one_of("CONNECT", "POST"),
        "targetHost": matching(is_subdomain, "a host name or an IP address"),
        "targetPort": port_number,
    },
    required=("targetHost", "targetPort"),
)

_ALSO: Mapping[str, AnyCheck] = {
    **_UNENFORCED,
    "tunnel": unenforced(_tunnel),
    "proxyProtocol": unenforced(fields({"version": one_of("V1", "V2")})),
    "retryBudget": unenforced(
        fields({"percent": number(0, 100), "minRetryConcurrency": unsigned, "budgetInterval": duration})
    ),
}

traffic_policy = struct(
    TrafficSettings,
    also=_ALSO,
    given=(
        any_of(*_BY_PORT, "portLevelSettings", "tunnel", "proxyProtocol", "retryBudget"),
        at_most_one("tunnel", "proxyProtocol"),
        _locality_failover,
    ),
    rules=(_ports_once,),
)
