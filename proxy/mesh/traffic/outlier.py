"""`trafficPolicy.outlierDetection` (OutlierDetection of destination_rule.proto), with Envoy's defaults."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.mesh.traffic.fields import named

DEFAULT_CONSECUTIVE_5XX = 5
DEFAULT_INTERVAL_MS = 10_000
DEFAULT_BASE_EJECTION_MS = 30_000
DEFAULT_MAX_EJECTION_PERCENT = 10
DEFAULT_CONSECUTIVE_LOCAL_ORIGIN = 5


@dataclass(frozen=True, slots=True)
class SuccessRate:
    """Envoy's success_rate_*: an endpoint is an outlier whose share of successes in an interval is below the mean of
    all that got `request_volume` requests, by more than `stdev_factor` thousandths of their standard deviation; where
    there are `minimum_hosts` of those. `enforcing`: in so many cases of a hundred it is ejected."""

    minimum_hosts: int = 5
    request_volume: int = 100
    stdev_factor: int = 1900
    enforcing: int = 100


@dataclass(frozen=True, slots=True)
class FailurePercentage:
    """Envoy's failure_percentage_*: an endpoint of which so many percent of the requests fail is an outlier. The others
    as of SuccessRate. Envoy's own `enforcing` is 0; who asks for it here means it."""

    threshold: int = 85
    minimum_hosts: int = 5
    request_volume: int = 50
    enforcing: int = 100


@dataclass(frozen=True, slots=True)
class OutlierDetection:
    """When an endpoint is ejected and for how long. Of the thresholds 0 is one that ejects nothing; `probe`,
    `local_origin_quorum` and the last two are our own, of the rule's annotations."""

    consecutive_5xx: int = named("consecutive5xxErrors", DEFAULT_CONSECUTIVE_5XX)
    interval_ms: int = DEFAULT_INTERVAL_MS
    base_ejection_ms: int = named("baseEjectionTime", DEFAULT_BASE_EJECTION_MS)
    max_ejection_percent: int = DEFAULT_MAX_EJECTION_PERCENT
    probe: bool = False  # an ejection ends with a request that succeeds, not with its time
    local_origin_quorum: int = 1  # so many replicas must see local-origin failures before these count
    consecutive_gateway: int = named("consecutiveGatewayErrors", 0)
    split_local_origin: bool = named("splitExternalLocalOriginErrors", False)
    consecutive_local_origin: int | None = named("consecutiveLocalOriginFailures", None)
    """Only with `split_local_origin`; None or 0: the default, as Istio sends no 0."""
    min_health_percent: int = 0
    """Below so many percent that are in, those that are out get requests, too; 0: never."""
    http_error_codes: tuple[int, ...] = named("outlierDetectionHttpErrorCodes", ())
    """The statuses that are failures; none: 500 to 599."""
    success_rate: SuccessRate | None = None
    failure_percentage: FailurePercentage | None = None

    @property
    def ejects(self) -> bool:
        """Whether anything ever does."""
        in_a_row = self.consecutive_5xx or self.consecutive_gateway or self.split_local_origin
        return bool(in_a_row or self.success_rate or self.failure_percentage)
