"""The store of one replica: the rules of `decide` over records that the replica's workers share.

No input or output of its own; the records (the scoreboard) bring the lock and the memory, the caller
the clock. It decides as one Envoy does, whose threads share their counters, whenever there is no Redis to decide for
the fleet.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Protocol

from state.outlier.decide import (
    Crossing,
    Record,
    decide,
    eject,
    identify,
    judge_probe,
    lift,
    settle,
    under_cap,
)
from state.outlier.offers import accept, giving_way
from state.outlier.rates import Finding, Found, Name, Outcomes, RateRule, Window, enforced, judge
from state.outlier.store import (
    BY_HAND,
    CONSECUTIVE_5XX,
    EJECTED,
    NO_PROBE,
    OVERFLOW,
    Batch,
    Claim,
    ClusterView,
    Ejection,
    Glance,
    Policy,
    Verdict,
    View,
    is_by_hand,
)

EPOCH = "local"


class Records(Protocol):
    """Memory for the records of a replica."""

    def locked(self, cluster: str) -> AbstractContextManager[None]:
        """Hold the cluster's lock; the methods below are called while it is held."""

    def load(self, cluster: str, endpoint: str) -> Record:
        """The record of an endpoint, an empty one when there is none."""

    def save(self, cluster: str, endpoint: str, record: Record) -> None:
        """Keep a record; an empty one may be dropped."""

    def active(self, cluster: str, now_ms: int) -> int:
        """How many endpoints of the cluster are ejected at `now_ms`."""

    def all(self, cluster: str) -> Mapping[str, Record]:
        """The records of the cluster by endpoint."""


class LocalStore:
    """A `Store` that knows this replica only; it never raises StoreUnavailable and its version is always 0."""

    def __init__(self, records: Records, clock_ms: Callable[[], int], replicas: int = 1) -> None:
        self._records = records
        self._clock_ms = clock_ms
        self._replicas = replicas
        self._windows: dict[str, Window] = {}

    def report(self, batch: Batch, policy: Policy) -> Verdict:
        """Count a batch and decide."""
        now_ms = self._clock_ms()
        with self._records.locked(batch.cluster):
            record = self._current(batch.cluster, batch.endpoint, batch.workload, now_ms)
            active = self._records.active(batch.cluster, now_ms)
            record, answer = decide(
                record,
                batch.run,
                batch.generation,
                policy,
                active,
                now_ms,
                batch.by,
                batch.round_trip_ms,
                self._replicas,
            )
            self._records.save(batch.cluster, batch.endpoint, record)
        return replace(answer, by=batch.by) if answer.outcome == EJECTED else answer

    def tell_rates(self, cluster: str, told: Outcomes, rule: RateRule, policy: Policy) -> Sequence[Found]:
        """Count, and judge if it is time; see Store. What was told is this object's alone, not in the records."""
        now_ms = self._clock_ms()
        window = self._windows.get(cluster)
        if window is None or window.gone(rule, now_ms):
            window = Window(now_ms, now_ms)
        self._windows[cluster] = window = window.told(told.counts, now_ms)
        if not window.over(rule, now_ms):
            return ()
        with self._records.locked(cluster):
            inside = {
                name: count
                for name, count in window.counts.items()
                if sum(count) and not settle(self._records.load(cluster, name[0]), now_ms).ejected_until_ms
            }
        findings, enough = judge(inside, rule)
        self._windows[cluster] = window.next(now_ms, enough=enough)
        found = (
            self._take_out(cluster, each, policy, now_ms, enforced=enforced(each, rule, told.dice)) for each in findings
        )
        return [each for each in found if each is not None]

    def keep_rates(self, cluster: str, names: Collection[Name]) -> None:
        """Only what was told of these endpoints still says something."""
        window = self._windows.pop(cluster, None)
        if window is not None and names:
            counts = {name: count for name, count in window.counts.items() if name in names}
            self._windows[cluster] = replace(window, counts=counts)

    def _take_out(self, cluster: str, finding: Finding, policy: Policy, now_ms: int, *, enforced: bool) -> Found | None:
        """None: it is out already."""
        endpoint, workload = finding.name
        with self._records.locked(cluster):
            record = self._current(cluster, endpoint, workload, now_ms)
            if record.ejected_until_ms:
                return None
            outcome = "detected" if not enforced else OVERFLOW
            if enforced and under_cap(policy, self._records.active(cluster, now_ms)):
                outcome = EJECTED
                record = eject(record, Crossing(finding.reason, finding.number), policy, now_ms)
                self._records.save(cluster, endpoint, record)
        return Found(endpoint, finding.reason, finding.number, outcome, record.generation)

    def _current(self, cluster: str, endpoint: str, workload: str, now_ms: int) -> Record:
        """The record of `workload` now; saved when its owner changed, so that the cap no longer counts the former
        one."""
        found = self._records.load(cluster, endpoint)
        record = settle(identify(found, workload), now_ms)
        if record != found:
            self._records.save(cluster, endpoint, record)
        return record

    def glance(self, cluster: str, endpoints: Sequence[str], view: View | None = None) -> Glance:
        """Who of `endpoints` is ejected."""
        ejections = self.sync(cluster, endpoints).ejections
        return Glance(0, EPOCH, frozenset(ejection.endpoint for ejection in ejections))

    def sync(
        self,
        cluster: str,
        endpoints: Sequence[str],
        version: int = 0,
        epoch: str = "",
        rule: str = "",
        view: View | None = None,
    ) -> ClusterView:
        """The state of `endpoints`. It loses nothing, so what the caller knew does not matter; nor does its view, since
        nobody else has one."""
        now_ms = self._clock_ms()
        with self._records.locked(cluster):
            records = {endpoint: settle(self._records.load(cluster, endpoint), now_ms) for endpoint in endpoints}
        return ClusterView(
            version=0,
            epoch=EPOCH,
            ejections=tuple(_ejection(name, r, now_ms) for name, r in records.items() if r.ejected_until_ms),
            dirty={name: r.failures for name, r in records.items() if r.failures},
            generations={name: r.generation for name, r in records.items() if r.generation},
        )

    def offer(self, cluster: str, ejection: Ejection, policy: Policy) -> Verdict:
        """Take over an ejection decided elsewhere, under the cap; see Store."""
        now_ms, endpoint = self._clock_ms(), ejection.endpoint
        offered = _record(ejection, now_ms)
        with self._records.locked(cluster):
            record = self._current(cluster, endpoint, ejection.workload, now_ms)
            active = self._records.active(cluster, now_ms)
            record, answer = accept(record, offered, policy, active, now_ms)
            if answer.outcome == OVERFLOW:
                others = self._records.all(cluster)
                leaving = giving_way(offered, others, policy, active, now_ms)
                for name in leaving:
                    self._records.save(cluster, name, lift(others[name], now_ms))
                record, answer = accept(record, offered, policy, active - len(leaving), now_ms)
            self._records.save(cluster, endpoint, record)
        return replace(answer, by=ejection.by) if answer.outcome == EJECTED else answer

    def claim_probe(self, cluster: str, endpoint: str, by: str, lease_ms: int) -> Claim:
        """There is nobody else to ask; see Store."""
        now_ms = self._clock_ms()
        with self._records.locked(cluster):
            record = settle(self._records.load(cluster, endpoint), now_ms)
        wait_ms = max(0, record.probe_at_ms - now_ms)
        return Claim(record.probe_at_ms > 0 and not wait_ms, wait_ms)

    def probed(self, batch: Batch, policy: Policy) -> Verdict:
        """Tell what the probe said; see Store."""
        now_ms = self._clock_ms()
        with self._records.locked(batch.cluster):
            record = self._current(batch.cluster, batch.endpoint, batch.workload, now_ms)
            record, answer = judge_probe(record, batch.run.any_success, batch.generation, policy, now_ms)
            self._records.save(batch.cluster, batch.endpoint, record)
        return replace(answer, by=batch.by) if answer.outcome == EJECTED else answer

    def withdraw(self, cluster: str, ejection: Ejection, by: str) -> None:
        """Nothing: it does not go back."""

    def rule_deleted(self, cluster: str, by: str) -> None:
        """Nothing: it has no stream."""

    def misfits(self, cluster: str, endpoints: Sequence[str]) -> list[str]:
        """None: nobody else writes here."""
        return []

    def forget(self, cluster: str, endpoint: str, workload: str, replica: str) -> None:
        """Drop the record unless another workload has taken the address."""
        with self._records.locked(cluster):
            held_by = self._records.load(cluster, endpoint).workload
            if not (held_by and workload and held_by != workload):
                self._records.save(cluster, endpoint, Record())


def _record(ejection: Ejection, now_ms: int) -> Record:
    until_ms = now_ms + ejection.left_ms
    return Record(
        generation=ejection.generation,
        ejections=ejection.ejections,
        backoff=ejection.backoff,
        ejected_until_ms=until_ms,
        ejection_ms=ejection.ejection_ms,
        unejected_at_ms=until_ms,
        workload=ejection.workload,
        run=ejection.failures,
        probe_at_ms=0 if ejection.probe_in_ms == NO_PROBE else now_ms + ejection.probe_in_ms,
        by_hand=is_by_hand(ejection.reason),
        reason=ejection.reason,
    )


def _ejection(endpoint: str, record: Record, now_ms: int) -> Ejection:
    return Ejection(
        endpoint=endpoint,
        workload=record.workload,
        left_ms=record.ejected_until_ms - now_ms,
        ejection_ms=record.ejection_ms,
        generation=record.generation,
        failures=record.run,
        ejections=record.ejections,
        backoff=record.backoff,
        by="",
        reason=record.reason or (BY_HAND if record.by_hand else CONSECUTIVE_5XX),
        probe_in_ms=max(0, record.probe_at_ms - now_ms) if record.probe_at_ms else NO_PROBE,
    )
