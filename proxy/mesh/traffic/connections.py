"""`trafficPolicy.connectionPool` (ConnectionPoolSettings of destination_rule.proto). None is a limit that there is not;
0 is not told from unset there, and so is None here too.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

DEFAULT_CONNECT_TIMEOUT_MS = 1000


class H2UpgradePolicy(StrEnum):
    """`h2UpgradePolicy`: whether endpoints are sent HTTP/2 on ports that are HTTP. DEFAULT: as the mesh has it."""

    DEFAULT = "DEFAULT"
    DO_NOT_UPGRADE = "DO_NOT_UPGRADE"
    UPGRADE = "UPGRADE"


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpKeepalive:
    """`tcpKeepalive`; None: as the system has it."""

    probes: int | None = None
    time_ms: int | None = None
    interval_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpPool:
    """`tcp`. `idle_timeout_ms` 0: connections are never too long idle; None: the default."""

    max_connections: int | None = None
    connect_timeout_ms: int = DEFAULT_CONNECT_TIMEOUT_MS
    max_connection_duration_ms: int | None = None
    idle_timeout_ms: int | None = None
    tcp_keepalive: TcpKeepalive | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Http2KeepAlive:
    """`http2KeepAlive`: PINGs to endpoints."""

    interval_ms: int
    timeout_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpPool:
    """`http`. `http2_max_requests` counts HTTP/1.1 requests too."""

    http1_max_pending_requests: int | None = None
    http2_max_requests: int | None = None
    max_requests_per_connection: int | None = None
    max_retries: int | None = None
    idle_timeout_ms: int | None = None
    h2_upgrade_policy: H2UpgradePolicy = H2UpgradePolicy.DEFAULT
    use_client_protocol: bool = False
    max_concurrent_streams: int | None = None
    http2_keep_alive: Http2KeepAlive | None = None


_DEFAULT_TCP = TcpPool()
_DEFAULT_HTTP = HttpPool()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionPool:
    """`connectionPool`."""

    tcp: TcpPool = _DEFAULT_TCP
    http: HttpPool = _DEFAULT_HTTP
