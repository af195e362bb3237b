"""Without Redis the workers of a replica decide as one Envoy, whose threads share their counters."""

from collections.abc import Iterator
from typing import Any

import gevent
import pytest

from proxy.fleet import wiring
from proxy.fleet.door import Fleet
from proxy.scoreboard.clusters import ClusterLocked
from proxy.scoreboard.scoreboard import Scoreboard
from state.errors import KeysUnusable
from state.outlier.local_store import LocalStore
from tests.unit.fleet.fleet_fakes import NAME, FakeLoop, FakeStore, board, body, known, links_of, reporting


class Replica:
    """Two workers of one replica; `now` is their clock."""

    def __init__(self, made: Scoreboard, count: int = 4, **rule: int) -> None:
        self.board, self.store, self.loop = made, FakeStore(), FakeLoop()
        self.loop.pass_time(0)
        self.lines: list[str] = []
        made.workers.start(1, 2)
        self.body = body(made, count, **rule)
        desks = [wiring.desk(made, n, "a", self.loop, lambda notice: self.lines.append(notice.text)) for n in (0, 1)]
        self.workers = [Fleet(desk, links_of(self.store)) for desk in desks]
        for worker in self.workers:
            worker.apply(True, [self.body], [])

    @property
    def now(self) -> int:
        return self.loop.now_ms()

    def state(self, which: int) -> Any:
        return self.board.outlier.state(self.body["endpoints"][which]["slot"])

    def outcomes(self, text: str, which: int = 0) -> None:
        """F fails and S succeeds, on the two workers in turn; successes count while the endpoint is dirty."""
        slot = self.body["endpoints"][which]["slot"]
        for number, letter in enumerate(text):
            worker, state = self.workers[number % 2], self.state(which)
            if letter == "F":
                worker.attempt_failed(NAME, slot, state.generation, 503, "id")
            elif state.dirty:
                worker.attempt_succeeded(NAME, slot, state.generation)

    def out(self) -> list[int]:
        return [n for n in range(len(self.body["endpoints"])) if self.state(n).ejected_until_ms > self.now]


@pytest.fixture
def replica() -> Iterator[Replica]:
    with board() as made:
        yield Replica(made)


def test_workers_count_together_and_a_success_anywhere_ends_the_run(replica: Replica) -> None:
    replica.outcomes("FFSFFSFF")
    assert replica.out() == []
    assert (replica.state(0).failures, replica.state(0).dirty) == (2, True)
    replica.outcomes("S")
    assert (replica.state(0).failures, replica.state(0).dirty) == (0, False)
    replica.outcomes("FFF")
    assert replica.out() == [0]
    gevent.sleep(0.01)
    assert len(replica.lines) == 1


def test_the_cap_is_the_replicas(replica: Replica) -> None:
    for which in (0, 1, 2):
        replica.outcomes("FFF", which)
    assert replica.out() == [0, 1]
    assert replica.state(2).failures == 0, "counted from the beginning"


def test_what_the_fleet_has_out_takes_its_place_under_the_cap(replica: Replica) -> None:
    desk = replica.workers[0].desk
    cluster = desk.clusters[NAME]
    for which in (0, 1):
        endpoint = cluster.endpoints[f"10.0.0.{which}:80"]
        desk.ejections.confirm(cluster, endpoint, known(), replica.now, replica.now)
    replica.outcomes("FFF", 2)
    assert replica.out() == [0, 1]


def test_each_ejection_is_longer_until_intervals_go_well(replica: Replica) -> None:
    begun = []
    for wait in (30_001, 60_001, 91_000):  # the third time an interval of a second has gone well
        replica.outcomes("FFF")
        begun.append(replica.state(0).ejection_ms)
        replica.loop.pass_time(wait)
    replica.outcomes("FFF")
    assert [*begun, replica.state(0).ejection_ms] == [30_000, 60_000, 90_000, 90_000]
    assert replica.state(0).generation == 4


def test_old_evidence_does_not_count(replica: Replica) -> None:
    slot = replica.body["endpoints"][0]["slot"]
    replica.outcomes("FFF")
    replica.loop.pass_time(30_001)
    for _ in range(5):
        replica.workers[1].attempt_failed(NAME, slot, 0, 503, "id")
    assert replica.out() == []
    assert replica.store.batches == [], "nothing is kept for a Redis that is away"


def test_one_cluster_alone(replica: Replica) -> None:
    """Its keys are of no use: it is decided here, while the replica is the fleet's."""
    replica.board.shared_state = True
    replica.workers[0].reporter.warm()
    replica.store.batches.clear()
    replica.store.answers = [KeysUnusable("redis: WRONGTYPE")]
    sender = reporting(replica.workers[0].reporter)
    replica.outcomes("F")
    gevent.sleep(0.01)
    assert replica.board.clusters.alone(replica.body["slot"])
    assert replica.board.shared_state
    replica.outcomes("FF")
    gevent.sleep(0.01)
    sender.kill()
    assert replica.out() == [0]
    assert len(replica.store.batches) == 1
    assert len(replica.lines) == 1, "it stands at once"


def test_a_lock_that_is_not_given_back_costs_an_outcome(
    replica: Replica, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def locked(*_: Any) -> None:
        raise ClusterLocked("is it stopped?")

    monkeypatch.setattr(LocalStore, "report", locked)
    replica.outcomes("FSF")
    assert (replica.state(0).failures, len(caplog.messages)) == (0, 1)
