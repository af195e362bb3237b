"""Offering an ejected endpoint to one request, and what that request says."""

from collections.abc import Iterator
from typing import Any

import gevent
import pytest

from proxy.fleet.clusters import Cluster
from proxy.fleet.known import Known
from proxy.fleet.outcome import SUCCEEDED, failed
from proxy.fleet.probing import LEASE_MS, PATIENCE_MS, RENEW_MS, Probing
from proxy.policy.shapes import CONNECTION_REFUSED, TUNNEL_STATUS
from proxy.scoreboard.clusters import ClusterLocked
from proxy.scoreboard.scoreboard import Scoreboard
from state.errors import StoreUnavailable
from state.outlier.store import RETURNED, Claim
from tests.unit.fleet.fleet_fakes import AWAY, FakeLoop, FakeStore, a_cluster, board, desk_of, known, verdict

BASE = 30_000


class Setting:
    """One endpoint of three, out, to be probed in BASE ms. The clock is ours; the scoreboard has its own."""

    def __init__(self, made: Scoreboard) -> None:
        self.board, self.store = made, FakeStore()
        self.cluster = a_cluster(made, probe=True)
        self.endpoint = self.cluster.endpoints["10.0.0.0:80"]
        self.loop = FakeLoop()
        self.loop.pass_time(0)
        self.desk, self.told = desk_of(made, self.cluster, self.loop)
        self.ejections = self.desk.ejections
        self.lost: list[StoreUnavailable] = []
        self.probing = Probing(self.desk, self.store, lambda: True, self._lost)
        made.shared_state = True
        out = Known(BASE + 600_000, BASE, 1, 3, 1, 1, BASE, "b", "consecutive_5xx", 1)
        self.ejections.confirm(self.cluster, self.endpoint, out, self.now_ms, self.now_ms)

    def _lost(self, error: StoreUnavailable, cluster: Cluster) -> None:
        self.lost.append(error)
        self.board.shared_state = False

    def later(self, ms: int) -> int:
        """Time passes and the leader looks; when it wants to look again."""
        self.loop.pass_time(ms)
        return self.probing.look()

    def taken(self) -> bool:
        """What the request path does (relay/endpoints/cluster.pyx), as far as it can be seen from here."""
        return self.board.probes.take(self.endpoint.slot)

    def tried(self, success: bool) -> None:
        outcome = SUCCEEDED if success else failed(503, "id", 0, False)
        self.probing.tried(self.cluster, self.endpoint, 1, outcome)
        gevent.sleep(0)

    @property
    def now_ms(self) -> int:
        return self.loop.now_ms()

    @property
    def out(self) -> bool:
        return self.ejections.state(self.endpoint).ejected_until_ms > self.now_ms


@pytest.fixture
def setting() -> Iterator[Setting]:
    with board() as made:
        yield Setting(made)


@pytest.mark.parametrize("taken", [False, True])
def test_a_look_meanwhile_does_not_hide_what_the_request_says(setting: Setting, taken: bool) -> None:
    """Only successes of dirty endpoints are told."""
    setting.later(BASE)
    assert not taken or setting.taken()
    seen = Known(600_000, BASE, 1, 3, 1, 1, 0, "b", "consecutive_5xx", 2)
    setting.ejections.confirm(setting.cluster, setting.endpoint, seen, setting.now_ms, setting.now_ms)
    assert setting.board.endpoints.row(setting.endpoint.slot).dirty


def test_nothing_is_offered_before_its_time(setting: Setting) -> None:
    assert setting.later(BASE - 100) <= 100
    assert (setting.store.claims, setting.taken()) == (0, False)
    setting.later(100)
    assert (setting.store.claims, setting.taken()) == (1, True)
    assert not setting.taken(), "one request"


def test_another_replicas_turn(setting: Setting) -> None:
    setting.store.claim = Claim(False, 400)
    assert setting.later(BASE) > 0
    assert not setting.taken()
    setting.later(399)
    assert setting.store.claims == 1
    setting.store.claim = Claim(True)
    setting.later(1)
    assert setting.taken()


def test_nobody_comes_and_the_turn_passes_on(setting: Setting) -> None:
    setting.later(BASE)
    setting.later(RENEW_MS)
    assert not setting.taken()
    assert setting.store.claims == 1
    setting.later(LEASE_MS)
    assert (setting.store.claims, setting.taken()) == (2, True)


def test_a_slow_request_keeps_the_claim(setting: Setting) -> None:
    setting.later(BASE)
    assert setting.taken()
    for turn in range(2, 5):
        setting.later(RENEW_MS)
        assert (setting.store.claims, setting.board.probes.pending(setting.endpoint.slot)) == (turn, True)
    setting.later(PATIENCE_MS)
    assert setting.taken(), "given up: another one may try"


def test_a_success_and_the_fleet_agrees(setting: Setting) -> None:
    setting.later(BASE)
    assert setting.taken()
    setting.store.answers = [verdict("returned", generation=1, version=2)]
    setting.tried(True)
    assert not setting.out
    assert setting.told.lines == ["ejecting 10.0.0.0:80", "unejecting 10.0.0.0:80 probe_succeeded"]
    setting.tried(True)
    assert len(setting.store.batches) == 1, "only one can be meant"


def test_a_failure_and_it_is_out_again_with_a_line(setting: Setting) -> None:
    setting.later(BASE)
    assert setting.taken()
    setting.store.answers = [verdict("ejected", 1, 2, 60_000, 2)]
    setting.tried(False)
    assert setting.out
    assert setting.told.lines == ["ejecting 10.0.0.0:80"] * 2
    assert setting.store.batches[0].evidence == "503@a/id"
    assert not setting.board.probes.pending(setting.endpoint.slot)


def test_redis_goes_meanwhile(setting: Setting) -> None:
    setting.later(BASE)
    assert setting.taken()
    setting.store.answers = [AWAY]
    setting.tried(False)
    state = setting.ejections.state(setting.endpoint)
    assert (len(setting.lost), state.generation, state.shared, state.logged) == (1, 2, False, True)
    assert state.probe_at_ms - setting.now_ms == 2 * BASE
    setting.later(2 * BASE)
    assert setting.taken(), "its own turn now"
    setting.probing.tried(setting.cluster, setting.endpoint, 2, SUCCEEDED)
    gevent.sleep(0)
    assert not setting.out


def test_an_outcome_that_no_probe_has(setting: Setting) -> None:
    setting.later(BASE)
    setting.tried(True)
    assert (setting.store.batches, setting.out) == ([], True)


def test_news_of_an_ejection_that_ends_by_itself(setting: Setting) -> None:
    setting.later(BASE)
    changed = known(60_000, 2, 2, 60_000)
    setting.ejections.confirm(setting.cluster, setting.endpoint, changed, setting.now_ms, setting.now_ms)
    assert not setting.board.probes.pending(setting.endpoint.slot)
    assert setting.board.probes.awaited(setting.cluster.slots) == []


def test_Z4_who_suspects_his_own_network_does_not_try_for_the_fleet(setting: Setting) -> None:
    setting.later(BASE)
    assert setting.taken()
    setting.board.suspect_itself(True)
    setting.probing.tried(setting.cluster, setting.endpoint, 1, failed(0, "id", CONNECTION_REFUSED, False))
    gevent.sleep(0)
    assert setting.store.batches == [], "that it is not reached from here is no news"
    setting.later(RENEW_MS)
    assert (setting.store.claims, setting.taken()) == (1, False), "another one's turn"
    setting.board.suspect_itself(False)
    setting.later(LEASE_MS)
    assert (setting.store.claims, setting.taken()) == (2, True)


def test_Z4_what_a_ztunnel_said_of_a_probe_is_told_all_the_same(setting: Setting) -> None:
    setting.later(BASE)
    assert setting.taken()
    setting.board.suspect_itself(True)
    setting.store.answers = [verdict("ejected", 1, 2, 60_000, 2)]
    setting.probing.tried(setting.cluster, setting.endpoint, 1, failed(0, "id", TUNNEL_STATUS + 503, True))
    gevent.sleep(0)
    assert [batch.evidence for batch in setting.store.batches] == ["tunnel_503@a/id"]


def test_a_lock_that_is_not_given_back_leaves_the_probe_to_a_later_one(
    setting: Setting, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Seed 5803 of the simulator: the greenlet that tells ended with an exception."""

    def locked(*_: Any, **__: Any) -> None:
        raise ClusterLocked("is it stopped?")

    setting.later(BASE)
    assert setting.taken()
    setting.store.answers = [verdict(RETURNED)]
    with monkeypatch.context() as while_locked:
        while_locked.setattr(setting.ejections, "lift", locked)
        setting.tried(success=True)
    assert (setting.out, len(caplog.messages)) == (True, 1)
    assert "is it stopped?" in caplog.text
