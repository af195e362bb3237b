"""What operators see and do in Redis: texts, expiries, keys set and deleted by hand, lost data."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import redis

from state.errors import KeysUnusable
from state.outlier.redis_store import RedisStore
from tests.state.state_rig import CLUSTER, KEYS, SEED, A, B, C, Rig, batch, log_of


def client_of(rig: Rig) -> Any:
    assert rig.client is not None
    return rig.client


def test_an_ejection_reads_well(shared: Rig) -> None:
    shared.report("FF", by="r1/w1")
    assert client_of(shared).hget(KEYS.endpoint(A), "reporters") == "r1/w1"
    shared.report("F", by="r2/w1")
    client = client_of(shared)
    assert client.get(KEYS.eject(A)) == (
        "reason=consecutive_5xx consecutive_5xx=3 ejections=1 backoff=1 ejection_time=30s "
        "workload=pod-a generation=1 by=r2/w1"
    )
    assert 29_000 < client.pttl(KEYS.eject(A)) <= 30_000
    assert 600_000 < client.pttl(KEYS.endpoint(A)) <= 630_000
    record = client.hgetall(KEYS.endpoint(A))
    assert (record["workload"], record["generation"], record["last_status"]) == ("pod-a", "1", "503")
    assert client.zrange(KEYS.ejected, 0, -1) == [A]
    assert float(record["ejected_until_ms"]) == client.zscore(KEYS.ejected, A)
    assert client.get(KEYS.version) == "1"
    (entry,) = log_of(shared)
    assert (entry["kind"], entry["why"], entry["ejection_time"], entry["by"]) == (
        "eject",
        "consecutive_5xx",
        "30s",
        "r2/w1",
    )


def test_reporters_of_a_run_are_kept_once_each(shared: Rig) -> None:
    four = replace(SEED, consecutive_5xx=9)
    for by in ("r1/w1", "r2/w1", "r1/w1"):
        shared.report("F", by=by, policy=four)
    assert client_of(shared).hget(KEYS.endpoint(A), "reporters") == "r1/w1,r2/w1"
    shared.report("SF", by="r3/w1", policy=four)
    assert client_of(shared).hget(KEYS.endpoint(A), "reporters") == "r3/w1"


def test_a_success_of_a_clean_endpoint_leaves_no_key(shared: Rig) -> None:
    shared.report("S")
    assert client_of(shared).keys("*") == []


def test_every_key_is_in_the_slot_of_its_cluster(shared: Rig) -> None:
    shared.report("FFF")
    shared.report("FFF", B)
    shared.store.sync(CLUSTER, [A, B])
    assert all(key.startswith("waypoint:{httpbin/in-ambient:8000}:") for key in client_of(shared).keys("*"))


def test_the_prefix_keeps_meshes_apart(shared: Rig) -> None:
    shared.report("FFF")
    other = RedisStore(client_of(shared), prefix="mesh-b")
    assert other.glance(CLUSTER, [A]).ejected == frozenset()


def test_deleting_the_key_unejects(shared: Rig) -> None:
    shared.report("FFF")
    client_of(shared).delete(KEYS.eject(A))
    assert shared.ejected() == frozenset()
    before = shared.store.glance(CLUSTER, [A]).version
    views = [shared.store.sync(CLUSTER, [A]) for _ in range(3)]
    assert [(view.ejections, view.version) for view in views] == [((), before + 1)] * 3
    assert [(entry["kind"], entry["why"]) for entry in log_of(shared)][1:] == [("by_hand", "unejected")]
    assert shared.report("FF").outcome == "counted"  # in the generation of the ejection


def test_deleting_the_key_makes_room_under_the_cap_at_once(shared: Rig) -> None:
    shared.report("FFF")
    client_of(shared).delete(KEYS.eject(A))
    assert shared.report("FFF", B).outcome == "ejected"


def test_an_operator_s_lift_is_obeyed_against_late_offers(shared: Rig) -> None:
    shared.report("FFF")
    client_of(shared).delete(KEYS.eject(A))
    assert shared.offer(generation=1).outcome == "stale"
    assert shared.ejected() == frozenset()


def test_a_key_set_by_hand_ejects_and_fences_old_evidence(shared: Rig) -> None:
    shared.report("FF")
    client_of(shared).set(KEYS.eject(A), "because I say so", px=5_000)
    assert shared.ejected() == {A}
    views = [shared.store.sync(CLUSTER, [A, B]) for _ in range(2)]
    for view in views:
        (ejection,) = view.ejections
        assert (ejection.endpoint, ejection.workload, ejection.reason, ejection.by) == (A, "", "by_hand", "hand")
        assert (ejection.generation, 0 < ejection.left_ms <= 5_000, view.dirty) == (1, True, {})
    assert views[0].version == views[1].version == 1
    assert shared.report("FFF", B).outcome == "overflow"
    client_of(shared).delete(KEYS.eject(A))
    assert shared.report("FFF", generation=0).outcome == "stale"


def test_a_report_sees_a_key_set_by_hand_before_any_sync(shared: Rig) -> None:
    client_of(shared).set(KEYS.eject(A), "reason=maintenance by=alice", px=5_000)
    verdict = shared.report("F")
    assert (verdict.outcome, verdict.generation, verdict.by) == ("already_ejected", 1, "alice")
    assert verdict.reason == "maintenance"
    assert shared.store.sync(CLUSTER, [A]).ejections[0].reason == "maintenance"


def test_a_key_set_by_hand_in_another_encoding(shared: Rig) -> None:
    """It is one ejection like others, and nothing else is harmed by it."""
    client_of(shared).set(KEYS.eject(A), b"reason=f\xfcr by=alice", px=5_000)
    assert shared.ejected() == {A}
    assert shared.report("F", B).outcome == "counted"
    (ejection,) = shared.store.sync(CLUSTER, [A, B]).ejections
    assert ejection.by == "alice"


def test_a_key_set_by_hand_after_an_ejection_nobody_saw_end(shared: Rig) -> None:
    shared.report("FFF", policy=replace(SEED, base_ejection_ms=50))
    shared.advance(100)
    client_of(shared).set(KEYS.eject(A), "reason=maintenance", px=5_000)
    (ejection,) = shared.store.sync(CLUSTER, [A]).ejections
    assert (ejection.reason, ejection.generation) == ("maintenance", 2)
    assert [entry["why"] for entry in log_of(shared)] == ["consecutive_5xx", "expired", "ejected"]


def test_backoff_decays_from_the_time_of_a_lift(shared: Rig) -> None:
    quick = replace(SEED, interval_ms=50)
    shared.report("FFF", policy=quick)
    client_of(shared).delete(KEYS.eject(A))
    shared.store.sync(CLUSTER, [A])
    shared.advance(100)
    assert shared.report("FFF", policy=quick).backoff == 1


def test_a_key_without_expiry_ejects_until_it_is_deleted(shared: Rig) -> None:
    client_of(shared).set(KEYS.eject(A), "x")
    for _ in range(2):
        (ejection,) = shared.store.sync(CLUSTER, [A]).ejections
        assert ejection.left_ms > 10**9
    assert shared.store.glance(CLUSTER, [A]).version == 1
    client_of(shared).delete(KEYS.eject(A))
    assert shared.store.sync(CLUSTER, [A]).ejections == ()


def test_a_key_of_the_wrong_kind_ejects_and_breaks_nothing(shared: Rig) -> None:
    client_of(shared).lpush(KEYS.eject(A), "x")
    assert shared.report("F").outcome == "already_ejected"
    assert shared.store.sync(CLUSTER, [A]).ejections[0].reason == "by_hand"


def test_an_ejection_lengthened_by_hand(shared: Rig) -> None:
    shared.report("FFF")
    client_of(shared).pexpire(KEYS.eject(A), 90_000)
    views = [shared.store.sync(CLUSTER, [A]) for _ in range(2)]
    assert [view.version for view in views] == [2, 2]
    (ejection,) = views[0].ejections
    assert (80_000 < ejection.left_ms <= 90_000, ejection.generation) == (True, 1)


def test_an_ejection_whose_record_was_evicted_is_read_from_its_key(shared: Rig) -> None:
    shared.report("FFF")
    client_of(shared).delete(KEYS.endpoint(A))
    (ejection,) = shared.store.sync(CLUSTER, [A]).ejections
    assert (ejection.workload, ejection.generation, ejection.reason) == ("pod-a", 1, "consecutive_5xx")
    assert (ejection.failures, ejection.ejections, ejection.backoff) == (3, 1, 1)


def test_the_end_of_an_ejection_is_logged_once(shared: Rig) -> None:
    shared.report("FFF", policy=replace(SEED, base_ejection_ms=50))
    shared.advance(100)
    for _ in range(2):
        view = shared.store.sync(CLUSTER, [A])
    assert view.version == 1
    assert [(entry["kind"], entry["why"]) for entry in log_of(shared)] == [
        ("eject", "consecutive_5xx"),
        ("uneject", "expired"),
    ]
    assert client_of(shared).zcard(KEYS.ejected) == 0


def test_overflows_are_logged_at_most_once_a_minute(shared: Rig) -> None:
    none = replace(SEED, max_ejection_percent=10)
    for _ in range(5):
        shared.report("FFF", policy=none)
    assert [entry["kind"] for entry in log_of(shared)] == ["overflow"]
    assert client_of(shared).hget(KEYS.endpoint(A), "overflows") == "5"


def test_the_log_is_capped(real: redis.Redis) -> None:
    store = RedisStore(real)
    for _ in range(400):
        real.set(KEYS.eject(A), "x", px=60_000)
        store.sync(CLUSTER, [A])
        real.delete(KEYS.eject(A))
        store.sync(CLUSTER, [A])
    assert 200 <= real.xlen(KEYS.log) < 400


def test_lost_data_changes_the_epoch_and_offers_restore_it(shared: Rig) -> None:
    shared.report("FFF")
    epoch = shared.store.sync(CLUSTER, [A]).epoch
    assert shared.store.sync(CLUSTER, [A]).epoch == epoch
    client_of(shared).flushall()
    lost = shared.store.glance(CLUSTER, [A])
    assert (lost.version, lost.epoch, lost.ejected) == (0, "", frozenset())
    assert [shared.offer(left_ms=left).outcome for left in (20_000, 19_000, 18_000)] == ["ejected"] + [
        "already_ejected"
    ] * 2
    views = [shared.store.sync(CLUSTER, [A]) for _ in range(2)]
    assert {view.epoch for view in views}.isdisjoint({epoch, ""})
    assert (views[0].epoch, views[0].version, len(log_of(shared))) == (views[1].epoch, 1, 1)


def test_reports_after_lost_data_are_not_stale(shared: Rig) -> None:
    shared.report("FFF", policy=replace(SEED, base_ejection_ms=50))
    shared.advance(100)
    client_of(shared).flushall()
    assert shared.report("FFF").generation == 2


def test_scripts_flushed_between_calls(shared: Rig) -> None:
    shared.report("FF")
    client_of(shared).script_flush()
    assert shared.report("F").outcome == "ejected"


@pytest.mark.parametrize("n", [0, 1, 500])
def test_many_endpoints_at_once(real: redis.Redis, n: int) -> None:
    store, endpoints = RedisStore(real), [f"10.0.{i // 250}.{i % 250}:80" for i in range(n)]
    for endpoint in endpoints[:3]:
        real.set(KEYS.eject(endpoint), "x", px=60_000)
    assert len(store.sync(CLUSTER, endpoints).ejections) == len(store.glance(CLUSTER, endpoints).ejected) == min(n, 3)


def test_an_index_entry_without_a_key_does_not_count(shared: Rig) -> None:
    client_of(shared).zadd(KEYS.ejected, {C: 10**15})
    assert shared.report("FFF").outcome == "ejected"
    assert client_of(shared).zrange(KEYS.ejected, 0, -1) == [A]


# -- lost data, partitions, keys of no use ----------------------------------------------------------------------------


def test_an_epoch_that_has_not_got_so_far_is_replaced_once(shared: Rig) -> None:
    epoch = shared.store.sync(CLUSTER, [A]).epoch
    shared.report("FFF")
    assert shared.store.sync(CLUSTER, [A], 1, epoch).epoch == epoch, "as far as was known"
    fresh = shared.store.sync(CLUSTER, [A], 2, epoch).epoch
    assert fresh != epoch, "a failover has lost version 2"
    assert shared.store.sync(CLUSTER, [A], 2, epoch).epoch == fresh, "another replica asks with what it knew"
    assert shared.store.sync(CLUSTER, [A], 1, fresh).epoch == fresh


def test_younger_ejections_give_way_to_an_older_one(rig: Rig) -> None:
    """Half of four may be out, and both places are taken."""
    policy = replace(SEED, endpoints=4)
    offer = partial(rig.offer, policy=policy)
    assert offer(A, "pod-a", left_ms=25_000).outcome == "ejected"
    assert offer(B, "pod-b", left_ms=20_000).outcome == "ejected"
    assert offer(C, "pod-c", left_ms=26_000).outcome == "overflow", "the youngest of three"
    assert rig.ejected() == {A, B}
    assert offer(C, "pod-c", left_ms=10_000).outcome == "ejected"
    assert rig.ejected() == {B, C}
    assert offer(A, "pod-a", left_ms=25_000, generation=2).outcome == "overflow"
    if rig.client is not None:
        told = [(entry["kind"], entry["endpoint"], entry["why"]) for entry in log_of(rig)]
        assert ("uneject", A, "max_ejection_percent") in told


def test_a_hand_gives_way_to_nobody(shared: Rig) -> None:
    client_of(shared).set(KEYS.eject(A), "reason=maintenance", px=30_000)
    shared.store.sync(CLUSTER, [A])
    assert shared.offer(B, "pod-b", left_ms=1_000).outcome == "overflow"
    assert shared.ejected() == {A}


@pytest.mark.parametrize("name", [KEYS.ejected, KEYS.log, KEYS.version, KEYS.endpoint(A)])
def test_a_key_that_holds_something_else_is_named(real: redis.Redis, name: str) -> None:
    store = RedisStore(real)
    real.hset(name, "a", "b") if name != KEYS.endpoint(A) else real.set(name, "text")
    with pytest.raises(KeysUnusable, match="WRONGTYPE"):
        store.report(batch("FFF"), SEED)
    ((found,),) = [store.misfits(CLUSTER, [A, B])]
    assert found.startswith(f"{name} is a ")
    real.delete(name)
    assert store.misfits(CLUSTER, [A, B]) == []
    assert store.report(batch("FFF"), SEED).outcome in ("ejected", "already_ejected")


def test_a_version_that_is_no_number_is_named(real: redis.Redis) -> None:
    store = RedisStore(real)
    real.set(KEYS.version, "a lot")
    with pytest.raises(KeysUnusable):
        store.report(batch("FFF"), SEED)
    assert store.glance(CLUSTER, [A]).version == 0
    assert store.misfits(CLUSTER, [A]) == [f"{KEYS.version} is no number"]
