"""A `trafficPolicy` as a rule has it, and the one that is in force for a cluster.

Its members are replaced whole and never merged field by field (Istio's GetPortLevelTrafficPolicy and
MergeSubsetTrafficPolicy), so that a value's rule is that of its member.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from proxy.mesh.traffic.balancing import LoadBalancer
from proxy.mesh.traffic.connections import ConnectionPool
from proxy.mesh.traffic.outlier import OutlierDetection
from proxy.mesh.traffic.scope import Scope
from proxy.mesh.traffic.security import ClientTls, ProxyProtocol, Tunnel

DEFAULT_ABANDONED_MS = 1000
DEFAULT_LOAD_BALANCER = LoadBalancer()
DEFAULT_CONNECTION_POOL = ConnectionPool()

Path = tuple[str | int, ...]
"""Where a field stands in its manifest: ("spec", "subsets", 0, "name")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryBudget:
    """`retryBudget`: at once at most the larger of `min_retry_concurrency` and `percent` of all requests."""

    percent: float = 20.0
    min_retry_concurrency: int = 3
    budget_interval_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Members:
    """The members that a policy and one of `portLevelSettings` have alike; None: it does not say."""

    load_balancer: LoadBalancer | None = None
    connection_pool: ConnectionPool | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTls | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PortPolicy(Members):
    """One of `portLevelSettings`."""

    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficPolicy(Members):
    """`trafficPolicy`, of a rule or of a subset."""

    port_level_settings: tuple[PortPolicy, ...] = ()
    tunnel: Tunnel | None = None
    proxy_protocol: ProxyProtocol | None = None
    retry_budget: RetryBudget | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subset:
    """One of `subsets`: the endpoints with these labels."""

    name: str
    labels: tuple[tuple[str, str], ...] = ()
    traffic_policy: TrafficPolicy | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a member comes from: the rule ("namespace/name"), and where it stands there. `said`: which of its values
    the rule says, by their dotted paths in the member; the others are defaults."""

    rule: str
    path: Path
    said: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectivePolicy:
    """What is in force for a cluster, defaults filled in. `rule` is "namespace/name" of the DestinationRule, "" without
    one; `origins` by the API's names of the members: those that no rule says have none. `abandoned_ms` 0: a request
    that its client has given up says nothing about the endpoint. `limits_scope`: for whom `connection_pool` and
    `retry_budget` limit what there may be at once."""

    load_balancer: LoadBalancer = DEFAULT_LOAD_BALANCER
    connection_pool: ConnectionPool = DEFAULT_CONNECTION_POOL
    outlier_detection: OutlierDetection | None = None
    tls: ClientTls | None = None
    tunnel: Tunnel | None = None
    proxy_protocol: ProxyProtocol | None = None
    retry_budget: RetryBudget | None = None
    abandoned_ms: int = DEFAULT_ABANDONED_MS
    limits_scope: Scope = Scope.REPLICA
    rule: str = ""
    origins: Mapping[str, Origin] = field(default_factory=dict)

    @property
    def ejecting(self) -> OutlierDetection | None:
        """The outlier detection, where it can eject anything."""
        found = self.outlier_detection
        return found if found and found.ejects else None

    @property
    def limited(self) -> bool:
        """Whether there may be only so much of something at once."""
        tcp, http = self.connection_pool.tcp, self.connection_pool.http
        most = (tcp.max_connections, http.http1_max_pending_requests, http.http2_max_requests, http.max_retries)
        return any(most) or self.retry_budget is not None


UNGOVERNED = EffectivePolicy()
"""What is in force where there is no rule."""
