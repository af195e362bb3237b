"""What the fleet is told, and that a lost connection is noticed."""

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis

from state.errors import StoreUnavailable
from state.outlier.events import Event
from state.outlier.redis_store import RedisStore
from state.outlier.subscription import Subscription
from state.server.access import Access
from state.server.connect import connect
from state.server.embedded import Embedded
from tests.patience import within
from tests.state.state_rig import CLUSTER, KEYS, SEED, A, B, Rig, batch

Start = Callable[..., Embedded]


def subscribe(rig: Rig, *clusters: str) -> Subscription:
    assert isinstance(rig.store, RedisStore)
    return rig.store.subscribe(clusters)


def drain(subscription: Subscription) -> list[Event]:
    events = []
    while (event := subscription.next(0.1)) is not None:
        events.append(event)
    return events


def test_the_life_of_an_endpoint(shared: Rig) -> None:
    subscription = subscribe(shared, CLUSTER)
    for outcomes in ("F", "F", "S", "FF", "F"):
        shared.report(outcomes)
    assert shared.client is not None
    shared.client.delete(KEYS.eject(A))
    shared.store.sync(CLUSTER, [A])
    events = drain(subscription)
    assert [(event.kind, event.version, event.failures) for event in events] == [
        ("dirty", 0, 1),
        ("clean", 0, 0),
        ("dirty", 0, 2),
        ("eject", 1, 3),
        ("uneject", 2, 0),
    ]
    eject = events[3]
    assert (eject.cluster, eject.endpoint, eject.workload, eject.generation) == (CLUSTER, A, "pod-a", 1)
    assert (eject.left_ms, eject.ejection_ms, eject.ejections, eject.backoff) == (30_000, 30_000, 1, 1)
    assert (eject.by, eject.reason, events[4].reason) == ("r1/w1", "consecutive_5xx", "by_hand")
    subscription.close()


def test_new_workloads_removals_and_overflows_are_told(shared: Rig) -> None:
    shared.report("FFF")
    subscription = subscribe(shared, CLUSTER)
    shared.report("FF", B)
    shared.report("F", B)
    shared.report("S", generation=0, workload="pod-b")
    shared.report("FFF", generation=0, workload="pod-b")
    shared.store.forget(CLUSTER, A, "pod-b", "r1")
    assert [(event.kind, event.endpoint, event.workload, event.reason) for event in drain(subscription)] == [
        ("dirty", B, "pod-a", ""),
        ("full", B, "pod-a", ""),
        ("clean", B, "pod-a", ""),
        ("uneject", A, "pod-a", "new_workload"),
        ("eject", A, "pod-b", "consecutive_5xx"),
        ("uneject", A, "pod-b", "removed"),
    ]
    subscription.close()


def test_only_the_clusters_asked_for(shared: Rig) -> None:
    subscription = subscribe(shared)
    assert subscription.next(0.01) is None
    shared.report("F")
    subscription.update([CLUSTER, "other"])
    shared.report("S")
    assert [event.kind for event in drain(subscription)] == ["clean"]
    subscription.update(["other"])
    shared.report("F")
    assert drain(subscription) == []
    subscription.close()


def test_foreign_messages_are_no_events(shared: Rig) -> None:
    subscription = subscribe(shared, CLUSTER)
    assert shared.client is not None
    shared.client.publish(KEYS.events, "hello")
    assert subscription.next(1.0) is None
    shared.report("F")
    event = subscription.next(1.0)
    assert event is not None and event.kind == "dirty"
    subscription.close()


def test_a_lost_connection_is_an_error_and_stays_one(start: Start) -> None:
    server = start()
    with connect(Access(server.url), 1.0) as client:
        subscription = RedisStore(client).subscribe([CLUSTER])
        server.stop()
        with pytest.raises(StoreUnavailable):
            for _ in range(3):
                subscription.next(0.5)
        with pytest.raises(StoreUnavailable):
            subscription.next(0.01)
        with pytest.raises(StoreUnavailable):
            RedisStore(client).subscribe([CLUSTER])


def test_a_killed_connection_is_noticed(real: redis.Redis) -> None:
    subscription = RedisStore(real).subscribe([CLUSTER])
    real.client_kill_filter(_type="pubsub")
    with pytest.raises(StoreUnavailable):
        for _ in range(3):
            subscription.next(0.5)


def test_a_subscription_to_nothing_is_no_silence(monkeypatch: pytest.MonkeyPatch, real: redis.Redis) -> None:
    """There may be no cluster with outlier detection yet."""
    monkeypatch.setattr("state.outlier.subscription._SILENCE_S", 0.05)
    monkeypatch.setattr("state.outlier.subscription._CONFIRM_S", 0.2)
    subscription = RedisStore(real).subscribe([])
    for _ in range(10):
        assert subscription.next(0.05) is None
    subscription.update([CLUSTER])
    RedisStore(real).report(batch("F"), SEED)
    event = subscription.next(1.0)
    assert event is not None and event.kind == "dirty"
    subscription.update([])
    for _ in range(10):
        subscription.next(0.05)
    subscription.close()


def test_a_silent_subscription_is_asked_and_given_up(monkeypatch: pytest.MonkeyPatch, start: Start) -> None:
    """Its network may be gone without a word."""
    monkeypatch.setattr("state.outlier.subscription._SILENCE_S", 0.1)
    server = start()
    with connect(Access(server.url), 1.0) as client:
        subscription = RedisStore(client).subscribe([CLUSTER])
        monkeypatch.setattr("state.outlier.subscription._CONFIRM_S", 0.3)
        began = time.monotonic()
        while time.monotonic() < began + 1:
            assert subscription.next(0.05) is None
        os.kill(server.pid, signal.SIGSTOP)
        with within(1.5), pytest.raises(StoreUnavailable, match="nothing comes"):
            while True:
                subscription.next(0.05)


def test_whoever_listens_has_loaded_all_scripts(shared: Rig) -> None:
    """A server that was restarted has none, and each would take three round trips when it is needed first."""
    assert shared.client is not None
    shared.client.script_flush()
    store: Any = shared.store
    store.subscribe([CLUSTER]).close()
    assert all(shared.client.script_exists(*[script.sha for script in store._scripts.values()]))
