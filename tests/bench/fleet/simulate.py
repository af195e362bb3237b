"""How much a fleet asks of Redis for one cluster whose endpoints all flap: a simulation, no process and no clock.

It follows the rules of proxy/fleet: every failure is reported, a success only while a run is known to be open; a worker
has one report on its way at a time and sums up meanwhile; after an overflow it leaves the endpoint alone for a second.
"""

import heapq
import itertools
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

THRESHOLD = 3
EJECTION_SECONDS = 30.0
OVERFLOW_SECONDS = 1.0


@dataclass(frozen=True)
class Cluster:
    """One cluster of a fleet. Requests come at random, spread evenly; `one_way` is the network to Redis, in seconds."""

    replicas: int
    requests_per_second: float  # of one replica
    failing: float = 0.3
    endpoints: int = 3
    max_ejection_percent: int = 50
    one_way: float = 0.0005


@dataclass
class _Endpoint:
    failures: int = 0  # as Redis counts
    until: float = 0.0  # ejected
    known: bool = False  # a run is open, and the replicas have heard of it


@dataclass
class _Replica:
    waiting: dict[int, list[bool]] = field(default_factory=dict)  # endpoint -> outcomes not reported yet, True: failure
    paused: dict[int, float] = field(default_factory=dict)
    on_its_way: bool = False


class Simulation:
    """One run. `counts` of failures and turns (reports that published nothing, and something), events, requests."""

    def __init__(self, cluster: Cluster, seed: int = 1) -> None:
        self._cluster = cluster
        self._random = random.Random(seed)
        self._endpoints = [_Endpoint() for _ in range(cluster.endpoints)]
        self._replicas = [_Replica() for _ in range(cluster.replicas)]
        self._events: list[tuple[float, int, Any, tuple[Any, ...]]] = []
        self._order = itertools.count()
        self._now = 0.0
        self.counts: Counter[str] = Counter()

    def run(self, seconds: float) -> Counter[str]:
        """Counts of so much simulated time, from the moment the endpoints begin to flap."""
        self._after(0.0, self._request)
        while self._events[0][0] < seconds:
            self._now, _, act, arguments = heapq.heappop(self._events)
            act(*arguments)
        return self.counts

    def _after(self, seconds: float, act: Any, *arguments: Any) -> None:
        heapq.heappush(self._events, (self._now + seconds, next(self._order), act, arguments))

    def _request(self) -> None:
        rate = self._cluster.replicas * self._cluster.requests_per_second
        self._after(self._random.expovariate(rate), self._request)
        self.counts["requests"] += 1
        number = self._random.choice([n for n, each in enumerate(self._endpoints) if each.until <= self._now])
        replica, failed = self._random.choice(self._replicas), self._random.random() < self._cluster.failing
        if failed or self._endpoints[number].known or number in replica.waiting:
            replica.waiting.setdefault(number, []).append(failed)
            self._send(replica)

    def _send(self, replica: _Replica) -> None:
        due = [number for number in replica.waiting if replica.paused.get(number, 0.0) <= self._now]
        if replica.on_its_way or not due:
            return
        replica.on_its_way = True
        self._after(self._cluster.one_way, self._decide, replica, due[0], replica.waiting.pop(due[0]))

    def _decide(self, replica: _Replica, number: int, outcomes: list[bool]) -> None:
        """What report.lua does."""
        endpoint = self._endpoints[number]
        before, crossed = endpoint.failures, False
        if endpoint.until <= self._now:
            for failed in outcomes:
                endpoint.failures = endpoint.failures + 1 if failed else 0
                crossed = crossed or endpoint.failures >= THRESHOLD
        ejected = crossed and self._room()
        if crossed:
            endpoint.failures = 0
        if ejected:
            endpoint.until = self._now + EJECTION_SECONDS
        elif crossed:
            replica.paused[number] = self._now + self._cluster.one_way + OVERFLOW_SECONDS
            self._after(self._cluster.one_way + OVERFLOW_SECONDS, self._send, replica)
        self._tell(endpoint, told=ejected or (before > 0) != (endpoint.failures > 0))
        self._after(self._cluster.one_way, self._answered, replica)

    def _room(self) -> bool:
        active = sum(each.until > self._now for each in self._endpoints)
        return 100 * (active + 1) <= self._cluster.max_ejection_percent * len(self._endpoints)

    def _tell(self, endpoint: _Endpoint, told: bool) -> None:
        self.counts["turns" if told else "failures"] += 1
        if told:
            self._after(self._cluster.one_way, setattr, endpoint, "known", endpoint.failures > 0)

    def _answered(self, replica: _Replica) -> None:
        replica.on_its_way = False
        self._send(replica)
