"""Who leads, and what it may say when it does no longer."""

from collections.abc import Callable
from typing import Any

import gevent
import pytest

from proxy.fleet import leader as module
from proxy.fleet.clusters import Cluster
from proxy.fleet.leader import Leader
from proxy.scoreboard.scoreboard import Scoreboard
from state.errors import NotAllowed, StoreUnavailable
from state.outlier.events import Event, parse
from tests.unit.fleet.fleet_fakes import FakeLoop, FakeStore, Silence, a_cluster, board, desk_of


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


@pytest.mark.parametrize(
    ("error", "longest"),
    [(StoreUnavailable("away"), module.LAST_PAUSE_SECONDS), (NotAllowed("no right"), module.SICK_PAUSE_SECONDS)],
)
def test_who_is_away_is_soon_found_again_and_rights_are_looked_for_seldom(
    monkeypatch: pytest.MonkeyPatch, error: StoreUnavailable, longest: float
) -> None:
    rests: list[float] = []

    def fail() -> None:
        raise error

    def rest(_: Leader, seconds: float) -> None:
        rests.append(seconds)
        gevent.sleep(0)

    monkeypatch.setattr(Leader, "_rest", rest)
    with board() as made:
        running = gevent.spawn(leader_of(made, FakeStore(), fail).run)
        with gevent.Timeout(10):
            while len(rests) < 12:
                gevent.sleep(0)
        running.kill()
    assert (rests[0], max(rests)) == (module.FIRST_PAUSE_SECONDS, longest)


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


def heard(
    made: Scoreboard, cluster: Cluster, age_us: int, generation: int = 0, now_ms: int | None = None
) -> list[bool]:
    """What a worker has to report when it hears that a run of the first endpoint has begun `age_us` before: whether it
    succeeded."""
    desk, _ = desk_of(made, cluster, FakeLoop(now_ms))
    made.shared_state = True
    endpoint = cluster.endpoints["10.0.0.0:80"]
    leader = Leader(desk, FakeStore(), list)
    leader._came_ns = desk.loop.now_ns()
    leader._apply_event(begun(cluster, age_us, generation))
    assert made.outlier.state(endpoint.slot).dirty
    return [pending.run.any_success for pending in desk.outbox._entries.values()]


def begun(cluster: Cluster, age_us: int, generation: int = 0) -> Event:
    """The message that a run of the first endpoint has begun."""
    line = f"dirty endpoint=10.0.0.0:80 workload=pod-0 version=0 generation={generation} failures=1 left_ms=0 "
    line += f"ejection_ms=0 ejections=0 backoff=0 probe_in_ms=-1 by= reason= age_us={age_us}"
    event = parse(cluster.name, line)
    assert event is not None
    return event


class Told(Silence):
    """News that are there at once."""

    def __init__(self, *events: Event) -> None:
        self._events = list(events)

    def next(self, timeout: float) -> Event | None:
        return self._events.pop(0) if self._events else None


def test_S_F6_a_message_that_had_to_wait_is_as_old_as_the_last_look_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seed 10631 of the simulator: the leader was busy with a look when it came."""
    with board() as made:
        cluster = a_cluster(made)
        desk, _ = desk_of(made, cluster, FakeLoop())
        made.shared_state = True
        leader = Leader(desk, FakeStore(), list)
        monkeypatch.setattr(leader, "_reconcile", lambda: True)
        leader._turn(Told())
        made.outlier.note_success(cluster.slots[0])
        gevent.sleep(0.02)
        leader._turn(Told(begun(cluster, age_us=0)))
        assert [pending.run.any_success for pending in desk.outbox._entries.values()] == [True]


HOUR_US = 3_600_000_000


@pytest.mark.parametrize(("age_us", "generation", "told"), [(HOUR_US, 0, [True]), (0, 0, []), (HOUR_US, 1, [])])
def test_S_F6_a_success_since_a_run_began_is_told_when_that_is_heard(
    age_us: int, generation: int, told: list[bool]
) -> None:
    with board() as made:
        cluster = a_cluster(made)
        assert heard(made, cluster, HOUR_US) == [], "there was none"
        cluster = a_cluster(made)
        assert not made.outlier.note_success(cluster.slots[0]), "nobody counts failures yet"
        gevent.sleep(0.01)
        assert heard(made, cluster, age_us, generation) == told


def test_S_F6_it_is_told_too_when_a_look_has_found_the_run_before_its_message_was_heard() -> None:
    """Seed 314 of the simulator: the look was long, and does not say when the run began."""
    with board() as made:
        cluster = a_cluster(made)
        desk, _ = desk_of(made, cluster)
        made.shared_state = True
        made.outlier.note_success(cluster.slots[0])
        gevent.sleep(0.01)
        made.clusters.set_fleet_version(cluster.slot, 3, "e1")
        made.outlier.mark_dirty(cluster.slots[0])
        leader = Leader(desk, FakeStore(), list)
        leader._came_ns = desk.loop.now_ns()
        leader._apply_event(begun(cluster, HOUR_US))
        assert [pending.run.any_success for pending in desk.outbox._entries.values()] == [True]


def test_S_F6_a_success_that_was_told_is_told_again_only_if_redis_had_not_counted_the_failure() -> None:
    with board() as made:
        cluster = a_cluster(made)
        made.outlier.mark_dirty(cluster.slots[0])
        now_ms = FakeLoop().now_ms()
        assert made.outlier.note_success(cluster.slots[0])
        assert heard(made, cluster, HOUR_US, now_ms=now_ms) == [], "it was counted before that"
        gevent.sleep(0.01)
        assert heard(made, cluster, 0) == [], "it began after that"
        assert heard(made, cluster, HOUR_US) == [True], "it was kept back: what was told ended another run"
