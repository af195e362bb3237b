"""The whole of a worker's part, on a loop of another kind: what it does depends on nothing but what it was handed."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from proxy.fleet import wiring
from proxy.fleet.door import Fleet
from proxy.scoreboard.scoreboard import Scoreboard
from state.errors import StoreUnavailable
from tests.unit.fleet.fleet_fakes import NAME, FakeStore, Silence, board, body, ejection, links_of, verdict
from tests.unit.fleet.step_loop import StepLoop

FIRST = "10.0.0.0:80"


class SteppedSilence(Silence):
    def __init__(self, loop: StepLoop) -> None:
        self._loop = loop

    def next(self, timeout: float) -> None:
        self._loop.sleep(timeout)


class SteppedStore(FakeStore):
    """Whose news never come, on that loop."""

    def __init__(self, loop: StepLoop) -> None:
        super().__init__()
        self._loop = loop

    def subscribe(self, clusters: object) -> Silence:
        return SteppedSilence(self._loop)


class Worker:
    def __init__(self, made: Scoreboard) -> None:
        self.board, self.loop, self.lines = made, StepLoop(), list[str]()
        self.store = SteppedStore(self.loop)
        desk = wiring.desk(made, 0, "a", self.loop, lambda notice: self.lines.append(notice.text.split()[0]))
        self.fleet = Fleet(desk, links_of(self.store))
        self.body = body(made)
        self.slot = self.body["endpoints"][0]["slot"]
        self.fleet.apply(True, [self.body], [])
        self.fleet.start()
        self.loop.run(0.1)

    def fail(self, count: int) -> None:
        for _ in range(count):
            self.loop.spawn(self.fleet.attempt_failed, NAME, self.slot, 0, 503, "id")

    def stands(self) -> tuple[bool, bool, bool]:
        """Whether it is out, held, and the fleet's."""
        state = self.board.outlier.state(self.slot)
        return state.ejected_until_ms > self.loop.now_ms(), state.held, state.shared


@pytest.fixture
def worker() -> Iterator[Worker]:
    with board() as made:
        yield Worker(made)


def test_it_reconciles_and_leads(worker: Worker) -> None:
    assert (worker.board.reconciled, worker.board.shared_state, worker.store.syncs) == (True, True, 1)
    looks = worker.store.looks
    worker.loop.run(3.5)
    assert worker.store.looks == looks + 3, "every interval"


def test_the_fleets_word_is_taken(worker: Worker) -> None:
    worker.store.answers = [verdict("counted", 2), verdict("ejected", 3, 1, 30_000)]
    worker.fail(2)
    worker.loop.run(0.01)
    worker.fail(1)
    worker.loop.run(0.01)
    assert (worker.stands(), worker.lines) == ((True, False, True), ["ejecting"])
    worker.store.view = replace(worker.store.view, ejections=(ejection(FIRST),), generations={FIRST: 1})
    worker.loop.run(29.9)
    assert worker.lines == ["ejecting"]


def slow(worker: Worker, seconds: float) -> Callable[[], None]:
    return lambda: worker.loop.sleep(seconds)


def test_a_store_that_does_not_answer_in_time(worker: Worker) -> None:
    worker.store.meanwhile = slow(worker, 0.2)
    worker.fail(3)
    worker.loop.run(0.049)
    assert (worker.stands(), worker.lines) == ((True, True, False), [])
    worker.loop.run(0.002)
    assert (worker.stands(), worker.lines) == ((True, False, False), ["ejecting"])
    assert not worker.board.shared_state


def test_the_same_steps_are_the_same_story() -> None:
    def story() -> list[object]:
        with board() as made:
            worker = Worker(made)
            worker.store.answers = [verdict("counted", 1), StoreUnavailable("redis: away"), verdict("counted", 1)] * 3
            told: list[object] = []
            for _ in range(40):
                worker.fail(1)
                worker.loop.run(0.05)
                told.append((worker.stands(), len(worker.store.batches), tuple(worker.lines)))
            return told

    assert story() == story()


def test_who_looks_now_and_then_wakes_up_with_the_others() -> None:
    loop, times = StepLoop(), list[int]()

    def look(after_ms: int, every_ms: int) -> None:
        loop.sleep(after_ms / 1000)
        for _ in range(4):
            loop.sleep(loop.together(every_ms / 1000))
            times.append(loop.now_ms() - began_ms)

    began_ms = loop.now_ms()
    loop.spawn(look, 0, 250)
    loop.spawn(look, 70, 250)
    loop.spawn(look, 111, 500)
    loop.run(3)
    assert sorted(set(times)) == [250, 500, 750, 1000, 1500, 2000]


def test_a_short_while_is_that_long() -> None:
    assert StepLoop().together(0.1) == 0.1


def test_who_was_woken_a_little_early_does_not_wake_again_at_once() -> None:
    loop = StepLoop()
    loop.run(0.249)
    assert round(loop.together(0.25), 3) == 0.251


def test_a_failure_wakes_up_what_looks_after_connections(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    warmed = list[int]()

    def warm() -> bool:
        warmed.append(worker.loop.now_ms())
        return True

    monkeypatch.setattr(worker.fleet.reporter, "warm", warm)
    worker.loop.run(20.01 - worker.loop.now_ms() % 250 / 1000)
    assert worker.board.leave_shared_state("for a moment")
    worker.board.shared_state = True
    worker.loop.run(0.2)
    assert warmed == []
    worker.fail(1)
    worker.loop.run(0.001)
    assert warmed == [worker.loop.now_ms() - 1]
