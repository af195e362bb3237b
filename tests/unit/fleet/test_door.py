"""Outcomes in, ejections out: what is held, stands, and is let go."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gevent
import pytest

from proxy.fleet import silence, wiring
from proxy.fleet.door import Fleet
from proxy.fleet.ejections import Ejections
from proxy.fleet.outbox import Pending
from proxy.observe.outlier_log import Notice
from proxy.policy.causes import word_of
from proxy.policy.shapes import (
    CONNECT_TIMEOUT,
    CONNECTION_REFUSED,
    CONNECTION_RESET,
    LEFT_WAITING,
    NO_PROTOCOL,
    STREAM_ENDED,
    TLS_FAILED,
    TUNNEL_RESET,
    TUNNEL_STATUS,
    UNANSWERED,
    UNREACHABLE,
)
from proxy.scoreboard.clusters import ClusterLocked
from proxy.scoreboard.scoreboard import Scoreboard
from tests.instruments import decisions
from tests.rig import wait_until
from tests.unit.fleet.fleet_fakes import AWAY, NAME, FakeLoop, FakeStore, board, body, links_of, reporting, verdict


class Setting:
    def __init__(self, made: Scoreboard) -> None:
        self.store, self.board, self.body = FakeStore(), made, body(made)
        self.lines: list[str] = []
        self.fields: list[dict[str, str | int]] = []
        desk = wiring.desk(made, 0, "a", FakeLoop(), self._line)
        self.fleet = Fleet(desk, links_of(self.store))
        self.fleet.apply(True, [self.body], [])
        self.slot = self.body["endpoints"][0]["slot"]
        self.fleet.reporter.warm()
        self.store.batches.clear()
        self.sender = reporting(self.fleet.reporter)
        made.shared_state = True
        gevent.sleep(0)

    def _line(self, notice: Notice) -> None:
        self.lines.append(notice.text)
        self.fields.append(dict(notice.fields))

    @property
    def generation(self) -> int:
        return self.board.outlier.state(self.slot).generation

    @property
    def out(self) -> bool:
        return self.board.endpoints.row(self.slot).ejected_left_ms > 0

    def fail(self, count: int = 1, generation: int | None = None) -> Pending | None:
        """The report of the last of so many failures."""
        report = None
        for _ in range(count):
            now = self.generation if generation is None else generation
            report = self.fleet.attempt_failed(NAME, self.slot, now, 503, "id")
        return report


@pytest.fixture
def setting() -> Iterator[Setting]:
    with board() as made:
        found = Setting(made)
        yield found
        found.sender.kill()


def test_an_earlier_reports_answer_does_not_release(setting: Setting) -> None:
    setting.store.answers = [verdict("counted", 1), verdict("ejected", 3, 1, 30_000)]
    setting.store.meanwhile = lambda: gevent.sleep(0.01)
    setting.fail()
    gevent.sleep(0.001)
    setting.fail(2)
    assert setting.out, "at once"
    for _ in range(20):
        gevent.sleep(0.002)
        assert setting.out, "and all the time"
    assert [b.run.lead for b in setting.store.batches] == [1, 2]
    assert len(setting.lines) == 1


def test_no_answer_and_it_stands(setting: Setting) -> None:
    setting.store.meanwhile = lambda: gevent.sleep(0.2)
    setting.store.answers = [AWAY]
    setting.fail(3)
    gevent.sleep(0.03)
    assert setting.lines == []
    gevent.sleep(0.05)
    assert len(setting.lines) == 1
    gevent.sleep(0.2)
    assert setting.out
    assert not setting.board.shared_state
    assert len(setting.lines) == 1


def test_what_cannot_be_let_stand_now_is_let_stand_later(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis is lost while a stopped process holds the lock: the hold is not forgotten."""

    def locked(*_: Any, **__: Any) -> None:
        raise ClusterLocked("is it stopped?")

    setting.store.meanwhile = lambda: gevent.sleep(0.02)
    setting.store.answers = [AWAY]
    with monkeypatch.context() as while_locked:
        while_locked.setattr(Ejections, "stand", locked)
        setting.fail(3)
        gevent.sleep(0.04)
        assert (setting.out, setting.board.shared_state, setting.lines) == (True, False, [])
    wait_until(lambda: gevent.sleep(0.005) or len(setting.lines) == 1, what="it stands")
    assert setting.out


def test_the_fleets_cap_releases_at_once(setting: Setting) -> None:
    setting.store.answers = [verdict("overflow")]
    setting.fail(3)
    gevent.sleep(0.005)
    assert not setting.out
    assert setting.generation == 0
    setting.fail(3)
    assert not setting.out, "the fleet has just said no"
    with gevent.Timeout(2):
        while not setting.lines:
            gevent.sleep(0.001)
    assert [line.split(",")[0] for line in setting.lines] == ["not ejecting endpoint"]


def test_what_is_held_while_the_cap_fills_up_is_back(setting: Setting) -> None:
    """Another replica's overflow is told while our report waits for its turn: Redis is not asked then."""
    setting.store.meanwhile = lambda: gevent.sleep(0.02)
    setting.store.answers = [verdict("counted", 1)]
    setting.fleet.attempt_failed(NAME, setting.body["endpoints"][1]["slot"], 0, 503, "id")
    gevent.sleep(0.001)
    setting.fail(3)
    assert setting.out
    silence.begin(setting.fleet.desk, setting.fleet.desk.clusters[NAME])
    with gevent.Timeout(2):
        while setting.out:
            gevent.sleep(0.001)
    state = setting.board.outlier.state(setting.slot)
    assert (state.generation, state.failures, state.dirty, setting.lines) == (0, 0, True, [])
    assert len(setting.store.batches) == 1


def test_a_lower_count_releases_in_time_with_that_count(setting: Setting) -> None:
    setting.store.answers = [verdict("counted", 1)]
    setting.fail(3)
    gevent.sleep(0.02)
    assert setting.out, "others' reports may be on their way"
    gevent.sleep(0.05)
    state = setting.board.outlier.state(setting.slot)
    assert (setting.out, state.failures, state.generation, state.dirty) == (False, 1, 0, True)
    assert setting.lines == []


def test_old_evidence_and_old_endpoints_say_nothing(setting: Setting) -> None:
    setting.store.answers = [verdict("ejected", 3, 1, 30_000)]
    setting.fail(3)
    gevent.sleep(0.005)
    setting.fail(5, generation=0)
    setting.fleet.apply(False, [body(setting.board, 3, setting.body["slot"]) | {"endpoints": []}], [])
    setting.fail(5, generation=1)
    gevent.sleep(0.005)
    assert len(setting.store.batches) == 1
    assert [line.split()[0] for line in setting.lines] == ["ejecting", "unejecting"]


def test_alone_it_decides_at_once(setting: Setting) -> None:
    setting.board.shared_state = False
    setting.fail(2)
    setting.fleet.attempt_succeeded(NAME, setting.slot, 0)
    setting.fail(2)
    assert not setting.out
    setting.fail()
    assert setting.out
    assert setting.store.batches == []


def test_answers_wait_only_for_a_store_that_is_quick(setting: Setting) -> None:
    setting.store.meanwhile = lambda: gevent.sleep(0.3)
    with gevent.Timeout(0.25):  # it takes longer than that; one answer may wait for 40 ms, on a busy machine
        for _ in range(10):
            setting.fleet.before_answer(setting.fail())


def unreachable(setting: Setting, *slots: int) -> None:
    for slot in slots:
        generation = setting.board.outlier.state(slot).generation
        setting.fleet.attempt_failed(NAME, slot, generation, 0, "id")


def test_failures_are_told_with_their_origin_and_requests(setting: Setting) -> None:
    setting.fail()
    unreachable(setting, setting.slot)
    gevent.sleep(0.005)
    (batch,) = setting.store.batches
    assert (batch.run.lead, batch.run.lead_local, batch.evidence) == (2, 1, "503@a/id,0@a/id")


def test_too_few_have_seen_it_and_it_stands_for_this_replica(setting: Setting) -> None:
    setting.store.answers = [verdict("unconfirmed", 3)]
    unreachable(setting, *[setting.slot] * 3)
    gevent.sleep(0.08)
    state = setting.board.outlier.state(setting.slot)
    assert (setting.out, state.private, state.held, state.shared) == (True, True, False, False)
    assert setting.board.outlier.undecided([setting.slot]) == [], "nothing to offer to the fleet"
    assert setting.lines == ["ejecting endpoint due to consecutive failures of this replica only"]


def test_one_that_suspects_itself_tells_nobody(setting: Setting) -> None:
    setting.store.answers = [verdict("counted", 1)] * 2
    slots = [entry["slot"] for entry in setting.body["endpoints"]]
    for _ in range(3):
        unreachable(setting, *slots)
        gevent.sleep(0.01)
    assert setting.board.suspects_itself
    assert sum(batch.run.lead for batch in setting.store.batches) == 2, "before it knew"
    assert setting.board.outlier.state(slots[0]).private


def test_a_young_run_is_asked_about_again(setting: Setting) -> None:
    setting.store.answers = [
        replace(verdict("too_soon", 3), wait_ms=20),
        verdict("ejected", 3, 1, 30_000),
    ]
    setting.fail(3)
    with gevent.Timeout(10):
        while not setting.board.outlier.state(setting.slot).shared:
            assert setting.out
            gevent.sleep(0.001)
    assert [batch.run.lead for batch in setting.store.batches] == [3, 0]


def test_redis_does_not_know_what_is_out_here(setting: Setting) -> None:
    """It has lost its data, and not been told again: its cap has room, this replica's has not."""
    first, second = (entry["slot"] for entry in setting.body["endpoints"][:2])
    setting.store.answers = [verdict("ejected", 3, 1, 30_000), verdict("ejected", 3, 1, 30_000, 2)]
    setting.fail(3)
    gevent.sleep(0.005)
    for _ in range(3):
        setting.fleet.attempt_failed(NAME, second, 0, 503, "id")
    gevent.sleep(0.005)
    assert len(setting.store.batches) == 2
    assert [setting.board.endpoints.row(slot).ejected_left_ms > 0 for slot in (first, second)] == [True, False]


def test_the_verdict_on_a_report_is_waited_for_whatever_has_failed_since(setting: Setting) -> None:
    """Two requests fail in one turn of the loop; each has its own report to wait for."""
    other = setting.body["endpoints"][1]["slot"]
    setting.store.answers = [verdict("ejected", 3, 1, 30_000), verdict("counted", 1)]
    first = setting.fail(3)
    second = setting.fleet.attempt_failed(NAME, other, 0, 503, "id")
    assert first is not None and second is not None and first is not second
    setting.fleet.before_answer(first)
    assert first.verdict is not None and first.verdict.outcome == "ejected"
    assert setting.board.outlier.state(setting.slot).shared, "the client's next request finds it so"


def test_nothing_is_waited_for_when_there_is_nobody_to_ask(setting: Setting) -> None:
    setting.board.shared_state = False
    assert setting.fail() is None
    setting.fleet.before_answer(None)


@pytest.mark.parametrize(
    ("cause", "spoke"),
    [
        (TUNNEL_STATUS + 503, True),
        (TUNNEL_STATUS + 401, True),
        (TUNNEL_RESET, True),
        (STREAM_ENDED, True),
        (NO_PROTOCOL, True),
        (CONNECTION_REFUSED, False),
        (UNREACHABLE, False),
        (CONNECT_TIMEOUT, False),
        (TLS_FAILED, False),
        (CONNECTION_RESET, False),
        (UNANSWERED, False),
        (LEFT_WAITING, False),
    ],
)
def test_Z4_a_replica_suspects_itself_only_where_nobody_has_spoken(setting: Setting, cause: int, spoke: bool) -> None:
    assert decisions.spoke(cause) is spoke
    slots = [each["slot"] for each in setting.body["endpoints"]]
    for slot in slots:
        setting.fleet.attempt_failed(NAME, slot, 0, 0, "id", cause, spoke)
    gevent.sleep(0.01)
    told = [batch.evidence for batch in setting.store.batches]
    assert setting.board.suspects_itself is not spoke
    assert told == [f"{word_of(cause)}@a/id"] * (3 if spoke else 2), "the third is when it begins to doubt"
    assert all(batch.run.lead_local == 1 for batch in setting.store.batches), "a quorum counts it as before"


def test_Z4_where_somebody_spoke_our_network_has_been(setting: Setting) -> None:
    """Contact is what a share of is unreachable, and a ztunnel's answer is contact."""
    body_of_more = body(setting.board, 7, setting.board.clusters.slots()[NAME])
    setting.fleet.apply(True, [body_of_more], [])
    slots = [each["slot"] for each in body_of_more["endpoints"]]
    for slot in slots[:4]:
        setting.fleet.attempt_failed(NAME, slot, 0, 0, "id", TUNNEL_STATUS + 503, True)
    for slot in slots[4:]:
        setting.fleet.attempt_failed(NAME, slot, 0, 0, "id", CONNECTION_REFUSED, False)
    assert not setting.board.suspects_itself, "3 of 7 are not half"


def test_Z5_the_line_says_why_whoever_decided(setting: Setting) -> None:
    setting.board.shared_state = False
    for cause in (TUNNEL_STATUS + 503, CONNECTION_REFUSED, TUNNEL_STATUS + 503):
        setting.fleet.attempt_failed(NAME, setting.slot, 0, 0, "id", cause, True)
    assert setting.fields[-1]["cause"] == "tunnel_503,refused"
