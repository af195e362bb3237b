"""Which workers are an endpoint's witnesses, and what the others keep to themselves."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import pytest

from proxy.fleet import witnesses
from proxy.fleet.clusters import Endpoint
from proxy.fleet.desk import Desk
from proxy.fleet.door import Fleet
from proxy.fleet.outbox import Pending
from proxy.scoreboard.scoreboard import Scoreboard
from proxy.scoreboard.views import OutlierState
from state.constants import ANSWERS_MS, WITNESSES
from state.outlier.events import parse
from tests.rig import wait_until
from tests.unit.fleet.fleet_fakes import NAME, FakeLoop, FakeStore, a_cluster, board, desk_of, links_of


@pytest.mark.parametrize(("replicas", "workers"), [(8, 4), (40, 1), (300, 2), (1000, 4)])
def test_as_many_workers_are_witnesses_as_there_shall_be(replicas: int, workers: int) -> None:
    def count(number: int) -> int:
        return sum(
            witnesses.is_one(f"replica-{replica}", worker, workers, number, replicas)
            for replica in range(replicas)
            for worker in range(workers)
        )

    counts = [count(number) for number in range(1_700_000_000_000, 1_700_000_200_000, 10_000)]
    assert WITNESSES * 0.7 < sum(counts) / len(counts) < WITNESSES * 1.3
    assert len(set(counts)) > 1, "others each time"


def test_where_there_are_few_workers_all_are() -> None:
    assert all(witnesses.is_one(f"r{each}", 0, 1, 7, 8) for each in range(8))


FAR = 10**9  # of so many replicas: this one has no witness among its workers


@dataclass
class Setting:
    """A worker and an endpoint of which only witnesses tell."""

    board: Scoreboard
    desk: Desk
    fleet: Fleet
    endpoint: Endpoint

    def called(self, of: int) -> None:
        told = f"witnesses endpoint={self.endpoint.address} workload= version=0 left_ms=0 ejection_ms=0 generation=0 "
        told += f"failures=0 ejections=0 backoff=0 probe_in_ms=-1 by= reason= witnesses=17 of={of}"
        event = parse(NAME, told)
        assert event is not None
        witnesses.begin(self.desk, self.desk.clusters[NAME], self.endpoint, event)

    def fail(self) -> Pending | None:
        return self.fleet.attempt_failed(NAME, self.endpoint.slot, 0, 503, "id")

    def succeed(self) -> None:
        if self.board.outlier.note_success(self.endpoint.slot):
            self.fleet.attempt_succeeded(NAME, self.endpoint.slot, 0)

    @property
    def state(self) -> OutlierState:
        return self.board.outlier.state(self.endpoint.slot)

    @property
    def untold(self) -> bool:
        return not self.desk.outbox.waiting(self.endpoint)


@pytest.fixture
def setting() -> Iterator[Setting]:
    with board() as made:
        made.shared_state = True
        cluster = a_cluster(made)
        desk, _ = desk_of(made, cluster)
        yield Setting(made, desk, Fleet(desk, links_of(FakeStore())), next(iter(cluster.endpoints.values())))


def test_who_is_none_tells_of_nothing_but_a_whole_run_of_its_replica(setting: Setting) -> None:
    setting.called(FAR)
    for _ in range(5):
        assert setting.fail() is None
    assert setting.untold
    report = setting.fail()
    assert report is not None
    assert report.run.lead == 6
    assert report.begun_ns <= setting.board.outlier.run_began_ms(setting.endpoint.slot) * 1_000_000
    assert setting.board.outlier.state(setting.endpoint.slot).held


def test_its_own_success_ends_the_run_it_keeps_to_itself(setting: Setting) -> None:
    setting.called(FAR)
    setting.fail()
    setting.fail()
    setting.succeed()
    assert setting.state.failures == 0

    def forgotten() -> bool:
        setting.succeed()  # one in the very millisecond of a failure leaves it to the next
        return not setting.state.dirty

    assert wait_until(forgotten)
    assert setting.fail() is None
    assert setting.untold


def test_while_the_fleet_is_asked_everybody_tells(setting: Setting) -> None:
    setting.called(FAR)
    setting.board.outlier.set_asked(setting.endpoint.slot, True)
    assert setting.fail() is not None
    setting.board.outlier.set_asked(setting.endpoint.slot, False)
    assert setting.fail() is None


def test_a_witness_tells_of_successes_too_and_gathers_them(setting: Setting) -> None:
    setting.succeed()
    assert setting.untold, "of a clean endpoint nobody tells"
    setting.called(1)
    now_ms = setting.desk.loop.now_ms()
    setting.succeed()
    setting.succeed()
    entry = setting.fail()
    assert entry is not None
    assert entry.not_before_ms == 0, "what has a failure in it leaves at once"
    assert (entry.run.any_success, entry.run.trail) == (True, 1)
    setting.desk.outbox.clear()
    setting.succeed()
    (entry,) = setting.desk.outbox._entries.values()
    assert now_ms < entry.not_before_ms <= setting.desk.loop.now_ms() + witnesses.GATHER_MS


def test_their_time_ends_by_itself(setting: Setting) -> None:
    setting.called(FAR)
    setting.board.outlier.set_witnesses(setting.endpoint.slot, setting.desk.loop.now_ms(), 17, FAR, False)
    assert setting.fail() is not None


def test_of_all_that_could_answer_one_in_the_mean_does_so_at_once(setting: Setting) -> None:
    slot, said = setting.endpoint.slot, list[float]()
    loop = setting.desk.loop
    assert isinstance(loop, FakeLoop)
    dice, delays = Random(1), list[float]()
    loop.spawn_later = lambda seconds, work, *given: delays.append(seconds)  # type: ignore[method-assign]
    for _ in range(3000):
        loop.luck = dice.random()
        witnesses.answer(setting.desk, setting.endpoint, 300, lambda: said.append(0.0))
    assert setting.board.outlier.is_asked(slot) is False
    assert 1 <= sum(delay == 0 for delay in delays) <= 30
    assert max(delays) <= ANSWERS_MS / 1000
    assert said == []
