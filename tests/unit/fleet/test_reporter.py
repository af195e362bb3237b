"""The outbox: order, coalescing, silence, failures; what is on its way."""

from collections.abc import Iterator
from dataclasses import replace

import gevent
import pytest
from gevent.event import Event

from proxy.fleet import reporter, silence
from proxy.fleet.keep import keep_running
from proxy.fleet.outbox import Pending
from proxy.fleet.pace import Pace
from proxy.fleet.reporter import Reporter
from proxy.scoreboard.clusters import ClusterLocked
from proxy.scoreboard.scoreboard import Scoreboard
from state.errors import StoreUnavailable
from state.outlier.run import FAILURE, SUCCESS, Run
from tests.unit.fleet.fleet_fakes import AWAY, FakeLoop, FakeStore, a_cluster, board, desk_of, reporting, verdict


class Setting:
    def __init__(self, made: Scoreboard, count: int = 3) -> None:
        self.cluster = a_cluster(made, count)
        self.desk, _ = desk_of(made, self.cluster, FakeLoop(1000))
        self.store = FakeStore()
        self.answers: list[tuple[str, str]] = []
        self.lost: list[StoreUnavailable] = []
        self.again: list[int] = []
        self.reporter = Reporter(
            self.desk,
            self.store,
            lambda found, pending, told, asked: self.answers.append((pending.endpoint.address, told.outcome)),
            lambda error, _: self.lost.append(error),
            lambda pending, wait_ms: self.again.append(wait_ms),
        )
        self.reporter.warm()
        self.store.batches.clear()

    def add(self, which: int, run: Run = FAILURE, generation: int = 0) -> Pending:
        endpoint = self.cluster.endpoints[f"10.0.0.{which}:80"]
        return self.desk.outbox.add(self.cluster, endpoint, generation, run, 503)

    def run(self) -> None:
        sender = reporting(self.reporter)
        gevent.sleep(0.01)
        sender.kill()


def test_outcomes_meanwhile_are_one_report_in_order() -> None:
    with board() as made:
        setting = Setting(made)
        for run in (FAILURE, FAILURE, SUCCESS, FAILURE):
            setting.add(0, run)
        setting.add(1)
        setting.add(0, generation=1)
        setting.run()
        found = [(b.endpoint, b.generation, b.run.lead, b.run.any_success, b.run.trail) for b in setting.store.batches]
        assert found == [
            ("10.0.0.0:80", 0, 2, True, 1),
            ("10.0.0.1:80", 0, 1, False, 1),
            ("10.0.0.0:80", 1, 1, False, 1),
        ]


def test_what_cannot_be_looked_at_is_told_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that a stopped process holds neither ends the reporter nor loses what it was about to say."""

    def locked(*_: object) -> bool:
        raise ClusterLocked

    with board() as made:
        setting = Setting(made)
        monkeypatch.setattr(silence, "is_kept", locked)
        report = setting.add(0)
        setting.run()
        assert (report.done.is_set(), len(setting.store.batches)) == (True, 1)


def test_while_the_cap_is_full_what_is_in_the_outbox_is_dropped() -> None:
    with board() as made:
        setting = Setting(made)
        made.shared_state = True
        silence.begin(setting.desk, setting.cluster)
        report = setting.add(0)
        setting.run()
        assert (report.done.is_set(), setting.store.batches) == (True, []), "nobody waits for it"
        silence.look_again(setting.desk, setting.cluster)
        setting.add(0)
        setting.run()
        assert len(setting.store.batches) == 1


def test_a_lost_store_is_told_and_a_changed_snapshot_drops() -> None:
    with board() as made:
        setting = Setting(made)
        setting.store.answers = [AWAY]
        report = setting.add(0)
        setting.run()
        assert setting.lost == [AWAY]
        assert report.done.is_set(), "nobody waits for it"
        assert setting.reporter.warm()
        setting.store.meanwhile = setting.desk.clusters.clear
        setting.add(1)
        setting.add(2)
        setting.run()
        asked = [batch.endpoint for batch in setting.store.batches]
        assert asked == ["10.0.0.0:80", "-", "-", "10.0.0.1:80"], "the third is of a snapshot that is gone"
        assert setting.answers == []


def test_reports_wait_for_a_connection_no_longer_than_for_an_answer() -> None:
    with board() as made:
        setting = Setting(made)
        setting.store.answers = [AWAY]
        assert not setting.reporter.warm()
        setting.add(0)
        sender = reporting(setting.reporter)
        gevent.sleep(0.03)
        assert len(setting.lost) == 1
        assert setting.reporter.warm()
        gevent.sleep(0.01)
        assert [batch.endpoint for batch in setting.store.batches][1:] == ["-", "-", "10.0.0.0:80"]
        setting.store.answers = [AWAY]
        setting.reporter.warm()
        setting.add(0)
        gevent.sleep(0.07)
        sender.kill()
        assert "no answer within 50 ms" in str(setting.lost[-1])
        assert len(setting.store.batches) == 5, "it is not sent later"


def test_a_report_that_takes_too_long_is_given_up_and_not_sent_again() -> None:
    with board() as made:
        setting = Setting(made)
        setting.store.meanwhile = lambda: gevent.sleep(0.2)
        setting.add(0)
        sender = reporting(setting.reporter)
        gevent.sleep(0.3)
        sender.kill()
        assert [str(error) for error in setting.lost] == ["redis: no answer within 50 ms"]
        assert len(setting.store.batches) == 1


def test_waiting_is_short() -> None:
    with board() as made:
        setting = Setting(made)
        report = setting.add(0)
        with gevent.Timeout(0.1):
            assert setting.reporter.wait(report, 4) is None
        setting.run()
        told = setting.reporter.wait(report, 4)
        assert told is not None and told.outcome == "clean"


def test_mistakes_end_nothing(caplog: pytest.LogCaptureFixture) -> None:
    runs = []

    def work() -> None:
        runs.append(1)
        raise KeyError("no endpoint in slot 7")

    keeper = gevent.spawn(keep_running, FakeLoop(), work, 0.001)
    with gevent.Timeout(5):
        while len(runs) < 3:
            gevent.sleep(0.001)
    keeper.kill()
    assert "please report" in caplog.text


def test_S_F6_each_report_tells_how_long_reports_take() -> None:
    with board() as made:
        setting = Setting(made)
        loop = setting.desk.loop
        assert isinstance(loop, FakeLoop)
        setting.store.meanwhile = lambda: loop.pass_time(12)
        for _ in range(2):
            setting.add(0)
            setting.run()
        loop.pass_time(61_000)
        setting.add(0)
        setting.run()
        assert [batch.round_trip_ms for batch in setting.store.batches] == [0, 24, 24], "twice, while few are known"


def test_S_F6_each_report_tells_how_long_ago_its_run_began() -> None:
    with board() as made:
        setting = Setting(made)
        loop = setting.desk.loop
        assert isinstance(loop, FakeLoop)
        for run in (FAILURE, SUCCESS, FAILURE, FAILURE):
            setting.add(0, run)
            loop.pass_time(10)
        setting.run()
        setting.add(0, SUCCESS)
        loop.pass_time(10)
        setting.run()
        assert [batch.age_us for batch in setting.store.batches] == [20_000, 0]


def test_S_F6_who_waits_for_a_verdict_waits_until_the_run_is_old_enough() -> None:
    with board() as made:
        setting = Setting(made)
        loop = setting.desk.loop
        assert isinstance(loop, FakeLoop)
        loop.set_ms = None
        setting.store.answers = [replace(verdict("too_soon", 3), wait_ms=30), verdict("ejected", left_ms=30_000)]
        sender = reporting(setting.reporter)
        found = setting.reporter.wait(setting.add(0), 1000)
        sender.kill()
        assert found is not None
        assert (found.outcome, setting.again) == ("ejected", [30])


def test_S_F6_the_pace_is_that_of_nearly_every_report() -> None:
    pace = Pace()
    assert pace.round_trip_ms(0) == 0
    for at in range(150):
        pace.note(at, 800)
    pace.note(150, 45_000)  # one in a hundred may take longer
    assert pace.round_trip_ms(151) == 1
    pace.note(151, 3_100)
    assert pace.round_trip_ms(152) == 4


def test_S_F6_a_pace_of_which_little_is_known_is_taken_to_be_slower() -> None:
    pace = Pace()
    for _ in range(7):
        pace.note(0, 3_000)
    assert pace.round_trip_ms(0) == 6
    pace.note(0, 3_000)
    assert pace.round_trip_ms(120_000) == 3, "nor is it forgotten in a quiet time"
    assert pace.one_way_us() == 1_500


def test_S_F6_news_are_as_old_as_those_that_little_delays() -> None:
    """Seed 2750 of the simulator: by the quickest of all, a success seemed to have been before the failure that it came
    after, and was not told."""
    pace = Pace()
    for took_us in (18_000, 19_400, 19_500, 20_000, 20_500, 21_000, 22_000, 45_000):
        pace.note(0, took_us)
    assert pace.one_way_us() == 9_750


def test_S_F6_a_worker_that_is_late_itself_has_slow_news() -> None:
    pace = Pace()
    for _ in range(100):
        pace.note(0, 1_000)
    for at, late_us in ((0, 2_000), (1_000, 9_000), (2_000, 500)):
        pace.note_late(at, late_us)
    assert [pace.round_trip_ms(at) for at in (2_000, 11_000, 11_001, 12_001)] == [10, 10, 2, 1]


def test_S_F6_a_success_does_not_wait_with_what_is_asked_again() -> None:
    with board() as made:
        setting = Setting(made)
        setting.store.answers = [replace(verdict("too_soon", 3), wait_ms=80)]
        setting.add(0)
        setting.run()
        setting.add(0)
        setting.run()
        assert len(setting.store.batches) == 1
        setting.add(0, SUCCESS)
        setting.run()
        assert [each.run.any_success for each in setting.store.batches] == [False, True]


class OnTheirWay(Setting):
    """Answers come when `gate` is opened, however long that takes."""

    def __init__(self, made: Scoreboard, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(made, 5)
        monkeypatch.setattr(reporter, "BUDGET_MS", 10_000)
        assert isinstance(self.desk.loop, FakeLoop)
        self.desk.loop.set_ms = None
        self.gate = Event()
        self.store.meanwhile = self.gate.wait

    def until_sent(self, count: int) -> None:
        with gevent.Timeout(10):
            while len(self.store.batches) < count:
                gevent.sleep(0.001)


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> Iterator[OnTheirWay]:
    with board() as made:
        setting = OnTheirWay(made, monkeypatch)
        group = reporting(setting.reporter)
        yield setting
        group.kill()


def test_S_F6_a_report_does_not_wait_for_the_answers_to_those_before(far: OnTheirWay) -> None:
    """Another worker's failure would overtake the success that ends the run (seed 14407 of the simulator)."""
    first = far.add(0)
    far.until_sent(1)
    second, third = far.add(0, SUCCESS), far.add(1)
    far.until_sent(3)
    assert not first.done.is_set()
    far.gate.set()
    third.done.wait(5)
    assert (first.done.is_set(), second.done.is_set()) == (True, True)
    assert [address for address, _ in far.answers] == ["10.0.0.0:80", "10.0.0.0:80", "10.0.0.1:80"]


def test_no_more_than_so_many_are_on_their_way(far: OnTheirWay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporter, "MOST_ON_THEIR_WAY", 3)
    last = [far.add(which) for which in range(5)][-1]
    far.until_sent(3)
    gevent.sleep(0.02)
    assert len(far.store.batches) == 3
    far.gate.set()
    last.done.wait(5)
    assert len(far.answers) == 5


def test_a_success_right_after_one_on_its_way_waits_for_its_answer(far: OnTheirWay) -> None:
    far.add(0, SUCCESS)
    far.until_sent(1)
    far.add(0, SUCCESS)
    far.add(1)
    far.until_sent(2)
    assert far.store.batches[-1].endpoint == "10.0.0.1:80"
    far.add(0)
    far.until_sent(3)
    assert (far.store.batches[-1].run.any_success, far.store.batches[-1].run.trail) == (True, 1), "before the failure"
    far.add(2, SUCCESS)
    far.until_sent(4)
    waiting = far.add(2, SUCCESS)
    far.gate.set()
    waiting.done.wait(5)
    assert len(far.store.batches) == 5


def test_a_run_that_is_too_young_is_not_asked_about_where_a_later_report_asks(far: OnTheirWay) -> None:
    far.store.answers = [replace(verdict("too_soon", 3), wait_ms=1), verdict("ejected", left_ms=30_000)]
    first = far.add(0)
    far.until_sent(1)
    second = far.add(0)
    far.until_sent(2)
    far.gate.set()
    found = far.reporter.wait(first, 5000)
    assert (found, second.verdict, len(far.store.batches)) == (second.verdict, found, 2)
    assert found is not None and found.outcome == "ejected"


def test_when_redis_is_lost_each_report_on_its_way_is(far: OnTheirWay) -> None:
    far.store.answers = [AWAY, AWAY]
    first = far.add(0)
    far.until_sent(1)
    second = far.add(1)
    far.until_sent(2)
    far.gate.set()
    second.done.wait(5)
    assert (first.verdict, second.verdict, far.lost) == (None, None, [AWAY, AWAY])
    assert len(far.store.batches) == 2, "none is sent again: it may have been counted"
