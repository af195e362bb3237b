"""`trafficPolicy.loadBalancer` (LoadBalancerSettings of Istio's networking/v1alpha3/destination_rule.proto)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from proxy.mesh.traffic.fields import named

DEFAULT_RING_SIZE = 1024
MAGLEV_LARGEST = 5_000_011
"""A table is smaller than this (Envoy's limit)."""


class Simple(StrEnum):
    """`simple`. LEAST_CONN is the old name of LEAST_REQUEST."""

    UNSPECIFIED = "UNSPECIFIED"
    ROUND_ROBIN = "ROUND_ROBIN"
    LEAST_REQUEST = "LEAST_REQUEST"
    LEAST_CONN = "LEAST_CONN"
    RANDOM = "RANDOM"
    PASSTHROUGH = "PASSTHROUGH"


@dataclass(frozen=True, slots=True, kw_only=True)
class CookieAttribute:
    """One of `httpCookie.attributes`; `value` "" is one without."""

    name: str
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpCookie:
    """`httpCookie`. `ttl_ms` None: a cookie that is missing is not set; 0: it is, for the client's session."""

    name: str
    path: str = ""
    ttl_ms: int | None = None
    attributes: tuple[CookieAttribute, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RingHash:
    """`ringHash`; None: the default of 1024."""

    minimum_ring_size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Maglev:
    """`maglev`. The size is a prime."""

    table_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsistentHash:
    """`consistentHash`: at most one key, at most one algorithm, both as Istio has them."""

    http_header_name: str | None = None
    http_cookie: HttpCookie | None = None
    use_source_ip: bool = False
    http_query_parameter_name: str | None = None
    ring_hash: RingHash | None = None
    maglev: Maglev | None = None
    minimum_ring_size: int | None = None
    """The old form of `ringHash.minimumRingSize`."""

    @property
    def ring_size(self) -> int:
        """The smallest number of points on the ring, whichever form says it."""
        said = self.ring_hash.minimum_ring_size if self.ring_hash else self.minimum_ring_size
        return said or DEFAULT_RING_SIZE


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribute:
    """One of `distribute`: of what comes from a locality, percent by the locality that it goes to."""

    from_: str = named("from")
    to: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failover:
    """One of `failover`: the region `to` stands in for the region `from_`."""

    from_: str = named("from", "")
    to: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalitySetting:
    """`localityLbSetting`. `enabled` None: as the mesh has it, which is true unless MeshConfig says otherwise."""

    enabled: bool | None = None
    distribute: tuple[Distribute, ...] = ()
    failover: tuple[Failover, ...] = ()
    failover_priority: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneAwareSetting:
    """`zoneAwareLbSetting`; excludes `localityLbSetting`."""

    enabled: bool | None = None
    failover: tuple[Failover, ...] = ()
    failover_priority: tuple[str, ...] = ()
    min_cluster_size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Warmup:
    """`warmup`: how an endpoint that joins takes its share (Envoy's slow start)."""

    duration_ms: int
    minimum_percent: float = 10.0
    aggression: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendUtilization:
    """`backendUtilization`: weights by what endpoints report of their load (ORCA). Times as they are written."""

    error_utilization_penalty_percent: int | None = None
    metric_names_for_computing_utilization: tuple[str, ...] = ()
    weight_expiration_period: str = ""
    weight_stabilization_period: str = ""
    weight_update_period: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadBalancer:
    """`loadBalancer`. At most one of `simple`, `consistent_hash` and `backend_utilization` is there; with none of them
    the default balances, as with UNSPECIFIED."""

    simple: Simple = Simple.UNSPECIFIED
    consistent_hash: ConsistentHash | None = None
    backend_utilization: BackendUtilization | None = None
    locality_lb_setting: LocalitySetting | None = None
    zone_aware_lb_setting: ZoneAwareSetting | None = None
    warmup: Warmup | None = None
    warmup_duration_ms: int | None = named("warmupDurationSecs", None)
    """The old form of `warmup`."""

    @property
    def slow_start(self) -> Warmup | None:
        """The warm-up, whichever form says it."""
        if self.warmup or self.warmup_duration_ms is None:
            return self.warmup
        return Warmup(duration_ms=self.warmup_duration_ms)
