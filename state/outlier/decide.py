"""When an endpoint is ejected and for how long: the executable specification of `lua/*.lua`.

Pure: `now_ms` is an argument, on any clock that only moves forward. Used as it is by the local store. The rules are
Envoy's for `consecutive_5xx`, `consecutive_gateway_failure` and `consecutive_local_origin_failure` (threshold, cap,
closed form of the multiplier), with four differences on purpose: the threshold is `>=` because it may change in a
rollout; an ejection ends exactly at its time; generations fence off old evidence; when the cap forbids, all three begin
again.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from state.constants import ANSWERS_MS, LONGEST_MIN_RUN_MS, MAX_EJECTION_MS, PROBE_AWAITED_MS
from state.outlier import witnesses
from state.outlier.run import Run, Streak
from state.outlier.store import (
    ALREADY_EJECTED,
    CLEAN,
    CONSECUTIVE_5XX,
    CONSECUTIVE_GATEWAY_FAILURE,
    CONSECUTIVE_LOCAL_ORIGIN_FAILURE,
    COUNTED,
    EJECTED,
    NO_PROBE,
    OVERFLOW,
    PROBE_FAILED,
    RETURNED,
    STALE,
    TOO_SOON,
    UNCONFIRMED,
    Policy,
    Verdict,
)
from state.outlier.witnesses import BY_EVERYBODY, Hearing


class Record(NamedTuple):
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
    gateway_failures: int = 0  # gateway errors in a row, at the end of the current run
    gateway_local_failures: int = 0  # of these, those of local origin
    local_origin_failures: int = 0  # connections in a row that were not made, at the end of the current run
    crossed: str = ""  # the run has reached a threshold and was too young: the reason to eject for, ...
    crossed_at: int = 0  # ... and how many failures that were
    reason: str = ""  # of the last ejection, one of BY_RULE; "" when that is not known
    asked_ms: int = 0  # when the fleet was asked who knows better of the current run; 0: not
    hearing: Hearing = BY_EVERYBODY

    @property
    def told(self) -> bool:
        """The fleet knows of the current run."""
        return self.failures > 0 and (not self.hearing.by_witnesses or self.asked_ms > 0)

    @property
    def begun_ms(self) -> int:
        """When its ejection began."""
        return (self.probe_at_ms or self.ejected_until_ms) - self.ejection_ms


def settle(record: Record, now_ms: int) -> Record:
    """The record at `now_ms`: an ejection whose time has come is over."""
    if 0 < record.ejected_until_ms <= now_ms:
        return without_run(record)._replace(ejected_until_ms=0, probe_at_ms=0, by_hand=False)
    return record


def without_run(record: Record) -> Record:
    """The record with no failures counted."""
    return record._replace(
        failures=0,
        run_since_ms=0,
        local_failures=0,
        local_reporters=(),
        gateway_failures=0,
        gateway_local_failures=0,
        local_origin_failures=0,
        crossed="",
        crossed_at=0,
        asked_ms=0,
    )


def identify(record: Record, workload: str) -> Record:
    """The record of `workload`; empty when another one is known to have had the address. An empty name contradicts
    nobody."""
    if record.workload and workload and record.workload != workload:
        return Record(workload=workload)
    return record if record.workload or not workload else record._replace(workload=workload)


def decide(
    record: Record,
    run: Run,
    generation: int,
    policy: Policy,
    active: int,
    now_ms: int,
    by: str = "",
    round_trip_ms: int = 0,
    replicas: int = 1,
) -> tuple[Record, Verdict]:
    """Count `run`, made of attempts dispatched in `generation` and reported by `by`, and judge. `round_trip_ms`: the
    longest that reports take, `replicas`: how many hear of what is decided, as far as is known.

    `active` is how many endpoints of the cluster are ejected besides this one. The verdict's `version` and `by` are
    left empty for the store to fill. A policy that does not count several sees 5xx only: nothing else is told with it.
    """
    record = settle(record, now_ms)
    if record.ejected_until_ms:
        return record, verdict(ALREADY_EJECTED, record, now_ms)
    if generation < record.generation:
        return record, verdict(STALE, record, now_ms)
    if generation > record.generation:  # the record's store has lost that ejection, and the evidence was used up by it
        record = without_run(record)._replace(generation=generation)
    run = run if policy.counts_several else run.plain()
    record = heard(record, replicas, now_ms) if policy.min_run_ms else record
    ran = record.failures > 0
    if policy.min_run_ms and run.any_success:  # whatever stood before it was too young to be sure of
        record, run = without_run(answered(record, now_ms)), run.after_success()
    before, joined = record, join(record, run, now_ms, by)
    crossing = crossing_of(before, run, policy, confirmed=confirmed(joined, policy))
    if not crossing.failures:
        unconfirmed = crossing_of(before, run, policy, confirmed=True).failures
        record = turned(count(joined, run, now_ms, by), ran, policy, replicas, now_ms)
        outcome = UNCONFIRMED if unconfirmed else COUNTED if record.failures else CLEAN
        return record, verdict(outcome, record, now_ms)
    joined, wait_ms = waiting(joined, run, min_run_ms(policy, round_trip_ms), now_ms)
    if wait_ms > 0:
        record = joined._replace(crossed=crossing.reason, crossed_at=crossing.failures)
        record = turned(record, ran, policy, replicas, now_ms)
        return record, replace(verdict(TOO_SOON, record, now_ms), wait_ms=wait_ms)
    if not under_cap(policy, active):
        record = after_overflow(joined, run, crossing, policy.consecutive_5xx, now_ms)
        return record, replace(verdict(OVERFLOW, record, now_ms), reason=crossing.reason)
    record = eject(before, crossing, policy, now_ms)
    return record, verdict(EJECTED, record, now_ms)


def heard(record: Record, replicas: int, now_ms: int) -> Record:
    """Of the witnesses whose time is over, and of whom a run does not make one with what everybody tells."""
    hearing = witnesses.renewed(record.hearing, replicas, now_ms)
    over = record.hearing.by_witnesses and not hearing.by_witnesses
    return (without_run(record) if over else record)._replace(hearing=hearing)


def answered(record: Record, now_ms: int) -> Record:
    """A success has been told."""
    asked = record.hearing.by_witnesses and record.asked_ms
    return record._replace(hearing=witnesses.answered(record.hearing, now_ms)) if asked else record


def turned(record: Record, ran: bool, policy: Policy, replicas: int, now_ms: int) -> Record:
    """Whether that was news for the fleet: `ran`, there was a run of failures before."""
    if not policy.min_run_ms or ran == (record.failures > 0):
        return record
    return record._replace(hearing=witnesses.turned(record.hearing, replicas, now_ms))


def waiting(joined: Record, run: Run, least_ms: int, now_ms: int) -> tuple[Record, int]:
    """The run has reached a threshold: how long until it is old enough, `least_ms` since the fleet was told of it, and
    what is asked."""
    if run.any_success:
        return joined, 0
    if not joined.hearing.by_witnesses:
        return joined, joined.run_since_ms + least_ms - now_ms
    if not joined.asked_ms:
        wait_ms = witnesses.wait_to_ask_ms(joined.hearing, now_ms)
        if wait_ms:
            return joined, wait_ms
        joined = joined._replace(asked_ms=now_ms)
    return joined, joined.asked_ms + least_ms + ANSWERS_MS - now_ms


class Crossing(NamedTuple):
    """A threshold that was reached: which, and the length of the run at that failure; 0: none was."""

    reason: str
    failures: int


NOT_CROSSED = Crossing("", 0)


def min_run_ms(policy: Policy, round_trip_ms: int) -> int:
    """How old a run must be: a success somewhere that was not told, since its worker did not know yet that successes
    matter, has been followed by one that was, if the endpoint goes on to succeed there."""
    return max(policy.min_run_ms, min(2 * round_trip_ms, LONGEST_MIN_RUN_MS)) if policy.min_run_ms else 0


def join(record: Record, run: Run, now_ms: int, by: str) -> Record:
    """The record with the failures up to the run's first success; of gateway errors and of connections, as they are
    after the whole run."""
    ends = run.gateway.any_success
    return record._replace(
        failures=record.failures + run.lead,
        run_since_ms=min(record.run_since_ms, now_ms) or (now_ms if run.lead else 0),  # a clock may be put back
        asked_ms=min(record.asked_ms, now_ms),
        local_failures=record.local_failures + run.lead_local,
        local_reporters=with_reporter(record.local_reporters, by) if run.lead_local else record.local_reporters,
        gateway_failures=after(record.gateway_failures, run.gateway),
        gateway_local_failures=run.gateway.trail_local
        if ends
        else record.gateway_local_failures + run.gateway.lead_local,
        local_origin_failures=after(record.local_origin_failures, run.local_origin),
    )


def after(failures: int, streak: Streak) -> int:
    """A count of failures in a row, after those."""
    return streak.trail if streak.any_success else failures + streak.lead


def count(joined: Record, run: Run, now_ms: int, by: str) -> Record:
    """The record after the whole run, of which `joined` has the part up to the first success."""
    return restart(joined, run.trail, run.trail_local, now_ms, by) if run.any_success else joined


def restart(record: Record, failures: int, local: int, now_ms: int, by: str) -> Record:
    """The record with a run of failures that has just begun."""
    return record._replace(
        failures=failures,
        run_since_ms=now_ms if failures else 0,
        local_failures=local,
        local_reporters=(by,) if local else (),
        crossed="",
        crossed_at=0,
        asked_ms=0,
    )


def with_reporter(reporters: tuple[str, ...], by: str) -> tuple[str, ...]:
    """The reporters with `by` among them."""
    return reporters if by in reporters else (*reporters, by)


def confirmed(record: Record, policy: Policy) -> bool:
    """Whether so many replicas have seen local-origin failures that these count."""
    return len(record.local_reporters) >= policy.local_origin_quorum or policy.local_origin_quorum <= 1


def crossing_of(record: Record, run: Run, policy: Policy, *, confirmed: bool) -> Crossing:
    """The threshold that the run after the failures of `record` reaches. Where one report reaches two, the lower one is
    named, and of equals that of gateway errors, as in Envoy. Not `confirmed`: those of local origin are left out."""
    found = NOT_CROSSED
    lowest = 0
    for row in rows(record, run, policy):
        alone = policy.local_origin_quorum <= 1
        failures = crossed_at(row, with_local=row.with_local and confirmed, inside=row.with_local and alone)
        if row.reason == record.crossed and not run.any_success and record.crossed_at >= row.threshold > 0:
            failures = failures or record.crossed_at  # it was too young then
        if failures and (not lowest or row.threshold < lowest):
            found, lowest = Crossing(row.reason, failures), row.threshold
    return found


class Row(NamedTuple):
    """One of the counters: what it had counted, and what is new to it. `with_local`: failures of local origin count."""

    reason: str
    threshold: int
    failures: int
    local_failures: int
    streak: Streak
    with_local: bool


def rows(record: Record, run: Run, policy: Policy) -> Iterator[Row]:
    """All of them. The last is counted where splitExternalLocalOriginErrors keeps local origin out of the others."""
    split, local = policy.split_local_origin, record.local_origin_failures
    yield Row(
        CONSECUTIVE_GATEWAY_FAILURE,
        policy.consecutive_gateway_failure,
        record.gateway_failures,
        record.gateway_local_failures,
        run.gateway,
        not split,
    )
    yield Row(CONSECUTIVE_5XX, policy.consecutive_5xx, record.failures, record.local_failures, run, not split)
    if split:
        threshold = policy.consecutive_local_origin_failure
        yield Row(CONSECUTIVE_LOCAL_ORIGIN_FAILURE, threshold, local, local, run.local_origin, True)


def crossed_at(row: Row, *, with_local: bool, inside: bool) -> int:
    """Length of the run at the failure that reached the threshold, counting one by one; 0: not reached, or no
    threshold. `with_local`, and `inside` a streak that is over: failures of local origin count."""
    threshold, streak = row.threshold, row.streak
    failures = row.failures if with_local else row.failures - row.local_failures
    lead = streak.lead if with_local else streak.lead - streak.lead_local
    if threshold <= 0:
        return 0
    if (streak.lead or not streak.any_success) and failures + lead >= threshold:
        # more than the threshold if that was lowered meanwhile, or the run was too young before
        return max(threshold, failures + min(1, lead))
    best = streak.best if inside else streak.best_external
    return threshold if best >= threshold else 0


def after_overflow(joined: Record, run: Run, crossing: Crossing, threshold: int, now_ms: int) -> Record:
    """The record when each run that reached the threshold was dropped and all counting began again from 0. What came
    after another threshold than that of 5xx in the same report is dropped with it."""
    left = run.trail if run.any_success else joined.failures - crossing.failures
    left = left % threshold if crossing.reason == CONSECUTIVE_5XX else 0
    return restart(joined, left, 0, now_ms, "")._replace(
        gateway_failures=min(left, joined.gateway_failures),
        gateway_local_failures=0,
        local_origin_failures=min(left, joined.local_origin_failures),
    )


def under_cap(policy: Policy, active: int) -> bool:
    """Whether one more than `active` may be ejected: Envoy's cap in exact integers."""
    return 100 * (active + 1) <= min(100, policy.max_ejection_percent) * policy.endpoints


def next_backoff(record: Record, policy: Policy, now_ms: int) -> int:
    """The multiplier of an ejection now. It falls by one per healthy interval and may overshoot the maximum by one."""
    healthy = max(0, now_ms - record.unejected_at_ms) // max(1, policy.interval_ms)
    backoff = max(0, record.backoff - healthy)
    longest = max(MAX_EJECTION_MS, policy.base_ejection_ms)
    return backoff + 1 if backoff * policy.base_ejection_ms < longest + policy.base_ejection_ms else backoff


def eject(record: Record, crossing: Crossing, policy: Policy, now_ms: int) -> Record:
    """The record ejected at `now_ms` for the time its history and the policy give."""
    backoff = next_backoff(record, policy, now_ms)
    ejection_ms = min(policy.base_ejection_ms * backoff, max(MAX_EJECTION_MS, policy.base_ejection_ms))
    until_ms = now_ms + ejection_ms + (PROBE_AWAITED_MS if policy.probe else 0)
    return without_run(record)._replace(
        generation=record.generation + 1,
        ejections=record.ejections + 1,
        backoff=backoff,
        ejected_until_ms=until_ms,
        ejection_ms=ejection_ms,
        unejected_at_ms=until_ms,
        run=crossing.failures,
        probe_at_ms=now_ms + ejection_ms if policy.probe else 0,
        reason=crossing.reason,
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
    record = eject(back, Crossing(PROBE_FAILED, 1), policy, now_ms)
    return record, verdict(EJECTED, record, now_ms)


def lift(record: Record, now_ms: int) -> Record:
    """The record with its ejection ended before its time."""
    return without_run(record)._replace(ejected_until_ms=0, probe_at_ms=0, unejected_at_ms=now_ms, by_hand=False)


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
        probe_in_ms=max(0, record.probe_at_ms - now_ms) if left_ms and record.probe_at_ms else NO_PROBE,
        reason=record.reason if left_ms else "",
    )
