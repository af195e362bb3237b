"""Who leads, and what it may say when it does no longer."""

import time
from typing import Any

import gevent
import pytest

from proxy.fleet import leader as module
from proxy.fleet.leader import Leader
from proxy.fleet.reporter import Reporter
from proxy.scoreboard.scoreboard import Scoreboard
from state.errors import StoreUnavailable
from tests.unit.fleet.fleet_fakes import NAME, FakeStore, a_cluster, board, ejections


class Subscribed(FakeStore):
    """One whose events never come."""

    def subscribe(self, clusters: Any) -> Any:
        return self

    def update(self, clusters: Any) -> None:
        pass

    def next(self, timeout: float) -> None:
        gevent.sleep(timeout)

    def close(self) -> None:
        pass


class Preflight:
    """Does what the test says, and finds nothing."""

    def __init__(self, meanwhile: Any) -> None:
        self._meanwhile = meanwhile

    def problems(self) -> list[Any]:
        self._meanwhile()
        return []


def leader_of(made: Scoreboard, store: FakeStore, meanwhile: Any) -> Leader:
    def now_ms() -> int:
        return time.monotonic_ns() // 1_000_000

    clusters = {NAME: a_cluster(made)}
    changes, _ = ejections(made)
    reporter = Reporter(store, "a", clusters, now_ms, lambda *given: None, lambda *given: None)
    return Leader(made, 0, "a", store, Preflight(meanwhile), clusters, changes, reporter, now_ms, lambda: 1.0)  # type: ignore[arg-type]


def another_leads(made: Scoreboard) -> None:
    made.workers.start(1, 2)
    made.workers.drop_lease(0)
    assert made.workers.take_lease(1)


def test_one_whose_lease_has_lapsed_says_nothing() -> None:
    """The other has yet to read what the fleet has out, and knows how this replica decided until now."""
    with board() as made:
        store = Subscribed()
        running = gevent.spawn(leader_of(made, store, lambda: another_leads(made)).run)
        gevent.sleep(0.05)
        assert (made.shared_state, made.reconciled, store.syncs) == (False, False, 0)
        running.kill()


def test_the_lease_is_kept_while_redis_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise StoreUnavailable("redis: away")

    monkeypatch.setattr(module, "FIRST_PAUSE_SECONDS", 1.2)
    with board() as made:
        made.workers.start(1, 2)
        leader = leader_of(made, Subscribed(), fail)
        running = gevent.spawn(leader.run)
        gevent.sleep(0.1)
        until = time.monotonic() + 0.9
        renewed = []
        original = leader._my_turn
        monkeypatch.setattr(leader, "_my_turn", lambda: renewed.append(1) or original())
        while time.monotonic() < until:
            gevent.sleep(0.05)
        assert renewed, "nobody else takes over in the middle of a pause"
        assert leader.leading
        running.kill()
