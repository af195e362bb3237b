"""Who leads, and what it may say when it does no longer."""

from collections.abc import Callable
from typing import Any

import gevent
import pytest

from proxy.fleet import leader as module
from proxy.fleet.leader import Leader
from proxy.scoreboard.scoreboard import Scoreboard
from state.errors import StoreUnavailable
from tests.unit.fleet.fleet_fakes import FakeLoop, FakeStore, a_cluster, board, desk_of


def leader_of(made: Any, store: FakeStore, meanwhile: Callable[[], None]) -> Leader:
    """`meanwhile` is done when it looks at the servers there are."""

    def problems() -> list[Any]:
        meanwhile()
        return []

    loop = FakeLoop()
    loop.luck = 1.0
    desk, _ = desk_of(made, a_cluster(made), loop)
    return Leader(desk, store, problems)


def another_leads(made: Scoreboard) -> None:
    made.workers.start(1, 2)
    made.workers.drop_lease(0)
    assert made.workers.take_lease(1)


def test_one_whose_lease_has_lapsed_says_nothing() -> None:
    """The other has yet to read what the fleet has out, and knows how this replica decided until now."""
    with board() as made:
        store = FakeStore()
        running = gevent.spawn(leader_of(made, store, lambda: another_leads(made)).run)
        gevent.sleep(0.05)
        assert (made.shared_state, made.reconciled, store.syncs) == (False, False, 0)
        running.kill()


class Watched:
    """The scoreboard, and how often its lease was asked for."""

    def __init__(self, made: Scoreboard) -> None:
        self._made = made
        self.asked = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._made, name)

    @property
    def workers(self) -> "Watched":
        return self

    def take_lease(self, slot: int) -> bool:
        self.asked += 1
        return self._made.workers.take_lease(slot)


def test_the_lease_is_kept_while_redis_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise StoreUnavailable("redis: away")

    monkeypatch.setattr(module, "FIRST_PAUSE_SECONDS", 30)
    with board() as made:
        made.workers.start(1, 2)
        watched = Watched(made)
        leader = leader_of(watched, FakeStore(), fail)
        running = gevent.spawn(leader.run)
        gevent.sleep(0.1)
        before = watched.asked
        with gevent.Timeout(5):
            while watched.asked == before:
                gevent.sleep(0.05)
        assert leader.leading, "nobody else takes over in the middle of a pause"
        running.kill()
