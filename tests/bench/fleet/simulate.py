"""How much a fleet asks of Redis for one cluster whose endpoints flap: a simulation, no process and no clock.

Redis decides by the very rules (state/outlier/decide.py). The replicas follow those of proxy/fleet, with one worker
each: every failure is reported, a success while a run is known to be open; what comes within a millisecond is one
report; while the cap is full nobody reports; where only witnesses tell, the others keep to themselves what is no run of
their own, and answer when they are asked.
"""

import heapq
import itertools
import random
from collections import Counter
from dataclasses import dataclass, field
from math import log
from typing import Any

from proxy.fleet.witnesses import GATHER_MS, OWN_RUNS
from state.constants import ANSWERS_MS, WITNESSES
from state.outlier.decide import Record, decide
from state.outlier.run import FAILURE, SUCCESS, Run
from state.outlier.store import MIN_RUN_MS, OVERFLOW, TOO_SOON, Policy

EJECTION_MS = 30_000
APART = 0.001


@dataclass(frozen=True)
class Cluster:
    """One cluster of a fleet. Requests come at random, spread evenly; `one_way` is the network to Redis, in seconds.
    `dies_at`: from then on the first endpoint answers nothing well."""

    replicas: int
    requests_per_second: float  # of one replica
    failing: float = 0.3
    endpoints: int = 3
    max_ejection_percent: int = 50
    one_way: float = 0.0005
    dies_at: float = 1e9


@dataclass
class _Endpoint:
    number: int
    record: Record = field(default_factory=Record)
    known: bool = False  # the replicas have heard of a run
    asked: bool = False  # and of a question
    witnesses: frozenset[int] | None = None  # as they have heard
    runs: dict[int, list[float]] = field(default_factory=dict)  # of replicas that keep to themselves: failures since
    succeeded: dict[int, float] = field(default_factory=dict)  # when, last, by replica
    run_began: float = 0.0  # of the record's
    last_success: float = -1.0


class Simulation:
    """One run. `counts`: requests, reports, events, deliveries, ejections, false ones, errors since it died."""

    def __init__(self, cluster: Cluster, seed: int = 1) -> None:
        self._cluster = cluster
        self._random = random.Random(seed)
        self._endpoints = [_Endpoint(number) for number in range(cluster.endpoints)]
        self._waiting: dict[tuple[int, int], list[tuple[float, bool]]] = {}  # replica, endpoint -> outcomes
        self._full_until = 0.0
        self._events: list[tuple[float, int, Any, tuple[Any, ...]]] = []
        self._order = itertools.count()
        self._now = 0.0
        self.counts: Counter[str] = Counter()
        self.policy = Policy(3, 10_000, EJECTION_MS, cluster.max_ejection_percent, cluster.endpoints, MIN_RUN_MS)

    def run(self, seconds: float) -> Counter[str]:
        """Counts of so much simulated time, from the moment the endpoints begin to flap."""
        self._after(0.0, self._request)
        while self._events[0][0] < seconds:
            self._now, _, act, arguments = heapq.heappop(self._events)
            act(*arguments)
        return self.counts

    def _after(self, seconds: float, act: Any, *arguments: Any) -> None:
        heapq.heappush(self._events, (self._now + seconds, next(self._order), act, arguments))

    @property
    def _now_ms(self) -> int:
        return int(1000 * self._now)

    def _is_out(self, endpoint: _Endpoint) -> bool:
        return endpoint.record.ejected_until_ms > self._now_ms

    # -- replicas -----------------------------------------------------------------------------------------------------

    def _request(self) -> None:
        rate = self._cluster.replicas * self._cluster.requests_per_second
        self._after(self._random.expovariate(rate), self._request)
        self.counts["requests"] += 1
        inside = [each for each in self._endpoints if not self._is_out(each)]
        endpoint, replica = self._random.choice(inside), self._random.randrange(self._cluster.replicas)
        dead = endpoint.number == 0 and self._now >= self._cluster.dies_at
        self.counts["errors"] += dead
        self._outcome(endpoint, replica, dead or self._random.random() < self._cluster.failing)

    def _outcome(self, endpoint: _Endpoint, replica: int, failed: bool) -> None:
        if not failed:
            endpoint.succeeded[replica] = endpoint.last_success = self._now
        if self._now < self._full_until:
            return
        if endpoint.witnesses is None or endpoint.asked:
            if failed or endpoint.known or (replica, endpoint.number) in self._waiting:
                self._add(replica, endpoint, self._now, failed)
        elif replica in endpoint.witnesses:
            self._add(replica, endpoint, self._now, failed, 0 if failed else GATHER_MS / 1000)
        else:
            self._keep(endpoint, replica, failed)

    def _keep(self, endpoint: _Endpoint, replica: int, failed: bool) -> None:
        run = endpoint.runs.setdefault(replica, [])
        run[:] = [*run, self._now] if failed else []
        if len(run) == OWN_RUNS * self.policy.consecutive_5xx:
            for since in run:
                self._add(replica, endpoint, since, failed=True)
            run.clear()

    def _add(self, replica: int, endpoint: _Endpoint, at: float, failed: bool, gather: float = 0.0) -> None:
        key = replica, endpoint.number
        if key in self._waiting:
            self._waiting[key].append((at, failed))
            return
        self._waiting[key] = [(at, failed)]
        self._after(gather or APART * self._random.random(), self._send, key)

    def _send(self, key: tuple[int, int]) -> None:
        outcomes = self._waiting.pop(key, [])
        if self._now >= self._full_until:
            self._after(self._cluster.one_way, self._decide, self._endpoints[key[1]], outcomes)

    # -- Redis --------------------------------------------------------------------------------------------------------

    def _decide(self, endpoint: _Endpoint, outcomes: list[tuple[float, bool]]) -> None:
        """What report.lua does."""
        before, run = endpoint.record, Run()
        for _, failed in outcomes:
            run = run.combine(FAILURE if failed else SUCCESS)
        active = sum(self._is_out(each) for each in self._endpoints if each is not endpoint)
        trip_ms, replicas = int(2000 * self._cluster.one_way), self._cluster.replicas
        record, verdict = decide(
            before, run, before.generation, self.policy, active, self._now_ms, "", trip_ms, replicas
        )
        endpoint.record = record
        if record.failures and (not before.failures or run.any_success):
            endpoint.run_began = min((at for at, failed in outcomes[-run.trail :] if failed), default=self._now)
        self.counts["reports"] += 1
        if verdict.outcome == TOO_SOON:
            self._after(verdict.wait_ms / 1000, self._decide, endpoint, [])
        if verdict.outcome == OVERFLOW:
            self._full(endpoint)
        elif record.generation > before.generation:
            self._ejected(endpoint)
        self._tell(endpoint, before, record)

    def _ejected(self, endpoint: _Endpoint) -> None:
        self.counts["ejections"] += 1
        self.counts["false"] += endpoint.run_began < endpoint.last_success < self._now - 2 * self._cluster.one_way
        self._publish(self._learn, endpoint, False)

    def _full(self, endpoint: _Endpoint) -> None:
        ends = [each.record.ejected_until_ms / 1000 for each in self._endpoints if self._is_out(each)]
        self._publish(setattr, self, "_full_until", min(ends, default=self._now + 1))

    def _tell(self, endpoint: _Endpoint, before: Record, record: Record) -> None:
        if record.hearing.until_ms > before.hearing.until_ms:
            everybody = range(self._cluster.replicas)
            called = frozenset(self._random.sample(everybody, min(WITNESSES, len(everybody))))
            self._publish(setattr, endpoint, "witnesses", called)
        elif before.hearing.by_witnesses and not record.hearing.by_witnesses:
            endpoint.witnesses = None
        if record.told and not before.told:
            self._publish(self._ask, endpoint, endpoint.run_began)
        elif before.told and not record.told and record.generation == before.generation:
            self._publish(self._learn, endpoint, False)

    def _publish(self, act: Any, *arguments: Any) -> None:
        self.counts["events"] += 1
        self.counts["deliveries"] += self._cluster.replicas
        self._after(self._cluster.one_way, act, *arguments)

    def _learn(self, endpoint: _Endpoint, known: bool) -> None:
        endpoint.known = endpoint.asked = known

    def _ask(self, endpoint: _Endpoint, since: float) -> None:
        """A run has begun, or (by witnesses) is as long as the threshold: who has seen a success since?"""
        self._learn(endpoint, True)
        for replica, at in endpoint.succeeded.items():
            if at < since:
                continue
            late = 0.0
            if endpoint.witnesses is not None:
                late = max(0.0, 1 + log(self._random.random()) / log(self._cluster.replicas)) * ANSWERS_MS / 1000
            self._after(late, self._answer, endpoint, replica)

    def _answer(self, endpoint: _Endpoint, replica: int) -> None:
        if endpoint.known:
            self.counts["answers"] += 1
            self._after(self._cluster.one_way, self._decide, endpoint, [(self._now, False)])
