"""Endpoints and how they behave; requests, and how they end."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random

from greenlet import greenlet  # type: ignore[import-untyped]

from tests.fleet.simulator.replica import NAME, Worker
from tests.fleet.simulator.world import MS, World


@dataclass(slots=True)
class Attempt:
    """One try of a request: when it was sent, and when its worker knew how it had ended."""

    address: str
    replica: str
    begun_ns: int
    ended_ns: int
    success: bool
    generation: int
    counts: bool = True  # False: it tried an endpoint that was out, or nobody counts there
    status: int = 200
    room: bool = False  # a failure: the cap has had room for this endpoint for a while


@dataclass(slots=True)
class Pod:
    """Who answers at an address. `behaves` says of its next answer: 200, another status, or 0 for none."""

    address: str
    workload: str
    behaves: Callable[["Pod"], int]
    latency_ms: float
    answers: int = 0

    def answer(self) -> int:
        self.answers += 1
        return self.behaves(self)


def healthy(pod: Pod) -> int:
    return 200


def dead(pod: Pod) -> int:
    return 503


def refusing(pod: Pod) -> int:
    return 0


def every(count: int, status: int = 503) -> Callable[[Pod], int]:
    """Fails exactly every so many times."""
    return lambda pod: status if pod.answers % count == 0 else 200


def sometimes(rng: Random, share: float, status: int = 503) -> Callable[[Pod], int]:
    """Fails by chance."""
    return lambda pod: status if rng.random() < share else 200


class Traffic:
    """Requests to all workers there are. `pods` by address; `unreachable` are (replica, address)."""

    def __init__(self, world: World, pods: dict[str, Pod]) -> None:
        self._world = world
        self.pods = pods
        self.unreachable: set[tuple[str, str]] = set()
        self.attempts: list[Attempt] = []
        self.requests = 0
        self.ended: Callable[[Attempt], object] = lambda attempt: None

    def send(self, worker: Worker) -> None:
        """One request."""
        self._world.at(0, partial(self._begin, worker), worker)

    def _begin(self, worker: Worker) -> None:
        """Only what may wait does so in a greenlet; the request itself goes from one appointment to the next."""
        self.requests += 1
        found = self._choose(worker)
        if found is None:
            return
        slot, address, out = found
        generation = worker.board.outlier.state(slot).generation
        attempt = Attempt(address, worker.replica.name, self._world.now_ns, 0, True, generation, not out)
        pod = self.pods.get(address)
        latency_ms = (pod.latency_ms if pod else 1.0) * (0.5 + self._world.rng.random())
        half_ns = latency_ms / 2000 * 1e9
        self._world.at(half_ns, partial(self._reach, worker, slot, attempt, half_ns), worker)

    def _reach(self, worker: Worker, slot: int, attempt: Attempt, half_ns: float) -> None:
        pod = self.pods.get(attempt.address)
        reached = pod is not None and (worker.replica.name, attempt.address) not in self.unreachable
        attempt.status = pod.answer() if pod and reached else 0
        self._world.at(half_ns, partial(self._end, worker, slot, attempt), worker)

    def _end(self, worker: Worker, slot: int, attempt: Attempt) -> None:
        attempt.success, attempt.ended_ns = attempt.status == 200, self._world.now_ns
        served = (slot, attempt.address) in worker.endpoints
        known = served and worker.board.outlier.state(slot).generation == attempt.generation
        attempt.counts = attempt.counts and known
        self.attempts.append(attempt)
        self.ended(attempt)
        if served:  # else its row may be another's by now; the door says the same
            self._tell(worker, slot, attempt)

    def _tell(self, worker: Worker, slot: int, attempt: Attempt) -> None:
        """As relay/exchange/attempt.pyx does."""
        worker.board.endpoints.note_outcome(slot, attempt.success)
        if not attempt.success:
            if self._world.talks:
                text = f"{attempt.address} fails: {attempt.status} in generation {attempt.generation}"
                self._world.tell(f"{worker.name}: {text}")
            greenlet(self._fail, self._world.hub).switch(worker, slot, attempt)
        elif worker.board.outlier.note_success(slot):
            succeeded = worker.fleet.attempt_succeeded
            greenlet(succeeded, self._world.hub).switch(NAME, slot, attempt.generation)

    def _fail(self, worker: Worker, slot: int, attempt: Attempt) -> None:
        report = worker.fleet.attempt_failed(NAME, slot, attempt.generation, attempt.status, f"id{self.requests}")
        worker.fleet.before_answer(report)

    def _choose(self, worker: Worker) -> tuple[int, str, bool] | None:
        """As relay/endpoints/chooser.pyx does: whoever is in, in turn; and one that is offered to a probe."""
        board, now_ms, count = worker.board, worker.replica.now_ms, len(worker.endpoints)
        for _ in range(count):
            worker.replica.cursor += 1
            slot, address = worker.endpoints[worker.replica.cursor % count]
            if board.outlier.state(slot).ejected_until_ms <= now_ms:
                return slot, address, False
            if board.probes.take(slot):
                return slot, address, True
        return None


def steady(world: World, per_second: float, send: Callable[[], None], until: Callable[[], bool]) -> None:
    """So many a second, by chance, until it is time to stop."""

    def one() -> None:
        if until():
            return
        send()
        world.at(world.rng.expovariate(per_second) * 1000 * MS, one)

    one()
