"""Recovery by probe: out until one request, of one replica at a time, has said that the endpoint is well."""

from dataclasses import replace

import pytest

from state.constants import PROBE_AWAITED_MS
from state.outlier.store import NO_PROBE, Batch, Verdict
from tests.state.state_rig import CLUSTER, KEYS, SEED, A, B, Rig, an_ejection, batch, log_of

PROBED = replace(SEED, base_ejection_ms=60, probe=True)


@pytest.fixture
def out(rig: Rig) -> Verdict:
    """A is out, to be probed in 60 ms."""
    return rig.report("FFF", policy=PROBED)


def test_its_time_being_over_does_not_bring_it_back(rig: Rig, out: Verdict) -> None:
    assert (out.outcome, out.ejection_ms, 0 < out.probe_in_ms <= 60) == ("ejected", 60, True)
    assert out.left_ms == 60 + PROBE_AWAITED_MS
    rig.advance(70)
    assert rig.ejected() == {A}
    assert rig.report("F", policy=PROBED).outcome == "already_ejected"


def test_nobody_probes_before_its_time(rig: Rig, out: Verdict) -> None:
    claim = rig.store.claim_probe(CLUSTER, A, "r1", 1000)
    assert not claim.granted
    assert 0 < claim.wait_ms <= 60
    assert rig.store.probed(probe_of(rig, "S"), PROBED).outcome == "stale"


def test_a_success_brings_it_back(rig: Rig, out: Verdict) -> None:
    rig.advance(70)
    verdict = rig.probe("S", policy=PROBED)
    assert verdict is not None
    assert (verdict.outcome, verdict.left_ms, verdict.probe_in_ms) == ("returned", 0, NO_PROBE)
    assert rig.ejected() == frozenset()
    assert rig.report("FF", policy=PROBED).outcome == "counted"
    assert rig.report("F", policy=PROBED).outcome == "ejected"


def test_a_failure_extends_the_ejection_at_once(rig: Rig, out: Verdict) -> None:
    rig.advance(70)
    verdict = rig.probe("F", policy=PROBED)
    assert verdict is not None
    assert (verdict.outcome, verdict.ejection_ms, verdict.backoff) == ("ejected", 120, 2)
    assert (verdict.generation, verdict.ejections, verdict.failures) == (2, 2, 1)
    assert rig.probe("S", policy=PROBED) is None, "not yet"
    rig.advance(130)
    again = rig.probe("S", policy=PROBED)
    assert again is not None
    assert again.outcome == "returned"


def test_old_evidence_is_no_probe(rig: Rig, out: Verdict) -> None:
    rig.advance(70)
    stale = replace(probe_of(rig, "S"), generation=0)
    assert rig.store.probed(stale, PROBED).outcome == "stale"
    assert rig.ejected() == {A}


def test_it_makes_no_room_under_the_cap_while_it_waits(rig: Rig, out: Verdict) -> None:
    rig.advance(70)
    assert rig.report("FFF", B, policy=PROBED).outcome == "overflow"
    rig.probe("S", policy=PROBED)
    assert rig.report("FFF", B, policy=PROBED).outcome == "ejected"


def test_nobody_probes_it_for_ten_minutes_and_it_is_back(clocked: Rig) -> None:
    clocked.report("FFF", policy=PROBED)
    clocked.advance(60 + PROBE_AWAITED_MS + 1)
    assert clocked.ejected() == frozenset()


def test_one_replica_at_a_time(shared: Rig) -> None:
    shared.report("FFF", policy=PROBED)
    shared.advance(70)
    assert shared.store.claim_probe(CLUSTER, A, "r1", 40).granted
    other = shared.store.claim_probe(CLUSTER, A, "r2", 40)
    assert not other.granted
    assert 0 < other.wait_ms <= 40
    assert shared.store.claim_probe(CLUSTER, A, "r1", 40).granted, "renewed"
    shared.advance(50)
    assert shared.store.claim_probe(CLUSTER, A, "r2", 40).granted


def test_every_turn_is_in_the_log(shared: Rig) -> None:
    assert shared.client is not None
    shared.report("FFF", policy=PROBED)
    shared.advance(70)
    shared.probe("F", policy=PROBED, by="r2")
    shared.advance(130)
    shared.probe("S", policy=PROBED, by="r3")
    entries = log_of(shared)
    told = [(entry["kind"], entry["why"], entry["by"]) for entry in entries]
    assert told == [
        ("eject", "consecutive_5xx", "r1/w1"),
        ("eject", "probe_failed", "r2"),
        ("uneject", "probe_succeeded", "r3"),
    ]


def test_the_key_alone_tells_that_it_is_probed(shared: Rig) -> None:
    """The record was lost (evicted); the eject key is the truth."""
    assert shared.client is not None
    shared.report("FFF", policy=PROBED)
    assert "recovery=probe" in (shared.client.get(KEYS.eject(A)) or "")
    shared.client.delete(KEYS.endpoint(A))
    (ejection,) = shared.store.sync(CLUSTER, [A]).ejections
    assert (ejection.generation, 0 <= ejection.probe_in_ms <= 60) == (1, True)


def test_a_hand_that_sets_the_time_wants_it_back_by_then(shared: Rig) -> None:
    assert shared.client is not None
    shared.report("FFF", policy=PROBED)
    shared.client.pexpire(KEYS.eject(A), 5_000)
    (ejection,) = shared.store.sync(CLUSTER, [A]).ejections
    assert ejection.probe_in_ms == NO_PROBE
    assert 4_000 < ejection.left_ms <= 5_000


def test_deleting_the_key_brings_it_back(shared: Rig) -> None:
    assert shared.client is not None
    shared.report("FFF", policy=PROBED)
    shared.client.delete(KEYS.eject(A))
    assert shared.store.sync(CLUSTER, [A]).ejections == ()
    assert shared.report("F", policy=PROBED).outcome == "counted"


def test_an_offer_keeps_its_probe(rig: Rig) -> None:
    offered = an_ejection(left_ms=5_000, ejection_ms=2_000, generation=4, probe_in_ms=1_000)
    verdict = rig.store.offer(CLUSTER, offered, PROBED)
    assert (verdict.outcome, 900 < verdict.probe_in_ms <= 1_000) == ("ejected", True)


def probe_of(rig: Rig, outcome: str) -> Batch:
    return batch(outcome, A, "pod-a", rig.generations.get(A, 0))
