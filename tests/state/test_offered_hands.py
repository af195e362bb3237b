"""What a hand has ejected is offered again after lost data, and stays what it was: the hand's, and beyond the cap."""

from dataclasses import replace
from typing import Any

from state.outlier.store import BY_HAND, NO_PROBE
from tests.state.state_rig import CLUSTER, KEYS, SEED, A, B, C, Rig, an_ejection, log_of

BY_ALICE = {"workload": "", "by": "alice", "reason": "maintenance", "failures": 0}
ALL = [A, B, C]


def test_S_F4_the_cap_does_not_stop_a_hand_that_is_offered_again(rig: Rig) -> None:
    for endpoint in ALL:
        verdict = rig.store.offer(CLUSTER, an_ejection(endpoint, **BY_ALICE), SEED)
        assert verdict.outcome == "ejected"
    assert rig.ejected() == {*ALL}


def test_S_F4_a_hand_gives_way_to_no_older_ejection(rig: Rig) -> None:
    wide = replace(SEED, max_ejection_percent=100)
    assert rig.store.offer(CLUSTER, an_ejection(A, left_ms=29_000, **BY_ALICE), wide).outcome == "ejected"
    assert rig.store.offer(CLUSTER, an_ejection(B, workload="pod-b", left_ms=5000), SEED).outcome == "overflow"
    assert rig.ejected() == {A}


def test_S_F4_the_rule_still_has_its_cap_beside_a_hand(rig: Rig) -> None:
    rig.store.offer(CLUSTER, an_ejection(A, **BY_ALICE), SEED)
    assert rig.report("FFF", B).outcome == "overflow"


def test_S_F5_a_hand_keeps_its_reason_and_its_name(shared: Rig) -> None:
    client: Any = shared.client
    shared.store.offer(CLUSTER, an_ejection(A, ejection_ms=9_000_000, left_ms=8_000_000, **BY_ALICE), SEED)
    (found,) = shared.store.sync(CLUSTER, ALL).ejections
    assert (found.by, found.reason, found.workload, found.probe_in_ms) == ("alice", "maintenance", "", NO_PROBE)
    text = client.get(KEYS.eject(A))
    assert "reason=maintenance" in text
    assert "by=alice" in text
    (entry,) = log_of(shared)
    assert (entry["why"], entry["by"], entry["reason"]) == ("offered", "alice", "maintenance")


def test_S_F5_a_hand_stays_when_another_workload_takes_the_address(shared: Rig) -> None:
    shared.store.offer(CLUSTER, an_ejection(A, **BY_ALICE), SEED)
    assert shared.report("F", A, workload="another").outcome == "already_ejected"
    assert shared.ejected() == {A}


def test_S_F5_alone_a_replica_knows_a_hand_too(rig: Rig) -> None:
    rig.store.offer(CLUSTER, an_ejection(A, **BY_ALICE | {"reason": BY_HAND}), SEED)
    (found,) = rig.store.sync(CLUSTER, ALL).ejections
    assert found.reason == BY_HAND


def test_S_F5_a_hand_takes_the_place_of_what_older_data_have_brought_back(rig: Rig) -> None:
    rig.store.offer(CLUSTER, an_ejection(A), SEED)
    assert rig.store.offer(CLUSTER, an_ejection(A, generation=1, **BY_ALICE), SEED).outcome == "already_ejected"
    assert rig.store.offer(CLUSTER, an_ejection(A, generation=2, **BY_ALICE), SEED).outcome == "ejected"
    (found,) = rig.store.sync(CLUSTER, ALL).ejections
    assert found.generation == 2
