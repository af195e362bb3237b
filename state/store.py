"""The words in which the data path and a store talk: policies, batches of outcomes, verdicts, ejections.

Pure data, no input or output. Times are durations in milliseconds ("left"), never dates, because the clocks of replicas
and of Redis differ; a reader adds a duration to its own monotonic clock. Fields follow Envoy's outlier detection
(`consecutive_5xx`, `interval`, `base_ejection_time`, `max_ejection_percent`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

COUNTED = "counted"  # the run of failures is now `Verdict.failures`
CLEAN = "clean"  # the run is 0: the endpoint needs no reports of success
EJECTED = "ejected"  # this very report ejected the endpoint
ALREADY_EJECTED = "already_ejected"  # it was out before; nothing was counted
OVERFLOW = "overflow"  # the run reached the threshold but the cap forbids; the run starts again
STALE = "stale"  # evidence from before an ejection; nothing was counted, `Verdict.generation` is the current one

CONSECUTIVE_5XX = "consecutive_5xx"
BY_HAND = "by_hand"


class StoreUnavailable(Exception):
    """The store did not answer, or not usefully; the caller decides by itself and tries again later."""


class KeysUnusable(StoreUnavailable):
    """The store is well, but keys of this cluster hold what this program has not written; others are not concerned."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the caller's configuration says; it travels with every report because replicas may be mid-rollout."""

    consecutive_5xx: int  # 0: never eject, count only
    interval_ms: int
    base_ejection_ms: int
    max_ejection_percent: int  # 0..100
    endpoints: int  # how many the cluster has


@dataclass(frozen=True, slots=True)
class Batch:
    """Outcomes of attempts on one endpoint, in order, summarised as `decide.Run` does."""

    cluster: str
    endpoint: str
    workload: str  # "" when not known
    generation: int  # the endpoint's generation when the attempts were dispatched
    lead: int  # failures before the first success (all of them without a success)
    any_success: bool
    trail: int  # failures after the last success (all of them without a success)
    best_run: int  # longest run of failures inside
    last_status: int
    by: str  # who reports


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
    reason: str  # "consecutive_5xx", "by_hand", or what the hand that set it wrote


@dataclass(frozen=True, slots=True)
class Glance:
    """The cheap periodic look: enough to notice that a `sync` is due."""

    version: int
    epoch: str  # "": the store has lost its data (or never had any)
    ejected: frozenset[str]


@dataclass(frozen=True, slots=True)
class ClusterView:
    """All a replica needs to know of a cluster."""

    version: int
    epoch: str
    ejections: tuple[Ejection, ...]
    dirty: dict[str, int]  # endpoint -> failures > 0
    generations: dict[str, int]  # endpoint -> generation, of all endpoints with a record
    time_ms: int = 0  # the store's wall clock; only its changes mean anything


class Store(Protocol):
    """What a store does. Every method may raise StoreUnavailable."""

    def report(self, batch: Batch, policy: Policy) -> Verdict:
        """Count a batch and decide."""

    def glance(self, cluster: str, endpoints: Sequence[str]) -> Glance:
        """Version, epoch and who of `endpoints` is ejected."""

    def sync(self, cluster: str, endpoints: Sequence[str], version: int = 0, epoch: str = "") -> ClusterView:
        """The whole state of `endpoints`; creates the epoch when it is missing.

        `version` and `epoch`: what the caller knew before. A store of that epoch that has not got so far has lost
        data, and gets a new epoch, once.
        """

    def offer(
        self,
        cluster: str,
        endpoint: str,
        workload: str,
        left_ms: int,
        ejection_ms: int,
        generation: int,
        failures: int,
        ejections: int,
        backoff: int,
        policy: Policy,
        by: str,
    ) -> Verdict:
        """Offer an ejection decided elsewhere (local mode, or before the store lost its data); idempotent by
        generation.

        "ejected" or "already_ejected": it stands, with the verdict's `left_ms`. "stale" (this generation is known and
        over) or "overflow" (no room under the cap): the caller lifts it.
        """

    def misfits(self, cluster: str, endpoints: Sequence[str]) -> list[str]:
        """After KeysUnusable: the keys it was about, each with what is wrong."""

    def forget(self, cluster: str, endpoint: str, workload: str) -> None:
        """The endpoint left the cluster: drop its record, unless another workload has taken the address."""
