"""The fields of a DestinationRule's `trafficPolicy`: what Istio accepts, and which of it does nothing here yet.

A table, read with networking/v1alpha3/destination_rule.proto and Istio's ValidateDestinationRule beside it.
"""

from __future__ import annotations

from math import isqrt

from proxy.mesh.kinds.locality import locality_setting
from proxy.mesh.reading.metadata import is_subdomain
from proxy.mesh.reading.report import shown
from proxy.mesh.reading.schema import (
    UINT32_MAX,
    At,
    Rule,
    any_of,
    anything,
    at_most_one,
    boolean,
    count,
    duration,
    filled,
    integer,
    items,
    matching,
    number,
    one_of,
    percent,
    port_number,
    struct,
    text,
    unenforced,
    unsigned,
)

_ROUND_ROBIN = "ROUND_ROBIN is used"
_DONE_ALGORITHMS = ("UNSPECIFIED", "ROUND_ROBIN")
_ALGORITHMS = (*_DONE_ALGORITHMS, "LEAST_REQUEST", "LEAST_CONN", "RANDOM", "PASSTHROUGH")
_MAGLEV_LARGEST = 5_000_011


def _simple(at: At, value: object) -> None:
    one_of(*_ALGORITHMS)(at, value)
    if value in _ALGORITHMS and value not in _DONE_ALGORITHMS:
        at.warn(f"{value} is not enforced by this version; {_ROUND_ROBIN}")


def _prime(at: At, maglev: dict[str, object]) -> None:
    size = maglev["tableSize"]
    assert isinstance(size, int)
    if size < 2 or any(size % divisor == 0 for divisor in range(2, isqrt(size) + 1)):
        at.down("tableSize").fault(f"must be a prime number, not {size}")


def _names_unique(at: At, cookie: dict[str, object]) -> None:
    attributes = cookie.get("attributes")
    names = [attribute["name"] for attribute in attributes] if isinstance(attributes, list) else []
    for index, name in enumerate(names):
        if name in names[:index]:
            at.down("attributes", index, "name").fault(f"{shown(name)} is given twice")


_cookie = struct(
    {
        "name": filled,
        "path": text,
        # 0s makes a session cookie, so the rule of at least 1 ms does not hold here.
        "ttl": lambda at, value: None if value == "0s" else duration(at, value),
        "attributes": items(struct({"name": filled, "value": text}, required=("name",))),
    },
    required=("name",),
    rules=(_names_unique,),
)

_consistent_hash = struct(
    {
        "httpHeaderName": text,
        "httpCookie": _cookie,
        "useSourceIp": boolean,
        "httpQueryParameterName": text,
        "ringHash": struct({"minimumRingSize": unsigned}),
        "maglev": struct({"tableSize": integer(1, _MAGLEV_LARGEST - 1)}, required=("tableSize",), rules=(_prime,)),
        "minimumRingSize": unsigned,
    },
    rules=(
        at_most_one("httpHeaderName", "httpCookie", "useSourceIp", "httpQueryParameterName"),
        at_most_one("ringHash", "maglev"),
        at_most_one("minimumRingSize", "ringHash"),
        at_most_one("minimumRingSize", "maglev"),
    ),
)

_warmup = struct(
    {"duration": duration, "minimumPercent": number(0, 100), "aggression": number(1e-9, 1e9)}, required=("duration",)
)

_load_balancer = struct(
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

_pool_tcp = struct(
    {
        "connectTimeout": duration,
        "maxConnections": unenforced(count, unless=(0,)),
        "maxConnectionDuration": unenforced(duration),
        "idleTimeout": unenforced(lambda at, value: None if value == "0s" else duration(at, value)),
        "tcpKeepalive": unenforced(struct({"probes": unsigned, "time": duration, "interval": duration})),
    }
)


def _upgrade_policy(at: At, http: dict[str, object]) -> None:
    if http.get("useClientProtocol") is True and http.get("h2UpgradePolicy") == "UPGRADE":
        at.down("useClientProtocol").fault("cannot be used together with h2UpgradePolicy UPGRADE")


_pool_http = struct(
    {
        "http1MaxPendingRequests": unenforced(count, unless=(0,)),
        "http2MaxRequests": unenforced(count, unless=(0,)),
        "maxRequestsPerConnection": unenforced(count, unless=(0,)),
        "maxRetries": unenforced(count, unless=(0,)),
        "idleTimeout": unenforced(lambda at, value: None if value == "0s" else duration(at, value)),
        "h2UpgradePolicy": unenforced(
            one_of("DEFAULT", "DO_NOT_UPGRADE", "UPGRADE"), "HTTP/1.1 is used", unless=("DEFAULT", "DO_NOT_UPGRADE")
        ),
        "useClientProtocol": unenforced(boolean, "HTTP/1.1 is used", unless=(False,)),
        "maxConcurrentStreams": unenforced(count, unless=(0,)),
        "http2KeepAlive": unenforced(
            struct({"interval": duration, "timeout": duration}, required=("interval", "timeout"))
        ),
    },
    rules=(_upgrade_policy,),
)

_connection_pool = struct({"tcp": _pool_tcp, "http": _pool_http}, rules=(any_of("tcp", "http"),))


def _split(at: At, outlier: dict[str, object]) -> None:
    if outlier.get("consecutiveLocalOriginFailures") and outlier.get("splitExternalLocalOriginErrors") is not True:
        at.down("consecutiveLocalOriginFailures").fault("needs splitExternalLocalOriginErrors: true")


def _old_errors(at: At, value: object) -> None:
    count(at, value)
    at.warn("is ignored, as Istio does; use consecutive5xxErrors")


_outlier_detection = struct(
    {
        "consecutive5xxErrors": integer(0, UINT32_MAX),
        "interval": duration,
        "baseEjectionTime": duration,
        "maxEjectionPercent": percent,
        "consecutiveGatewayErrors": unenforced(unsigned, unless=(0,)),
        "splitExternalLocalOriginErrors": unenforced(boolean, unless=(False,)),
        "consecutiveLocalOriginFailures": unenforced(unsigned, unless=(0,)),
        "minHealthPercent": unenforced(percent, "ejections always hold", unless=(0,)),
        "outlierDetectionHttpErrorCodes": unenforced(
            items(integer(100, 599)), "the codes 500 to 599 count", unless=([],)
        ),
        "consecutiveErrors": _old_errors,
    },
    rules=(_split,),
)


def _tls_files(at: At, tls: dict[str, object]) -> None:
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


def _tls(at: At, value: object) -> None:
    _tls_shape(at, value)
    mode = value.get("mode") if isinstance(value, dict) else None
    if mode in ("SIMPLE", "MUTUAL", "ISTIO_MUTUAL"):
        at.warn(f"{mode} is not enforced by this version; endpoints are connected to without TLS")


_tls_shape = struct(
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

_BY_PORT = {
    "loadBalancer": _load_balancer,
    "connectionPool": _connection_pool,
    "outlierDetection": _outlier_detection,
    "tls": _tls,
}

_port_level = struct(
    {"port": struct({"number": port_number}, required=("number",)), **_BY_PORT},
    required=("port",),
    rules=(any_of(*_BY_PORT),),
)


def _ports_once(at: At, policy: dict[str, object]) -> None:
    entries = policy.get("portLevelSettings")
    ports = [entry["port"]["number"] for entry in entries] if isinstance(entries, list) else []
    for index, port in enumerate(ports):
        if port in ports[:index]:
            at.down("portLevelSettings", index, "port").warn(f"port {port} is given twice; the first settings are used")


def _locality_failover(at: At, policy: dict[str, object]) -> None:
    balancer = policy.get("loadBalancer")
    locality = balancer.get("localityLbSetting") if isinstance(balancer, dict) else None
    if isinstance(locality, dict) and locality.get("failover") and policy.get("outlierDetection") is None:
        at.down("loadBalancer", "localityLbSetting", "failover").warn("does nothing without outlierDetection")


_tunnel = struct(
    {
        "protocol": one_of("CONNECT", "POST"),
        "targetHost": matching(is_subdomain, "a host name or an IP address"),
        "targetPort": port_number,
    },
    required=("targetHost", "targetPort"),
)

_FIELDS = {
    **_BY_PORT,
    "portLevelSettings": items(_port_level),
    "tunnel": unenforced(_tunnel),
    "proxyProtocol": unenforced(struct({"version": one_of("V1", "V2")})),
    "retryBudget": unenforced(
        struct({"percent": number(0, 100), "minRetryConcurrency": unsigned, "budgetInterval": duration})
    ),
}

_RULES: tuple[Rule, ...] = (any_of(*_FIELDS), at_most_one("tunnel", "proxyProtocol"), _ports_once, _locality_failover)

traffic_policy = struct(_FIELDS, rules=_RULES)
