"""Outcomes of attempts on one endpoint, in order, summarised. Pure.

The summary is associative: outcomes may be cut into batches anywhere, and the answer is the one that counting them one
by one gives. That is what lets workers coalesce what happens while a report is on its way.

Envoy counts three things in a row, and what ends one row goes on with another; so there is a summary for each, of the
same outcomes in the same order:

                                           5xx     gateway  local origin
    success                                ends    ends     ends
    5xx that is no 502, 503, 504           counts  ends     ends
    502, 503, 504                          counts  counts   ends
    local origin: no connection            counts  counts   counts
    local origin: no answer on one         counts  counts   ends, and counts: a connection had been made

Local-origin failures (refused, broken, silent: seen from one replica only) are counted apart as well, for
`Policy.local_origin_quorum`, and for splitExternalLocalOriginErrors, which leaves them out of the first two.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Streak:
    """What one counter sees of outcomes: failures, and what ends a row of them. Without an end, `lead` and `trail` are
    both all of it. The empty one is the neutral element."""

    lead: int = 0  # failures before the first success, or whatever ends a row
    any_success: bool = False
    trail: int = 0  # failures after the last success
    best: int = 0  # longest run of failures anywhere inside
    lead_local: int = 0  # of `lead`, how many are of local origin
    trail_local: int = 0
    best_external: int = 0  # as `best`, had those of local origin not happened

    @property
    def ends_well(self) -> bool:
        """A success, and no failure since."""
        return self.any_success and self.trail == 0

    @property
    def all_well(self) -> bool:
        """Successes, and no failure."""
        return self.any_success and self.best == 0

    def then(self, later: "Streak") -> "Streak":
        """This followed by `later`."""
        return Streak(*_joined(self, later))

    def latest(self) -> "Streak":
        """What came after the last success."""
        return Streak(*_latest(self))


@dataclass(frozen=True, slots=True)
class Run(Streak):
    """Of 5xx itself; the other two are looked at where a policy asks for them (`Policy.counts_several`)."""

    gateway: Streak = Streak()
    local_origin: Streak = Streak()

    @staticmethod
    def of(outcomes: Iterable[bool]) -> "Run":
        """Summary of outcomes in order; True is a success, False an endpoint's own failure."""
        run = Run()
        for success in outcomes:
            run = run.combine(SUCCESS if success else FAILURE)
        return run

    @staticmethod
    def of_failures(count: int, gateway: int = 0, local_origin: int = 0) -> "Run":
        """That many failures, the latest of them gateway errors, and of these the latest without a connection; of the
        endpoint's own as far as anybody remembers the others."""
        kinds = [SERVER_ERROR] * (count - gateway) + [FAILURE] * (gateway - local_origin)
        run = Run()
        for each in kinds + [LOCAL_FAILURE] * local_origin:
            run = run.combine(each)
        return run

    @property
    def local(self) -> int:
        """Failures of local origin at either end, so in a run that may go on."""
        return self.lead_local + (self.trail_local if self.any_success else 0)

    def after_success(self) -> "Run":
        """What came after the last success. A row of gateway errors that another 5xx has ended since is not in it."""
        return Run(*_latest(self), self.gateway.latest(), self.local_origin.latest())

    def combine(self, later: "Run") -> "Run":
        """This run followed by `later`."""
        local_origin = self.local_origin.then(later.local_origin)
        return Run(*_joined(self, later), self.gateway.then(later.gateway), local_origin)

    def plain(self) -> "Run":
        """Without the other two: a success ends them, and no failure counts."""
        ends = Streak(any_success=self.any_success)
        return Run(*_joined(self, Streak()), ends, ends)


_Numbers = tuple[int, bool, int, int, int, int, int]


def _joined(first: Streak, later: Streak) -> _Numbers:
    joined_external = first.trail - first.trail_local + later.lead - later.lead_local
    return (
        first.lead if first.any_success else first.lead + later.lead,
        first.any_success or later.any_success,
        later.trail if later.any_success else first.trail + later.trail,
        max(first.best, later.best, first.trail + later.lead),
        first.lead_local if first.any_success else first.lead_local + later.lead_local,
        later.trail_local if later.any_success else first.trail_local + later.trail_local,
        max(first.best_external, later.best_external, joined_external),
    )


def _latest(streak: Streak) -> _Numbers:
    trail, local = streak.trail, streak.trail_local
    return trail, False, trail, trail, local, local, trail - local


_ENDS = Streak(any_success=True)
_COUNTS = Streak(lead=1, trail=1, best=1, best_external=1)
_COUNTS_LOCAL = Streak(lead=1, trail=1, best=1, lead_local=1, trail_local=1)

SUCCESS = Run(any_success=True, gateway=_ENDS, local_origin=_ENDS)
SERVER_ERROR = Run(*_joined(_COUNTS, Streak()), gateway=_ENDS, local_origin=_ENDS)
FAILURE = Run(*_joined(_COUNTS, Streak()), gateway=_COUNTS, local_origin=_ENDS)  # 502, 503 or 504
LOCAL_FAILURE = Run(*_joined(_COUNTS_LOCAL, Streak()), gateway=_COUNTS_LOCAL, local_origin=_COUNTS_LOCAL)
LOST_ANSWER = Run(*_joined(_COUNTS_LOCAL, Streak()), gateway=_COUNTS_LOCAL, local_origin=_ENDS.then(_COUNTS_LOCAL))
GATEWAY_ERRORS = frozenset({502, 503, 504})
