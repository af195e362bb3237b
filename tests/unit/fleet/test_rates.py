"""What a replica tells of how often requests succeed, and what it judges by itself."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from proxy.fleet.clusters import Cluster
from proxy.fleet.desk import Desk
from proxy.fleet.rates import Rates
from proxy.mesh.traffic.outlier import SuccessRate
from proxy.scoreboard.scoreboard import Scoreboard
from state.outlier.rates import Count
from tests.unit.fleet.fleet_fakes import FakeLoop, FakeStore, Told, a_cluster, board, desk_of

INTERVAL_MS = 1000


@dataclass
class Setting:
    board: Scoreboard
    cluster: Cluster
    desk: Desk
    told: Told
    store: FakeStore
    loop: FakeLoop
    rates: Rates

    def outcomes(self, position: int, well: int, badly: int = 0) -> None:
        for success in [True] * well + [False] * badly:
            self.board.endpoints.note_outcome(self.cluster.slots[position], success)

    def due(self, *, shared: bool) -> bool:
        return [*self.rates.due(shared=shared)] == [self.cluster]


@pytest.fixture
def setting() -> Iterator[Setting]:
    with board() as made:
        asked = SuccessRate(minimum_hosts=5, request_volume=20)
        cluster = a_cluster(made, 6, success_rate=asked, max_ejection_percent=50)
        loop, store = FakeLoop(1_000_000), FakeStore()
        desk, told = desk_of(made, cluster, loop)
        made.shared_state = True
        yield Setting(made, cluster, desk, told, store, loop, Rates(desk, store))


def test_what_has_come_since_is_told_four_times_in_an_interval(setting: Setting) -> None:
    assert setting.due(shared=True)
    assert setting.rates.until_due_ms() == 0
    setting.outcomes(0, 5, 2)
    setting.outcomes(3, 1)
    setting.rates.tell(setting.cluster)
    assert not setting.due(shared=True)
    assert setting.rates.until_due_ms() == INTERVAL_MS // 4
    setting.loop.pass_time(INTERVAL_MS // 4)
    assert setting.due(shared=True)
    setting.outcomes(0, 1)
    setting.rates.tell(setting.cluster)
    first, second = setting.store.rates
    assert first.counts == {("10.0.0.0:80", "pod-0"): Count(5, 2), ("10.0.0.3:80", "pod-3"): Count(1, 0)}
    assert second.counts == {("10.0.0.0:80", "pod-0"): Count(1, 0)}
    assert first.by == "a"


def test_nothing_is_told_of_nothing(setting: Setting) -> None:
    setting.rates.tell(setting.cluster)
    assert setting.store.rates == []


def test_a_replica_that_suspects_itself_counts_for_nobody(setting: Setting) -> None:
    setting.outcomes(0, 5, 2)
    setting.board.suspect_itself(True)
    setting.rates.tell(setting.cluster)
    setting.board.suspect_itself(False)
    setting.rates.tell(setting.cluster)
    assert setting.store.rates == [], "nor afterwards for what it saw then"


def test_alone_it_judges_by_what_it_sees_where_that_is_enough(setting: Setting) -> None:
    setting.board.leave_shared_state("away")
    assert not setting.due(shared=True)
    assert setting.rates.until_due_ms() is None
    assert setting.due(shared=False)
    for position in range(6):
        setting.outcomes(position, 19 if position else 5, 0 if position else 14)
    setting.rates.judge_alone(setting.cluster)
    setting.loop.pass_time(INTERVAL_MS)
    setting.rates.judge_alone(setting.cluster)
    assert setting.told.lines == [], "19 requests each are too few"
    for position in range(6):
        setting.outcomes(position, 1)
    setting.loop.pass_time(INTERVAL_MS)
    setting.rates.judge_alone(setting.cluster)
    assert setting.told.lines == ["ejecting 10.0.0.0:80"]
    state = setting.desk.ejections.state(setting.cluster.endpoints["10.0.0.0:80"])
    assert (state.reason, state.run, state.private, state.held) == ("success_rate", 30, False, False)


def test_a_cluster_that_is_gone_is_forgotten(setting: Setting) -> None:
    setting.rates.tell(setting.cluster)
    del setting.desk.clusters[setting.cluster.name]
    setting.rates.retain()
    assert setting.rates.until_due_ms() is None
    setting.desk.clusters[setting.cluster.name] = setting.cluster
    assert setting.rates.until_due_ms() == 0
