"""Outcomes of attempts on one endpoint, in order, summarised. Pure.

The summary is associative: outcomes may be cut into batches anywhere, and the answer is the one that counting them one
by one gives. That is what lets workers coalesce what happens while a report is on its way.

Local-origin failures (refused, broken, silent: seen from one replica only) are counted apart as well, for
`Policy.local_origin_quorum`.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Run:
    """Without a success, `lead` and `trail` are both all of it. The empty run is the neutral element."""

    lead: int = 0  # failures before the first success
    any_success: bool = False
    trail: int = 0  # failures after the last success
    best: int = 0  # longest run of failures anywhere inside
    lead_local: int = 0  # of `lead`, how many are of local origin
    trail_local: int = 0
    best_external: int = 0  # as `best`, had those of local origin not happened

    @staticmethod
    def of(outcomes: Iterable[bool]) -> "Run":
        """Summary of outcomes in order; True is a success, False an endpoint's own failure."""
        run = Run()
        for success in outcomes:
            run = run.combine(SUCCESS if success else FAILURE)
        return run

    @staticmethod
    def of_failures(count: int) -> "Run":
        """That many failures, of the endpoint's own as far as anybody remembers."""
        return Run(lead=count, trail=count, best=count, best_external=count)

    @property
    def local(self) -> int:
        """Failures of local origin at either end, so in a run that may go on."""
        return self.lead_local + (self.trail_local if self.any_success else 0)

    def after_success(self) -> "Run":
        """What came after the last success."""
        return Run(
            lead=self.trail,
            trail=self.trail,
            best=self.trail,
            lead_local=self.trail_local,
            trail_local=self.trail_local,
            best_external=self.trail - self.trail_local,
        )

    def combine(self, later: "Run") -> "Run":
        """This run followed by `later`."""
        joined_external = self.trail - self.trail_local + later.lead - later.lead_local
        return Run(
            lead=self.lead if self.any_success else self.lead + later.lead,
            any_success=self.any_success or later.any_success,
            trail=later.trail if later.any_success else self.trail + later.trail,
            best=max(self.best, later.best, self.trail + later.lead),
            lead_local=self.lead_local if self.any_success else self.lead_local + later.lead_local,
            trail_local=later.trail_local if later.any_success else self.trail_local + later.trail_local,
            best_external=max(self.best_external, later.best_external, joined_external),
        )


SUCCESS = Run(any_success=True)
FAILURE = Run(lead=1, trail=1, best=1, best_external=1)
LOCAL_FAILURE = Run(lead=1, trail=1, best=1, lead_local=1, trail_local=1)
