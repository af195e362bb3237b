"""The stream says who did what and why: each way in which an endpoint goes out or comes back leaves one entry."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from state.operating.operator import Operator, Order
from tests.state.state_rig import CLUSTER, KEYS, SEED, A, B, C, Rig, an_ejection, batch, log_of

QUICK = replace(SEED, base_ejection_ms=50)
QUICK_PROBE = replace(QUICK, probe=True)


def eject(rig: Rig) -> None:
    rig.store.report(replace(batch("FFF", by="r1"), evidence="503@r1/id-1,503@r2/id-2,503@r1/id-3"), SEED)


def expire(rig: Rig) -> None:
    rig.report("FFF", policy=QUICK)
    rig.advance(60)


def succeed(rig: Rig) -> None:
    rig.report("FFF", policy=QUICK_PROBE)
    rig.advance(60)
    verdict = rig.probe("S", policy=QUICK_PROBE, by="r2")
    assert verdict is not None and verdict.outcome == "returned"


def fail(rig: Rig) -> None:
    rig.report("FFF", policy=QUICK_PROBE)
    rig.advance(60)
    verdict = rig.probe("F", policy=QUICK_PROBE, by="r2")
    assert verdict is not None and verdict.outcome == "ejected"


def replace_workload(rig: Rig) -> None:
    eject(rig)
    rig.report("S", workload="pod-z", generation=1)


def remove(rig: Rig) -> None:
    eject(rig)
    rig.store.forget(CLUSTER, A, "pod-a", "r1")


def overflow(rig: Rig) -> None:
    rig.report("FFF", policy=replace(SEED, max_ejection_percent=1))


def offer(rig: Rig) -> None:
    rig.store.offer(CLUSTER, an_ejection(by="r2"), SEED)


def set_key(rig: Rig) -> None:
    assert rig.client is not None
    rig.client.set(KEYS.eject(A), "reason=maintenance by=alice", px=5000)


def delete_key(rig: Rig) -> None:
    eject(rig)
    assert rig.client is not None
    rig.client.delete(KEYS.eject(A))


def move_expiry(rig: Rig) -> None:
    eject(rig)
    assert rig.client is not None
    rig.client.expire(KEYS.eject(A), 90)


def set_key_of_what_is_out(rig: Rig) -> None:
    eject(rig)
    assert rig.client is not None
    rig.client.set(KEYS.eject(A), "reason=maintenance by=alice", px=90_000)


def order(rig: Rig) -> tuple[Operator, Order]:
    assert rig.client is not None
    return Operator(rig.client, directory=lambda: {CLUSTER: {A: ""}}), Order(CLUSTER, A, "bob", "a test", 5000)


def eject_by_command(rig: Rig) -> None:
    operator, given = order(rig)
    operator.eject(given)


def uneject_by_command(rig: Rig) -> None:
    eject(rig)
    operator, given = order(rig)
    operator.uneject(given)


def change_by_command(rig: Rig) -> None:
    eject(rig)
    operator, given = order(rig)
    operator.eject(given)


EJECTED = ("eject", "consecutive_5xx", "r1")
PATHS: dict[Callable[[Rig], None], list[tuple[str, str, str]]] = {
    eject: [EJECTED],
    expire: [("eject", "consecutive_5xx", "r1/w1"), ("uneject", "expired", "r1/w1")],
    succeed: [("eject", "consecutive_5xx", "r1/w1"), ("uneject", "probe_succeeded", "r2")],
    fail: [("eject", "consecutive_5xx", "r1/w1"), ("eject", "probe_failed", "r2")],
    replace_workload: [EJECTED, ("uneject", "new_workload", "pod-z")],
    remove: [EJECTED, ("uneject", "removed", "r1")],
    overflow: [("overflow", "max_ejection_percent", "r1/w1")],
    offer: [("eject", "offered", "r2")],
    set_key: [("by_hand", "ejected", "alice")],
    set_key_of_what_is_out: [EJECTED, ("by_hand", "changed", "alice")],
    delete_key: [EJECTED, ("by_hand", "unejected", "hand")],
    move_expiry: [EJECTED, ("by_hand", "changed", "hand")],
    eject_by_command: [("by_hand", "ejected", "bob")],
    uneject_by_command: [EJECTED, ("by_hand", "unejected", "bob")],
    change_by_command: [EJECTED, ("by_hand", "changed", "bob")],
}


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.__name__)
def test_each_way_leaves_one_entry(shared: Rig, path: Callable[[Rig], None]) -> None:
    path(shared)
    for _ in range(3):  # so many replicas look
        shared.store.sync(CLUSTER, [A, B, C])
    assert shared.client is not None
    told = Operator(shared.client, directory=lambda: {CLUSTER: {}}).history()
    assert [(each.kind, each.why, each.by) for each in told] == PATHS[path]
    assert all(each.endpoint == A and each.workload in ("pod-a", "") for each in told)


def test_an_ejection_names_the_requests_that_failed(shared: Rig) -> None:
    eject(shared)
    assert shared.client is not None
    (told,) = Operator(shared.client, directory=lambda: {CLUSTER: {}}).history()
    assert (told.consecutive_5xx, told.ejections, told.backoff, told.ejection_time) == (3, 1, 1, "30s")
    assert told.evidence == ("503@r1/id-1", "503@r2/id-2", "503@r1/id-3")
    assert told.workload == "pod-a"


def test_a_hand_s_words_are_kept(shared: Rig) -> None:
    set_key(shared)
    shared.store.sync(CLUSTER, [A])
    assert shared.client is not None
    (told,) = Operator(shared.client, directory=lambda: {CLUSTER: {}}).history()
    assert (told.reason, told.ejection_time) == ("maintenance", "5s") or told.ejection_time.startswith("4.9")


def test_that_a_rule_is_deleted_is_told_once(shared: Rig) -> None:
    shared.store.sync(CLUSTER, [A], rule="consecutive_5xx=3")
    for by in ("r1", "r2"):
        shared.store.rule_deleted(CLUSTER, by)
    assert [(each["kind"], each["endpoint"], each["by"]) for each in log_of(shared)] == [("rule_deleted", "-", "r1")]
