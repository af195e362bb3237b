"""When an endpoint is ejected and for how long: the executable specification of `lua/*.lua`.

Pure: `now_ms` is an argument, on any clock that only moves forward. Used as it is by the local store. The rules are
Envoy's for `consecutive_5xx` (threshold, cap, closed form of the multiplier), with three differences on purpose: the
threshold is `>=` because it may change in a rollout; an ejection ends exactly at its time; generations fence off old
evidence.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from state.store import ALREADY_EJECTED, CLEAN, COUNTED, EJECTED, OVERFLOW, STALE, Policy, Verdict

MAX_EJECTION_MS = 300_000  # Envoy's max_ejection_time, which no DestinationRule can set; a longer base wins


@dataclass(frozen=True, slots=True)
class Run:
    """Outcomes in order, summarised so that any batching of them gives the sequential answer."""

    lead: int = 0
    any_success: bool = False
    trail: int = 0
    best: int = 0

    @staticmethod
    def of(outcomes: Iterable[bool]) -> "Run":
        """Summary of outcomes in order; True is a success."""
        run = Run()
        for success in outcomes:
            run = run.combine(SUCCESS if success else FAILURE)
        return run

    def combine(self, later: "Run") -> "Run":
        """This run followed by `later`. Associative."""
        return Run(
            lead=self.lead if self.any_success else self.lead + later.lead,
            any_success=self.any_success or later.any_success,
            trail=later.trail if later.any_success else self.trail + later.trail,
            best=max(self.best, later.best, self.trail + later.lead),
        )


SUCCESS = Run(any_success=True)
FAILURE = Run(lead=1, trail=1, best=1)


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of one endpoint."""

    failures: int = 0  # the current run
    generation: int = 0  # grows with each ejection
    ejections: int = 0
    backoff: int = 0  # Envoy's multiplier, before its lazy decay
    ejected_until_ms: int = 0  # 0: not ejected, as far as `settle` has been told the time
    ejection_ms: int = 0
    unejected_at_ms: int = 0  # when the last ejection ends or ended
    workload: str = ""
    run: int = 0  # the run that led to the last ejection


def settle(record: Record, now_ms: int) -> Record:
    """The record at `now_ms`: an ejection whose time has come is over."""
    if 0 < record.ejected_until_ms <= now_ms:
        return replace(record, ejected_until_ms=0, failures=0)
    return record


def identify(record: Record, workload: str) -> Record:
    """The record of `workload`; empty when another one is known to have had the address. An empty name contradicts
    nobody."""
    if record.workload and workload and record.workload != workload:
        return Record(workload=workload)
    return replace(record, workload=workload or record.workload)


def decide(
    record: Record, run: Run, generation: int, policy: Policy, active: int, now_ms: int
) -> tuple[Record, Verdict]:
    """Count `run`, made of attempts dispatched in `generation`, and judge.

    `active` is how many endpoints of the cluster are ejected besides this one. The verdict's `version` and `by` are
    left empty for the store to fill.
    """
    record = settle(record, now_ms)
    if record.ejected_until_ms:
        return record, verdict(ALREADY_EJECTED, record, now_ms)
    if generation < record.generation:
        return record, verdict(STALE, record, now_ms)
    if generation > record.generation:  # the record's store has lost that ejection, and the evidence was used up by it
        record = replace(record, generation=generation, failures=0)
    crossing = crossed_at(record.failures, run, policy.consecutive_5xx)
    if not crossing:
        record = replace(record, failures=run.trail if run.any_success else record.failures + run.lead)
        return record, verdict(COUNTED if record.failures else CLEAN, record, now_ms)
    if not under_cap(policy, active):
        record = replace(record, failures=after_overflow(record.failures, run, policy.consecutive_5xx))
        return record, verdict(OVERFLOW, record, now_ms)
    record = eject(record, crossing, policy, now_ms)
    return record, verdict(EJECTED, record, now_ms)


def crossed_at(failures: int, run: Run, threshold: int) -> int:
    """Length of the run at the failure that reached `threshold`, counting one by one; 0: not reached, or no
    threshold."""
    if threshold <= 0:
        return 0
    if run.lead and failures + run.lead >= threshold:
        return max(threshold, failures + 1)  # more than the threshold if that was lowered meanwhile
    return threshold if run.best >= threshold else 0


def after_overflow(failures: int, run: Run, threshold: int) -> int:
    """The run left when each one that reached `threshold` was dropped and counting began again from 0."""
    if run.any_success:
        return run.trail % threshold
    return (failures + run.lead - max(threshold, failures + 1)) % threshold


def under_cap(policy: Policy, active: int) -> bool:
    """Whether one more than `active` may be ejected: Envoy's cap in exact integers."""
    return 100 * (active + 1) <= min(100, policy.max_ejection_percent) * policy.endpoints


def next_backoff(record: Record, policy: Policy, now_ms: int) -> int:
    """The multiplier of an ejection now. It falls by one per healthy interval and may overshoot the maximum by one."""
    healthy = max(0, now_ms - record.unejected_at_ms) // max(1, policy.interval_ms)
    backoff = max(0, record.backoff - healthy)
    longest = max(MAX_EJECTION_MS, policy.base_ejection_ms)
    return backoff + 1 if backoff * policy.base_ejection_ms < longest + policy.base_ejection_ms else backoff


def eject(record: Record, run: int, policy: Policy, now_ms: int) -> Record:
    """The record ejected at `now_ms` for the time its history and the policy give."""
    backoff = next_backoff(record, policy, now_ms)
    ejection_ms = min(policy.base_ejection_ms * backoff, max(MAX_EJECTION_MS, policy.base_ejection_ms))
    return replace(
        record,
        failures=0,
        generation=record.generation + 1,
        ejections=record.ejections + 1,
        backoff=backoff,
        ejected_until_ms=now_ms + ejection_ms,
        ejection_ms=ejection_ms,
        unejected_at_ms=now_ms + ejection_ms,
        run=run,
    )


def accept(record: Record, offered: Record, policy: Policy, active: int, now_ms: int) -> tuple[Record, Verdict]:
    """Judge an ejection that was decided elsewhere: the specification of `offer.lua`."""
    record = settle(record, now_ms)
    if record.ejected_until_ms:
        return record, verdict(ALREADY_EJECTED, record, now_ms)
    if offered.generation <= record.generation or offered.ejected_until_ms <= now_ms:
        return record, verdict(STALE, record, now_ms)
    if not under_cap(policy, active):
        return record, verdict(OVERFLOW, record, now_ms)
    record = replace(
        offered,
        workload=record.workload,
        ejections=max(record.ejections, offered.ejections),
        backoff=max(record.backoff, offered.backoff),
    )
    return record, verdict(EJECTED, record, now_ms)


def giving_way(
    offered: Record, others: Mapping[str, Record], policy: Policy, active: int, now_ms: int
) -> Sequence[str]:
    """Which endpoints come back so that an older ejection fits under the cap: the youngest, as few as will do; none
    when that is not enough. Two halves of a partition may each have used the cap."""
    begun = offered.ejected_until_ms - offered.ejection_ms
    ages = {name: r.ejected_until_ms - r.ejection_ms for name, r in others.items() if r.ejected_until_ms > now_ms}
    younger = sorted((name for name, its in ages.items() if its > begun), key=lambda name: (ages[name], name))
    excess = active + 1 - min(100, policy.max_ejection_percent) * policy.endpoints // 100
    return younger[-excess:] if 0 < excess <= len(younger) else ()


def lift(record: Record, now_ms: int) -> Record:
    """The record with its ejection ended before its time."""
    return replace(record, ejected_until_ms=0, failures=0, unejected_at_ms=now_ms)


def verdict(outcome: str, record: Record, now_ms: int) -> Verdict:
    """The answer that `record` gives at `now_ms`; `version` and `by` empty."""
    left_ms = max(0, record.ejected_until_ms - now_ms)
    return Verdict(
        outcome=outcome,
        failures=record.run if left_ms else record.failures,
        generation=record.generation,
        ejections=record.ejections,
        backoff=record.backoff,
        left_ms=left_ms,
        ejection_ms=record.ejection_ms if left_ms else 0,
        version=0,
        by="",
    )
