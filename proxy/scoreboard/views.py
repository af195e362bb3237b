"""Rows of the scoreboard as Python sees them: copies, taken at one moment. Pure data."""

from typing import NamedTuple


class WorkerView(NamedTuple):
    """One worker as the scoreboard shows it."""

    slot: int
    pid: int
    state: int
    connections: int
    snapshot: int
    requests: int
    log_lines_dropped: int
    handed_over: int
    unread_answers: int
    waiting_requests: int
    starts: int
    """Processes there were in the slot so far, this one too."""
    cpu_ns: int
    """CPU time of all of them."""
    tokens_taken: int
    tokens_refused: int
    keys_missed: int
    """Tokens of keys that nobody knew."""


class Reports(NamedTuple):
    """What workers told the store, all together; times in microseconds, buckets by buckets.BOUNDS_OF_ISTIO in ms."""

    answered: int
    failed: int
    duration_us: int
    buckets: tuple[int, ...]


class Series(NamedTuple):
    """One label set of Istio's metrics. `kind`: series.OF_REQUESTS, OF_CONNECTIONS, OF_MESSAGES. `generation` tells it
    from another one that had the slot before."""

    slot: int
    generation: int
    kind: int
    labels: bytes
    given_up: bool


class ClusterCounters(NamedTuple):
    """What the workers of this replica counted for one cluster since it was first served; all only grow."""

    requests_0xx: int
    requests_1xx: int
    requests_2xx: int
    requests_3xx: int
    requests_4xx: int
    requests_5xx: int
    retries: int
    decided: tuple[int, ...]  # ejections by this replica's own decision, by reason (clusters.EJECTION_REASONS)
    followed: tuple[int, ...]  # ejections that it was told of
    unejections: int
    overflows: int
    duration_ms_sum: int
    buckets: tuple[int, ...]
    opened: int
    """Connections made to endpoints."""
    unopened: int
    """Connections that could not be made."""
    idle: int
    """Connections in the pools now; grows and shrinks."""
    reused: int
    refused: tuple[int, ...]
    """How often there was no room, by limit (clusters.LIMITS)."""
    mirrored: int
    """Copies of requests that were to go there, ..."""
    unmirrored: int
    """... and such as were not made."""
    grouped: tuple[int, ...]
    """Picks by group of endpoints, as far as there are groups; the last is for all beyond."""

    @property
    def ejections(self) -> int:
        """All that this replica has put in force."""
        return sum(self.decided) + sum(self.followed)


class EndpointView(NamedTuple):
    """One endpoint: traffic counters and outlier state. Durations in milliseconds; ejected_left_ms 0 means it takes
    traffic, probe_in_ms -1 that it does so again by itself."""

    in_flight: int
    requests: int
    failed: int
    generation: int
    ejected_left_ms: int
    held: bool
    logged: bool
    dirty: bool
    failures: int
    ejections: int
    backoff: int
    ejection_ms: int
    private: bool
    probe_in_ms: int


class Mode(NamedTuple):
    """Who decides about ejections: Redis for the fleet (`shared`), or this replica by itself."""

    shared: bool
    since_ms: int  # CLOCK_MONOTONIC; 0: since the start
    reason: str  # why it is not shared, "" when it is


class OutlierState(NamedTuple):
    """The part of a row that outlier transitions read and write under the cluster's lock. Times: CLOCK_MONOTONIC ms."""

    failures: int
    generation: int
    ejections: int
    backoff: int
    ejected_until_ms: int
    ejection_ms: int
    unejected_at_ms: int
    run: int
    held: bool
    logged: bool
    shared: bool
    dirty: bool
    version: int
    private: bool = False
    probe_at_ms: int = 0
    reason: str = ""  # of the ejection; "" of one for consecutive 5xx that this replica has decided
    by: str = ""
    local_failures: int = 0
    gateway_failures: int = 0
    gateway_local_failures: int = 0
    local_origin_failures: int = 0

    def without_run(self) -> "OutlierState":
        """With no failures counted."""
        return self._replace(
            failures=0, local_failures=0, gateway_failures=0, gateway_local_failures=0, local_origin_failures=0
        )

    @property
    def begun_ms(self) -> int:
        """When its ejection began."""
        return (self.probe_at_ms or self.ejected_until_ms) - self.ejection_ms


class InUse(NamedTuple):
    """What there is of what a cluster has limits for, by limit (clusters.LIMITS), and how often there was no room.
    `idle`: of the connections those that wait for a request. `recent`: requests of the time that was asked for."""

    held: tuple[int, ...]
    refused: tuple[int, ...]
    idle: int
    recent: int | None = None


class Lent(NamedTuple):
    """What there is left of a lease, how many requests there were in all, and how many were let in without."""

    left: int
    asked: int
    owed: int
