"""The fields of `trafficPolicy.connectionPool`; rules of Istio's `validateConnectionPool`."""

from __future__ import annotations

from proxy.mesh.reading.records import built
from proxy.mesh.reading.schema import (
    At,
    any_of,
    boolean,
    choice,
    count,
    duration,
    duration_or_none,
    unsigned,
)
from proxy.mesh.traffic.connections import (
    ConnectionPool,
    H2UpgradePolicy,
    Http2KeepAlive,
    HttpPool,
    TcpKeepalive,
    TcpPool,
)


def _limit(at: At, value: object) -> int | None:
    """A number of things; 0 is none, as unset."""
    return count(at, value) or None


def _upgrade_policy(at: At, found: HttpPool) -> None:
    if found.use_client_protocol and found.h2_upgrade_policy is H2UpgradePolicy.UPGRADE:
        at.down("useClientProtocol").fault("cannot be used together with h2UpgradePolicy UPGRADE")


_tcp = built(
    TcpPool,
    {
        "maxConnections": _limit,
        "connectTimeout": duration,
        "maxConnectionDuration": duration,
        "idleTimeout": duration_or_none,
        "tcpKeepalive": built(TcpKeepalive, {"probes": unsigned, "time": duration, "interval": duration}),
    },
)

_http = built(
    HttpPool,
    {
        "http1MaxPendingRequests": _limit,
        "http2MaxRequests": _limit,
        "maxRequestsPerConnection": _limit,
        "maxRetries": _limit,
        "idleTimeout": duration,
        "h2UpgradePolicy": choice(H2UpgradePolicy),
        "useClientProtocol": boolean,
        "maxConcurrentStreams": _limit,
        "http2KeepAlive": built(Http2KeepAlive, {"interval": duration, "timeout": duration}),
    },
    rules=(_upgrade_policy,),
)

connection_pool = built(ConnectionPool, {"tcp": _tcp, "http": _http}, given=(any_of("tcp", "http"),))
