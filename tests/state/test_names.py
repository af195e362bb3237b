"""Replicas that call the pod at an address by different names: one has an old snapshot, and nobody can tell which."""

from state.operating.operator import Operator
from state.outlier.redis_store import RedisStore
from state.outlier.store import Ejection
from tests.state.state_rig import CLUSTER, A, B, C, Rig, log_of
from tests.state.test_views import a_view, by_hand, rule, tell


def told_by(rig: Rig, replica: str, name: str) -> None:
    tell(rig, a_view(replica, A, named=name))


def differ(rig: Rig) -> None:
    told_by(rig, "r1", "pod-a")
    told_by(rig, "r2", "pod-x")


def out(rig: Rig) -> list[Ejection]:
    return list(rig.store.sync(CLUSTER, [A, B, C]).ejections)


def test_S_F2_failures_are_counted_by_address_while_replicas_differ(shared: Rig) -> None:
    assert shared.client is not None
    differ(shared)
    news = RedisStore(shared.client).subscribe([CLUSTER])
    first, second = shared.report("F", workload="pod-a", by="r1"), shared.report("F", workload="pod-x", by="r2")
    assert (first.failures, first.names) == (1, ())
    assert (second.failures, second.names) == (2, ("pod-a", "pod-x"))
    assert shared.report("F", workload="pod-a", by="r1").outcome == "ejected"
    assert [each.workload for each in out(shared)] == [""]  # out for those who call it otherwise, too
    kinds = []
    while (event := news.next(0.3)) is not None:
        kinds.append((event.kind, event.workload))
    assert kinds == [("dirty", "pod-a"), ("dirty", ""), ("eject", "")]
    news.close()


def test_S_F2_a_success_ends_the_run_of_both(shared: Rig) -> None:
    differ(shared)
    shared.report("F", workload="pod-a", by="r1")
    shared.report("F", workload="pod-x", by="r2")
    assert shared.report("S", workload="pod-a", by="r1").outcome == "clean"
    assert shared.report("FF", workload="pod-x", by="r2").failures == 2


def test_S_F2_the_disagreement_is_said_once(shared: Rig) -> None:
    assert shared.client is not None
    differ(shared)
    for _ in range(4):
        shared.report("F", workload="pod-a", by="r1")
        shared.report("S", workload="pod-x", by="r2")
    (entry,) = [each for each in log_of(shared) if each["kind"] == "disagree"]
    assert (entry["endpoint"], entry["why"], entry["reason"]) == (A, "workload", "pod-a,pod-x")
    shared.store.sync(CLUSTER, [A], rule=rule(A))
    facts = Operator(shared.client).explain(CLUSTER, A).reports[0].fleet
    assert facts is not None
    assert facts.names == ("pod-a", "pod-x")


def test_S_F2_a_new_pod_starts_anew_once_the_last_replica_has_heard_of_it(shared: Rig) -> None:
    told_by(shared, "r1", "pod-a")
    told_by(shared, "r2", "pod-a")
    shared.report("FFF", workload="pod-a", by="r1")
    told_by(shared, "r1", "pod-x")
    assert [each.workload for each in out(shared)] == ["pod-a"]
    told_by(shared, "r2", "pod-x")
    assert out(shared) == []
    assert log_of(shared)[-1]["why"] == "new_workload"
    assert shared.report("F", workload="pod-x", by="r2", generation=0).failures == 1


def test_S_F2_what_was_out_is_out_for_all_once_another_name_has_failed_there_too(shared: Rig) -> None:
    told_by(shared, "r1", "pod-a")
    shared.report("FFF", workload="pod-a", by="r1")
    told_by(shared, "r2", "pod-x")
    assert shared.report("F", workload="pod-x", by="r2").outcome == "already_ejected"
    assert [each.workload for each in out(shared)] == [""]
    told_by(shared, "r1", "pod-x")  # of one mind: it is that pod's
    assert [each.workload for each in out(shared)] == ["pod-x"]


def test_S_F2_a_replica_that_is_gone_has_no_name_for_it(shared: Rig) -> None:
    tell(shared, a_view("r1", A, named="pod-a", for_ms=200))
    shared.report("FF", workload="pod-a", by="r1")
    shared.advance(300)
    told_by(shared, "r2", "pod-x")
    verdict = shared.report("F", workload="pod-x", by="r2")
    assert (verdict.failures, verdict.names) == (1, ())


def test_S_F2_a_hand_is_the_addresss_whoever_is_there(shared: Rig) -> None:
    by_hand(shared, A)
    differ(shared)
    told_by(shared, "r1", "pod-x")
    shared.report("F", workload="pod-x", by="r1")
    assert [(each.workload, each.reason) for each in out(shared)] == [("", "maintenance")]


def test_S_F2_reports_before_the_first_look_with_a_new_snapshot(shared: Rig) -> None:
    """What the reporter said of itself before is not held against what it says now."""
    told_by(shared, "r1", "pod-a")
    shared.report("FFF", workload="pod-a", by="r1")
    verdict = shared.report("F", workload="pod-x", by="r1", generation=0)
    assert (verdict.outcome, verdict.failures, verdict.names) == ("counted", 1, ())
