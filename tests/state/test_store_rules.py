"""The same rules on the local store, on fakeredis and on a real server."""

from dataclasses import replace

import pytest

from tests.state.state_rig import CLUSTER, SEED, A, B, C, Rig

ALONE = replace(SEED, max_ejection_percent=100, endpoints=1)


def test_three_failures_in_a_row_eject(rig: Rig) -> None:
    assert [rig.report("F").outcome for _ in range(2)] == ["counted", "counted"]
    verdict = rig.report("F", by="r2/w3")
    assert (verdict.outcome, verdict.failures, verdict.generation, verdict.by) == ("ejected", 3, 1, "r2/w3")
    assert (verdict.ejections, verdict.backoff, verdict.ejection_ms) == (1, 1, 30_000)
    assert 29_000 < verdict.left_ms <= 30_000
    assert rig.ejected() == {A}


def test_the_ejected_endpoint_counts_nothing(rig: Rig) -> None:
    rig.report("FFF")
    for outcomes in ("F", "SSS", "FFFF"):
        verdict = rig.report(outcomes)
        assert (verdict.outcome, verdict.generation, verdict.failures) == ("already_ejected", 1, 3)
        assert 0 < verdict.left_ms <= 30_000


def test_a_success_cleans_and_needs_no_record(rig: Rig) -> None:
    assert rig.report("S").outcome == "clean"
    assert rig.store.sync(CLUSTER, [A]).generations == {}
    rig.report("FF")
    assert rig.store.sync(CLUSTER, [A, B]).dirty == {A: 2}
    assert rig.report("S").outcome == "clean"
    assert rig.store.sync(CLUSTER, [A, B]).dirty == {}
    assert rig.report("FF").failures == 2


@pytest.mark.parametrize(
    ("outcomes", "outcome", "failures"),
    [("FSFF", "counted", 2), ("SFFFS", "ejected", 3), ("FFFFF", "ejected", 3), ("FFS", "clean", 0), ("", "clean", 0)],
)
def test_batches(rig: Rig, outcomes: str, outcome: str, failures: int) -> None:
    verdict = rig.report(outcomes)
    assert (verdict.outcome, verdict.failures) == (outcome, failures)


def test_the_second_one_stays_in_under_the_cap(rig: Rig) -> None:
    rig.report("FFF")
    verdicts = [rig.report("F", B) for _ in range(6)]
    assert [v.outcome for v in verdicts] == ["counted", "counted", "overflow"] * 2
    assert verdicts[-1].failures == 0
    assert rig.ejected() == {A}


def test_back_at_the_end_of_the_ejection(rig: Rig) -> None:
    short = replace(SEED, base_ejection_ms=150)
    assert rig.report("FFF", policy=short).left_ms <= 150
    rig.advance(200)
    assert rig.ejected() == frozenset()
    view = rig.store.sync(CLUSTER, [A, B, C])
    assert (view.ejections, view.generations, view.dirty) == ((), {A: 1}, {})
    assert rig.report("F").outcome == "counted"


def test_the_cap_has_room_again_after_the_end(rig: Rig) -> None:
    rig.report("FFF", policy=replace(SEED, base_ejection_ms=100))
    assert rig.report("FFF", B).outcome == "overflow"
    rig.advance(150)
    assert rig.report("FFF", B).outcome == "ejected"


def test_old_evidence_cannot_eject_again(rig: Rig) -> None:
    rig.report("FFF", policy=replace(SEED, base_ejection_ms=50))
    rig.advance(100)
    verdict = rig.report("FFFFF", generation=0)
    assert (verdict.outcome, verdict.generation) == ("stale", 1)
    assert rig.report("FF").failures == 2


def test_a_generation_the_store_does_not_know_is_adopted(rig: Rig) -> None:
    rig.report("FF")
    verdict = rig.report("F", generation=7)
    assert (verdict.outcome, verdict.failures, verdict.generation) == ("counted", 1, 7)


def test_a_success_teaches_a_new_generation_too(rig: Rig) -> None:
    assert rig.report("S", generation=7).outcome == "clean"
    assert rig.report("FFF", generation=6).outcome == "stale"


def test_a_new_workload_at_the_address_starts_anew(rig: Rig) -> None:
    rig.report("FFF")
    verdict = rig.report("F", workload="pod-b", generation=0)
    assert (verdict.outcome, verdict.failures, verdict.generation, verdict.ejections) == ("counted", 1, 0, 0)
    assert rig.ejected() == frozenset()
    assert rig.report("FFF", B).outcome == "ejected"  # the former one no longer counts in the cap


def test_a_threshold_lowered_with_failures_counted(rig: Rig) -> None:
    five = replace(SEED, consecutive_5xx=5)
    assert rig.report("FFFF", policy=five).failures == 4
    assert rig.report("", policy=five).outcome == "counted"
    verdict = rig.report("F", policy=SEED)
    assert (verdict.outcome, verdict.failures) == ("ejected", 5)


def test_a_success_does_not_eject_although_the_threshold_was_lowered(rig: Rig) -> None:
    rig.report("FFFF", policy=replace(SEED, consecutive_5xx=5))
    assert rig.report("S", policy=SEED).outcome == "clean"


def test_a_percentage_lowered_while_one_is_out(rig: Rig) -> None:
    wide = replace(SEED, max_ejection_percent=100)
    rig.report("FFF", policy=wide)
    assert rig.report("FFF", B, policy=replace(SEED, max_ejection_percent=10)).outcome == "overflow"
    assert rig.ejected() == {A}
    assert rig.report("FFF", B, policy=wide).outcome == "ejected"


def test_a_percentage_above_100_is_100(rig: Rig) -> None:
    odd = replace(ALONE, max_ejection_percent=250)
    assert [rig.report("FFF", endpoint, policy=odd).outcome for endpoint in (A, B)] == ["ejected", "overflow"]


def test_one_endpoint(rig: Rig) -> None:
    half = replace(ALONE, max_ejection_percent=50)
    assert [rig.report("F", policy=half).outcome for _ in range(3)] == ["counted", "counted", "overflow"]
    assert rig.report("FFF", policy=replace(ALONE, base_ejection_ms=50)).outcome == "ejected"
    rig.advance(100)
    assert rig.report("F", policy=ALONE).outcome == "counted"


def test_a_view_of_the_cluster(rig: Rig) -> None:
    rig.report("FFF")
    rig.report("F", B, workload="pod-b")
    view = rig.store.sync(CLUSTER, [A, B, C])
    (ejection,) = view.ejections
    assert (ejection.endpoint, ejection.workload, ejection.generation, ejection.failures) == (A, "pod-a", 1, 3)
    assert (ejection.ejections, ejection.backoff, ejection.ejection_ms) == (1, 1, 30_000)
    assert (ejection.reason, view.dirty, view.generations) == ("consecutive_5xx", {B: 1}, {A: 1})
    assert view.epoch == rig.store.glance(CLUSTER, [A]).epoch != ""


def test_an_offer_is_taken_once(rig: Rig) -> None:
    verdict = rig.offer()
    assert (verdict.outcome, verdict.generation, verdict.failures, verdict.by) == ("ejected", 1, 3, "r2/w1")
    assert 19_000 < verdict.left_ms <= 20_000
    assert rig.offer(left_ms=19_000).outcome == "already_ejected"
    assert rig.ejected() == {A}
    assert rig.offer(B).outcome == "overflow"


def test_an_offer_of_an_ejection_that_is_over_is_refused(rig: Rig) -> None:
    rig.report("FFF", policy=replace(SEED, base_ejection_ms=50))
    rig.advance(100)
    assert rig.offer(generation=1).outcome == "stale"
    assert rig.offer(generation=2, left_ms=0).outcome == "stale"
    assert rig.ejected() == frozenset()
    assert rig.offer(generation=2).outcome == "ejected"


def test_an_endpoint_that_left_is_forgotten(rig: Rig) -> None:
    rig.report("FFF")
    rig.store.forget(CLUSTER, A, "another", "r1")
    assert rig.ejected() == {A}
    rig.store.forget(CLUSTER, A, "pod-a", "r1")
    assert rig.ejected() == frozenset()
    assert rig.report("FFF", B).outcome == "ejected"
    assert rig.store.sync(CLUSTER, [A, B]).generations == {B: 1}


def test_clusters_do_not_mix(rig: Rig) -> None:
    rig.report("FFF")
    assert rig.store.glance("httpbin/other:8000", [A]).ejected == frozenset()


def test_names_with_spaces_keep_their_identity(rig: Rig) -> None:
    rig.report("FFF", workload="a pod, 100% odd")
    (ejection,) = rig.store.sync(CLUSTER, [A]).ejections
    assert ejection.workload == "a pod, 100% odd"
    assert rig.report("F", workload="a pod, 100% odd").outcome == "already_ejected"


def test_w14_backoff_grows_and_decays(clocked: Rig) -> None:
    policy = replace(ALONE, consecutive_5xx=1, base_ejection_ms=10_000)
    lengths, now = [], 0
    for at in (0, 10_001, 30_002, 80_003, 500_000):
        clocked.advance(at - now)
        now = at
        lengths.append(clocked.report("F", policy=policy).ejection_ms)
    assert lengths == [10_000, 20_000, 30_000, 20_000, 10_000]


def test_w15_backoff_overshoots_the_maximum_by_one(clocked: Rig) -> None:
    policy = replace(ALONE, consecutive_5xx=1, base_ejection_ms=100_000, interval_ms=100_000)
    seen = []
    for _ in range(6):
        verdict = clocked.report("F", policy=policy)
        seen.append((verdict.ejection_ms // 1000, verdict.backoff))
        clocked.advance(verdict.ejection_ms + 1)
    assert seen == [(100, 1), (200, 2), (300, 3), (300, 4), (300, 4), (300, 4)]
    clocked.advance(100_000)
    assert clocked.report("F", policy=policy).backoff == 4
