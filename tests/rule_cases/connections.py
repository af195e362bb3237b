"""Table 1.3: `connectionPool`."""

from __future__ import annotations

from proxy.mesh.traffic.connections import H2UpgradePolicy, Http2KeepAlive, TcpKeepalive
from tests.rule_cases.cases import BETWEEN, MAPPING, POOL, TOGETHER, UNKNOWN, UNREAD, durations, limits, rows, switches

CONNECTIONS = [
    *rows("1.3 connectionPool", POOL, good=[({"tcp": {}}, UNREAD), ({"http": {}, "tcp": {}}, UNREAD)]),
    *rows("1.3 connectionPool", POOL, bad=[([], MAPPING), ({"htp": {}}, UNKNOWN)], webhook=[({}, "sets nothing")]),
    *limits("1.3 tcp.maxConnections", f"{POOL}.tcp.maxConnections", "connection_pool.tcp.max_connections"),
    *durations("1.3 tcp.connectTimeout", f"{POOL}.tcp.connectTimeout", "connection_pool.tcp.connect_timeout_ms"),
    *durations(
        "1.3 tcp.maxConnectionDuration",
        f"{POOL}.tcp.maxConnectionDuration",
        "connection_pool.tcp.max_connection_duration_ms",
    ),
    *rows(
        "1.3 tcp.idleTimeout",
        f"{POOL}.tcp.idleTimeout",
        "connection_pool.tcp.idle_timeout_ms",
        good=[("1h", 3_600_000), ("0s", 0)],
        bad=[(5, "must be a duration")],
        webhook=[("soon", "must be a duration"), ("1500us", "must be whole milliseconds")],
    ),
    *rows(
        "1.3 tcp.tcpKeepalive",
        f"{POOL}.tcp.tcpKeepalive",
        "connection_pool.tcp.tcp_keepalive",
        good=[
            ({}, TcpKeepalive()),
            (
                {"probes": 3, "time": "10s", "interval": "5s"},
                TcpKeepalive(probes=3, time_ms=10_000, interval_ms=5_000),
            ),
        ],
        bad=[({"probes": -1}, BETWEEN), ({"time": "0s"}, "at least 1ms"), ({"interval": 5}, "must be a duration")],
    ),
    *limits(
        "1.3 http.http1MaxPendingRequests",
        f"{POOL}.http.http1MaxPendingRequests",
        "connection_pool.http.http1_max_pending_requests",
    ),
    *limits("1.3 http.http2MaxRequests", f"{POOL}.http.http2MaxRequests", "connection_pool.http.http2_max_requests"),
    *limits(
        "1.3 http.maxRequestsPerConnection",
        f"{POOL}.http.maxRequestsPerConnection",
        "connection_pool.http.max_requests_per_connection",
    ),
    *limits("1.3 http.maxRetries", f"{POOL}.http.maxRetries", "connection_pool.http.max_retries"),
    *durations("1.3 http.idleTimeout", f"{POOL}.http.idleTimeout", "connection_pool.http.idle_timeout_ms"),
    *rows(
        "1.3 http.h2UpgradePolicy",
        f"{POOL}.http.h2UpgradePolicy",
        "connection_pool.http.h2_upgrade_policy",
        good=[(each.value, each) for each in H2UpgradePolicy],
        bad=[("ALWAYS", "must be one of"), (True, "must be one of")],
    ),
    *switches(
        "1.3 http.useClientProtocol", f"{POOL}.http.useClientProtocol", "connection_pool.http.use_client_protocol"
    ),
    *rows(
        "1.3 http.useClientProtocol",
        f"{POOL}.http.useClientProtocol",
        beside={"h2UpgradePolicy": "UPGRADE"},
        good=[(False, UNREAD)],
        webhook=[(True, TOGETHER)],
    ),
    *limits(
        "1.3 http.maxConcurrentStreams",
        f"{POOL}.http.maxConcurrentStreams",
        "connection_pool.http.max_concurrent_streams",
    ),
    *rows(
        "1.3 http.http2KeepAlive",
        f"{POOL}.http.http2KeepAlive",
        "connection_pool.http.http2_keep_alive",
        good=[({"interval": "15s", "timeout": "5s"}, Http2KeepAlive(interval_ms=15_000, timeout_ms=5_000))],
        bad=[({"interval": "0s", "timeout": "5s"}, "at least 1ms")],
        webhook=[({"interval": "15s"}, "timeout: is required"), ({"timeout": "5s"}, "interval: is required")],
    ),
]
