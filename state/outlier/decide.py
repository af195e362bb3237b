"""When an endpoint is ejected and for how long: the executable specification of `lua/*.lua`.

Pure: `now_ms` is an argument, on any clock that only moves forward. Used as it is by the local store. The rules are
Envoy's for `consecutive_5xx` (threshold, cap, closed form of the multiplier), with three differences on purpose: the
threshold is `>=` because it may change in a rollout; an ejection ends exactly at its time; generations fence off old
evidence.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from state.constants import LONGEST_MIN_RUN_MS, MAX_EJECTION_MS, PROBE_AWAITED_MS
from state.outlier.run import Run
from state.outlier.store import (
    ALREADY_EJECTED,
    CLEAN,
    COUNTED,
    EJECTED,
    NO_PROBE,
    OVERFLOW,
    RETURNED,
    STALE,
    TOO_SOON,
    UNCONFIRMED,
    Policy,
    Verdict,
)


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
    run_since_ms: int = 0  # when the first failure of the current run was counted
    local_failures: int = 0  # of the current run, those of local origin
    local_reporters: tuple[str, ...] = ()  # who reported these
    probe_at_ms: int = 0  # from when on the endpoint may be probed; 0: it comes back by itself
    by_hand: bool = False  # a hand has ejected it: the cap does not stop that, nor does it give way

    @property
    def begun_ms(self) -> int:
        """When its ejection began."""
        return (self.probe_at_ms or self.ejected_until_ms) - self.ejection_ms


def settle(record: Record, now_ms: int) -> Record:
    """The record at `now_ms`: an ejection whose time has come is over."""
    if 0 < record.ejected_until_ms <= now_ms:
        return replace(without_run(record), ejected_until_ms=0, probe_at_ms=0, by_hand=False)
    return record


def without_run(record: Record) -> Record:
    """The record with no failures counted."""
    return replace(record, failures=0, run_since_ms=0, local_failures=0, local_reporters=())


def identify(record: Record, workload: str) -> Record:
    """The record of `workload`; empty when another one is known to have had the address. An empty name contradicts
    nobody."""
    if record.workload and workload and record.workload != workload:
        return Record(workload=workload)
    return replace(record, workload=workload or record.workload)


def decide(
    record: Record,
    run: Run,
    generation: int,
    policy: Policy,
    active: int,
    now_ms: int,
    by: str = "",
    round_trip_ms: int = 0,
) -> tuple[Record, Verdict]:
    """Count `run`, made of attempts dispatched in `generation` and reported by `by`, and judge. `round_trip_ms`: the
    longest that reports take, as far as is known.

    `active` is how many endpoints of the cluster are ejected besides this one. The verdict's `version` and `by` are
    left empty for the store to fill.
    """
    record = settle(record, now_ms)
    if record.ejected_until_ms:
        return record, verdict(ALREADY_EJECTED, record, now_ms)
    if generation < record.generation:
        return record, verdict(STALE, record, now_ms)
    if generation > record.generation:  # the record's store has lost that ejection, and the evidence was used up by it
        record = replace(without_run(record), generation=generation)
    if policy.min_run_ms and run.any_success:  # whatever stood before it was too young to be sure of
        record, run = without_run(record), run.after_success()
    before, joined = record, join(record, run, now_ms, by)
    crossing = crossed_at(before, run, policy, confirmed=confirmed(joined, policy))
    if not crossing:
        record = count(joined, run, now_ms, by)
        unconfirmed = crossed_at(before, run, policy, confirmed=True)
        outcome = UNCONFIRMED if unconfirmed else COUNTED if record.failures else CLEAN
        return record, verdict(outcome, record, now_ms)
    wait_ms = 0 if run.any_success else joined.run_since_ms + min_run_ms(policy, round_trip_ms) - now_ms
    if wait_ms > 0:
        return joined, replace(verdict(TOO_SOON, joined, now_ms), wait_ms=wait_ms)
    if not under_cap(policy, active):
        record = after_overflow(joined, run, crossing, policy.consecutive_5xx, now_ms)
        return record, verdict(OVERFLOW, record, now_ms)
    record = eject(before, crossing, policy, now_ms)
    return record, verdict(EJECTED, record, now_ms)


def min_run_ms(policy: Policy, round_trip_ms: int) -> int:
    """How old a run must be: a success somewhere that was not told, since its worker did not know yet that successes
    matter, has been followed by one that was, if the endpoint goes on to succeed there."""
    return max(policy.min_run_ms, min(2 * round_trip_ms, LONGEST_MIN_RUN_MS)) if policy.min_run_ms else 0


def join(record: Record, run: Run, now_ms: int, by: str) -> Record:
    """The record with the failures up to the run's first success."""
    return replace(
        record,
        failures=record.failures + run.lead,
        run_since_ms=min(record.run_since_ms, now_ms) or (now_ms if run.lead else 0),  # a clock may be put back
        local_failures=record.local_failures + run.lead_local,
        local_reporters=with_reporter(record.local_reporters, by) if run.lead_local else record.local_reporters,
    )


def count(joined: Record, run: Run, now_ms: int, by: str) -> Record:
    """The record after the whole run, of which `joined` has the part up to the first success."""
    return restart(joined, run.trail, run.trail_local, now_ms, by) if run.any_success else joined


def restart(record: Record, failures: int, local: int, now_ms: int, by: str) -> Record:
    """The record with a run of failures that has just begun."""
    return replace(
        record,
        failures=failures,
        run_since_ms=now_ms if failures else 0,
        local_failures=local,
        local_reporters=(by,) if local else (),
    )


def with_reporter(reporters: tuple[str, ...], by: str) -> tuple[str, ...]:
    """The reporters with `by` among them."""
    return reporters if by in reporters else (*reporters, by)


def confirmed(record: Record, policy: Policy) -> bool:
    """Whether so many replicas have seen local-origin failures that these count."""
    return len(record.local_reporters) >= policy.local_origin_quorum or policy.local_origin_quorum <= 1


def crossed_at(record: Record, run: Run, policy: Policy, *, confirmed: bool) -> int:
    """Length of the run at the failure that reached the threshold, counting one by one after the failures of `record`;
    0: not reached, or no threshold. Not `confirmed`: failures of local origin are left out."""
    threshold = policy.consecutive_5xx
    failures = record.failures if confirmed else record.failures - record.local_failures
    lead = run.lead if confirmed else run.lead - run.lead_local
    if threshold <= 0:
        return 0
    if (run.lead or not run.any_success) and failures + lead >= threshold:
        # more than the threshold if that was lowered meanwhile, or the run was too young before
        return max(threshold, failures + min(1, lead))
    best = run.best if policy.local_origin_quorum <= 1 else run.best_external
    return threshold if best >= threshold else 0


def after_overflow(joined: Record, run: Run, crossing: int, threshold: int, now_ms: int) -> Record:
    """The record when each run that reached `threshold` was dropped and counting began again from 0."""
    left = run.trail if run.any_success else joined.failures - crossing
    return restart(joined, left % threshold, 0, now_ms, "")


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
    until_ms = now_ms + ejection_ms + (PROBE_AWAITED_MS if policy.probe else 0)
    return replace(
        without_run(record),
        generation=record.generation + 1,
        ejections=record.ejections + 1,
        backoff=backoff,
        ejected_until_ms=until_ms,
        ejection_ms=ejection_ms,
        unejected_at_ms=until_ms,
        run=run,
        probe_at_ms=now_ms + ejection_ms if policy.probe else 0,
    )


def judge_probe(record: Record, success: bool, generation: int, policy: Policy, now_ms: int) -> tuple[Record, Verdict]:
    """What the one request that tried an ejected endpoint says: back for good, or out for longer."""
    record = settle(record, now_ms)
    due = record.ejected_until_ms and 0 < record.probe_at_ms <= now_ms
    if not due or generation != record.generation:
        return record, verdict(STALE, record, now_ms)
    back = lift(record, now_ms)
    if success:
        return back, verdict(RETURNED, back, now_ms)
    record = eject(back, 1, policy, now_ms)
    return record, verdict(EJECTED, record, now_ms)


def accept(record: Record, offered: Record, policy: Policy, active: int, now_ms: int) -> tuple[Record, Verdict]:
    """Judge an ejection that was decided elsewhere: the specification of `offer.lua`."""
    record = settle(record, now_ms)
    newer_hand = offered.by_hand and offered.generation > record.generation
    if record.ejected_until_ms and not newer_hand:
        return record, verdict(ALREADY_EJECTED, record, now_ms)
    if offered.generation <= record.generation or offered.ejected_until_ms <= now_ms:
        return record, verdict(STALE, record, now_ms)
    if not offered.by_hand and not under_cap(policy, active):
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
    ages = {
        name: record.begun_ms
        for name, record in others.items()
        if record.ejected_until_ms > now_ms and not record.by_hand
    }
    younger = sorted((name for name in ages if ages[name] > offered.begun_ms), key=lambda name: (ages[name], name))
    excess = active + 1 - min(100, policy.max_ejection_percent) * policy.endpoints // 100
    return younger[-excess:] if 0 < excess <= len(younger) else ()


def lift(record: Record, now_ms: int) -> Record:
    """The record with its ejection ended before its time."""
    return replace(without_run(record), ejected_until_ms=0, probe_at_ms=0, unejected_at_ms=now_ms, by_hand=False)


def verdict(outcome: str, record: Record, now_ms: int) -> Verdict:
    """The answer that `record` gives at `now_ms`; `version`, `by` and `reason` empty."""
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
        probe_in_ms=max(0, record.probe_at_ms - now_ms) if left_ms and record.probe_at_ms else NO_PROBE,
    )
