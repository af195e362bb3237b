"""The words in which the data path and a store talk: policies, batches of outcomes, verdicts, ejections.

Pure data, no input or output. Times are durations in milliseconds ("left"), never dates, because the clocks of replicas
and of Redis differ; a reader adds a duration to its own monotonic clock. Fields follow Envoy's outlier detection
(`consecutive_5xx`, `interval`, `base_ejection_time`, `max_ejection_percent`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from state.outlier.events import Event
from state.outlier.rates import FAILURE_PERCENTAGE, SUCCESS_RATE, Found, Outcomes, RateRule
from state.outlier.run import Run

COUNTED = "counted"  # the run of failures is now `Verdict.failures`
TOO_SOON = "too_soon"  # the run reached the threshold but is too young: report an empty run in `Verdict.wait_ms`
UNCONFIRMED = "unconfirmed"  # it did, but only by local-origin failures of fewer replicas than the quorum
CLEAN = "clean"  # the run is 0: the endpoint needs no reports of success
EJECTED = "ejected"  # this very report ejected the endpoint
ALREADY_EJECTED = "already_ejected"  # it was out before; nothing was counted
OVERFLOW = "overflow"  # the run reached the threshold but the cap forbids; the run starts again
STALE = "stale"  # evidence from before an ejection; nothing was counted, `Verdict.generation` is the current one
RETURNED = "returned"  # a probe succeeded: the endpoint is back

CONSECUTIVE_5XX = "consecutive_5xx"
CONSECUTIVE_GATEWAY_FAILURE = "consecutive_gateway_failure"
CONSECUTIVE_LOCAL_ORIGIN_FAILURE = "consecutive_local_origin_failure"
PROBE_FAILED = "probe_failed"
BY_HAND = "by_hand"
COUNTED_REASONS = (  # reasons that come with a number: failures in a row, or a percentage
    CONSECUTIVE_5XX,
    CONSECUTIVE_GATEWAY_FAILURE,
    CONSECUTIVE_LOCAL_ORIGIN_FAILURE,
    SUCCESS_RATE,
    FAILURE_PERCENTAGE,
)
BY_RULE = frozenset({*COUNTED_REASONS, PROBE_FAILED})  # what the cap is for


def is_by_hand(reason: str) -> bool:
    """Whether a hand gave that reason for an ejection; "": nobody did."""
    return reason not in ("", *BY_RULE)


# A run must be at least so old before it ejects, and as old as two round trips of reports take: then a success seen
# elsewhere, before its worker heard that successes matter now, has been followed by another that was told.
MIN_RUN_MS = 2
NO_PROBE = -1


@dataclass(frozen=True, slots=True)
class Policy:
    """What the caller's configuration says; it travels with every report because replicas may be mid-rollout."""

    consecutive_5xx: int  # 0: never eject, count only
    interval_ms: int
    base_ejection_ms: int
    max_ejection_percent: int  # 0..100
    endpoints: int  # how many the cluster has
    min_run_ms: int = 0  # younger runs wait, and those younger than two round trips; 0: all is known that counts
    local_origin_quorum: int = 1  # local-origin failures count once so many replicas see them in one run
    probe: bool = False  # an ejection ends with a request that succeeds, not with its time
    consecutive_gateway_failure: int = 0  # 0: never eject for it
    split_local_origin: bool = False  # local-origin failures count by themselves, and not as 5xx or gateway errors
    consecutive_local_origin_failure: int = 0  # where they do; 0: never eject for it

    def threshold(self, reason: str) -> int:
        """How many failures in a row eject for that reason; one that no row gives: that of 5xx."""
        if reason == CONSECUTIVE_GATEWAY_FAILURE:
            return self.consecutive_gateway_failure
        if reason == CONSECUTIVE_LOCAL_ORIGIN_FAILURE:
            return self.consecutive_local_origin_failure
        return self.consecutive_5xx

    @property
    def counts_several(self) -> bool:
        """There is more to count than 5xx."""
        return self.consecutive_gateway_failure > 0 or self.split_local_origin


@dataclass(frozen=True, slots=True)
class Batch:
    """Outcomes of attempts on one endpoint, in order."""

    cluster: str
    endpoint: str
    workload: str  # "" when not known
    generation: int  # the endpoint's generation when the attempts were dispatched
    run: Run
    last_status: int
    by: str  # who reports
    evidence: str = ""  # the last failures, "cause@reporter/request-id", separated by commas
    round_trip_ms: int = 0  # how long a report of this worker takes, at worst
    age_us: int = 0  # how long ago the run at the end of it began, when the store reads this


@dataclass(frozen=True, slots=True)
class Verdict:
    """A store's answer to a report or an offer."""

    outcome: str  # one of the constants above
    failures: int  # the run now; for "ejected" and "already_ejected" the run that did it
    generation: int
    ejections: int
    backoff: int
    left_ms: int  # 0: not ejected
    ejection_ms: int  # how long the ejection is in all
    version: int
    by: str  # who ejected it, "" when it is not ejected
    wait_ms: int = 0  # of "too_soon"
    probe_in_ms: int = NO_PROBE  # until the endpoint may be probed, NO_PROBE: it is back when its time is over
    reason: str = ""  # why it is ejected, as an Ejection's, or would have been, of "overflow"; else ""
    names: tuple[str, ...] = ()  # what replicas call the workload, while they do not agree: counted is the address
    cause: str = ""  # of an ejection by the rule: why attempts failed, in words; "" when that is not known


@dataclass(frozen=True, slots=True)
class Ejection:
    """One endpoint that is out."""

    endpoint: str
    workload: str  # "" when set by hand: whoever is at that address is out
    left_ms: int
    ejection_ms: int
    generation: int
    failures: int  # the run that did it
    ejections: int
    backoff: int
    by: str
    reason: str  # one of BY_RULE, "by_hand", or what the hand that set it wrote
    probe_in_ms: int = NO_PROBE
    cause: str = ""  # why attempts failed: `refused`, `503,tunnel_503`; "" when not known


@dataclass(frozen=True, slots=True)
class View:
    """What a replica says a cluster consists of. The cap is a share of these endpoints, and of no others; and what is
    known of an endpoint is dropped when nobody has it any more."""

    replica: str
    name: str  # the same for all replicas that say the same
    workloads: Mapping[str, str] = field(repr=False)  # by endpoint
    for_ms: int = 0  # the replica promises to say so again in that time; else it is gone


@dataclass(frozen=True, slots=True)
class Claim:
    """Whether the caller may probe an endpoint with one request; if not, when to ask again."""

    granted: bool
    wait_ms: int = 0


@dataclass(frozen=True, slots=True)
class Glance:
    """The cheap periodic look: enough to notice that a `sync` is due."""

    version: int
    epoch: str  # "": the store has lost its data (or never had any)
    ejected: frozenset[str]
    left_ms: dict[str, int] = field(default_factory=dict)  # of those; at most ENDLESS_MS
    replicas: int = 0  # how many look, or did; 0: not asked


@dataclass(frozen=True, slots=True)
class ClusterView:
    """All a replica needs to know of a cluster."""

    version: int
    epoch: str
    ejections: tuple[Ejection, ...]
    dirty: dict[str, int]  # endpoint -> failures > 0
    generations: dict[str, int]  # endpoint -> generation, of all endpoints with a record
    time_ms: int = 0  # the store's wall clock; only its changes mean anything
    gone_back: bool = False  # it was this call that found the store's data older than what the caller knew
    rule_before: str = ""  # what was told of the rule before, if that is not what the caller tells


class News(Protocol):
    """Events of some clusters, as they happen. Every method but `close` may raise StoreUnavailable, and then it is
    over: make a new one, then `sync`."""

    def update(self, clusters: Sequence[str]) -> None:
        """Of these clusters from now on, and of no others."""

    def next(self, timeout: float) -> Event | None:
        """The next event; None when there was none within `timeout` seconds."""

    def close(self) -> None:
        """It is not needed any more."""


class Store(Protocol):
    """What a store does. Every method may raise StoreUnavailable."""

    def report(self, batch: Batch, policy: Policy) -> Verdict:
        """Count a batch and decide."""

    def tell_rates(self, cluster: str, told: Outcomes, rule: RateRule, policy: Policy) -> Sequence[Found]:
        """How many requests succeeded and failed; if the interval is over with that, the endpoints that are outliers by
        it, the worst first, and what has become of each."""

    def glance(self, cluster: str, endpoints: Sequence[str], view: View | None = None) -> Glance:
        """Version, epoch and who of `endpoints` is ejected. `view`, if given, is told."""

    def sync(
        self,
        cluster: str,
        endpoints: Sequence[str],
        version: int = 0,
        epoch: str = "",
        rule: str = "",
        view: View | None = None,
    ) -> ClusterView:
        """The whole state of `endpoints`; creates the epoch when it is missing. `rule`, if given, is kept for people to
        read, `view` for the cap.

        `version` and `epoch`: what the caller knew before. A store of that epoch that has not got so far has lost
        data, and gets a new epoch, once.
        """

    def offer(self, cluster: str, ejection: Ejection, policy: Policy) -> Verdict:
        """Offer an ejection decided elsewhere (local mode, or before the store lost its data), `ejection.by` whom;
        idempotent by generation.

        "ejected" or "already_ejected": it stands, with the verdict's `left_ms`. "stale" (this generation is known and
        over) or "overflow" (no room under the cap): the caller lifts it.
        """

    def claim_probe(self, cluster: str, endpoint: str, by: str, lease_ms: int) -> Claim:
        """Ask to probe an ejected endpoint; for `lease_ms` nobody else may, unless its ejection changes."""

    def probed(self, batch: Batch, policy: Policy) -> Verdict:
        """Tell what the probe said, `batch.run` being its one outcome.

        "returned": it is back, for everybody. "ejected": out for longer. "stale": something else has happened since.
        """

    def withdraw(self, cluster: str, ejection: Ejection, by: str) -> None:
        """The store has gone back to older data, and with them to this ejection, which the caller `by` knows to be
        over: lift it, unless another one has taken its place."""

    def misfits(self, cluster: str, endpoints: Sequence[str]) -> list[str]:
        """After KeysUnusable: the keys it was about, each with what is wrong."""

    def rule_deleted(self, cluster: str, by: str) -> None:
        """Replica `by` has no rule for the cluster any more; told in the stream by the first that says so."""

    def forget(self, cluster: str, endpoint: str, workload: str, replica: str) -> None:
        """The endpoint left the cluster in this replica, which tells its view anew next: drop its record, unless
        another replica still has it, another workload has taken the address, or a hand has ejected it."""


class Reports(Store, Protocol):
    """One that can be told of outcomes without waiting for its answers."""

    def send(self, batch: Batch, policy: Policy) -> Callable[[], Verdict]:
        """As `report`. Batches are counted in the order in which they were sent; what this gives waits for the verdict,
        may raise StoreUnavailable too, and is to be called once, in the same order."""


class SharedStore(Store, Protocol):
    """One that other replicas use too."""

    def subscribe(self, clusters: Sequence[str]) -> News:
        """Hear of changes in `clusters`; to miss none, `sync` after this returns."""
