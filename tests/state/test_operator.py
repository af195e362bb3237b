"""What operators see and do over Redis alone."""

from dataclasses import replace

import pytest

from state.operating.operator import Done, Operator, Order
from state.operating.viewer import Refused
from state.outlier.store import BY_HAND
from tests.state.state_rig import CLUSTER, KEYS, SEED, A, B, C, Rig

RULE = (
    "consecutive_5xx=3 interval=10s base_ejection_time=30s max_ejection_percent=50 endpoints=3 local_origin_quorum=1 "
    f"recovery=full destination_rule=httpbin/in-ambient-failover addresses={A}/pod-a,{B}/pod-b,{C}/pod-c"
)
PROBED = replace(SEED, probe=True)


def operator(rig: Rig, told: bool = True) -> Operator:
    """Where a replica has told of its rule, unless not `told`."""
    assert rig.client is not None
    if told:
        rig.store.sync(CLUSTER, [A, B, C], rule=RULE)
    return Operator(rig.client)


def order(endpoint: str = A, ejection_ms: int = 5000, why: str = "bad disk", by: str = "alice") -> Order:
    return Order(CLUSTER, endpoint, by, why, ejection_ms)


def entries(made: Operator) -> list[tuple[str, str, str, str]]:
    return [(each.kind, each.why, each.by, each.reason) for each in made.history()]


def test_an_endpoint_without_a_record_is_ejected_and_put_back(shared: Rig) -> None:
    made = operator(shared)
    assert made.eject(order()) == Done(CLUSTER, A, "ejected")
    assert shared.ejected() == {A}
    (ejection,) = shared.store.sync(CLUSTER, [A, B]).ejections
    assert (ejection.by, ejection.reason, ejection.workload, ejection.generation) == ("alice", "bad disk", "", 1)
    assert 4000 < ejection.left_ms <= 5000
    (out,) = made.ejections()
    assert (out.why, out.by, out.key, out.workload) == ("bad disk", "alice", KEYS.eject(A), "pod-a")
    assert made.uneject(order(by="bob", why="new disk")) == Done(CLUSTER, A, "unejected")
    assert shared.ejected() == frozenset()
    assert shared.store.sync(CLUSTER, [A]).version == 2
    assert entries(made) == [("by_hand", "ejected", "alice", "bad disk"), ("by_hand", "unejected", "bob", "new disk")]


def test_a_hand_moves_the_version_and_fences_old_evidence(shared: Rig) -> None:
    made = operator(shared)
    shared.report("FF")
    made.eject(order())
    made.uneject(order())
    assert shared.report("F", generation=0).outcome == "stale"
    assert shared.report("F", generation=1).failures == 1


def test_the_time_of_an_ejection_is_changed_by_hand(shared: Rig) -> None:
    made = operator(shared)
    shared.report("FFF")
    assert made.eject(order(ejection_ms=90_000)).changed == "changed"
    (ejection,) = shared.store.sync(CLUSTER, [A]).ejections
    assert 80_000 < ejection.left_ms <= 90_000
    assert [(each[0], each[1]) for each in entries(made)] == [("eject", "consecutive_5xx"), ("by_hand", "changed")]
    assert shared.report("FFF", B).outcome == "overflow", "it counts for the cap like any other"


def test_without_a_time_it_is_out_until_it_is_put_back(shared: Rig) -> None:
    made = operator(shared)
    made.eject(order(ejection_ms=0, why=""))
    assert shared.client is not None
    assert shared.client.pttl(KEYS.eject(A)) == -1
    assert "ejection_time=forever" in str(shared.client.get(KEYS.eject(A)))
    shared.store.sync(CLUSTER, [A])
    assert shared.store.glance(CLUSTER, [A, B]).left_ms == {A: 315_360_000_000}
    (out,) = made.ejections()
    assert (out.left_s, out.why) == (None, BY_HAND)
    (told,) = made.history()
    assert (told.ejection_time, told.reason, told.why) == ("forever", "", "ejected")
    made.uneject(order())
    assert shared.ejected() == frozenset()


def test_the_cap_does_not_stop_a_hand_that_is_warned(shared: Rig) -> None:
    made = operator(shared)
    assert made.eject(order(A)).warning == ""
    assert made.eject(order(B)).warning == "2 of 3 endpoints are out, more than maxEjectionPercent 50 allows"
    assert made.eject(order(C)).warning == "3 of 3 endpoints are out: requests for the cluster get 503 (UH)"
    assert shared.ejected() == {A, B, C}


def test_what_is_not_there_is_refused_with_what_is(shared: Rig) -> None:
    made = operator(shared, told=False)
    with pytest.raises(Refused, match="no replica has told of any"):
        made.eject(order())
    operator(shared)
    with pytest.raises(Refused, match=f"unknown cluster 'nowhere:80'; there is: {CLUSTER}"):
        made.eject(replace(order(), cluster="nowhere:80"))
    with pytest.raises(Refused, match=f"unknown endpoint '10.9.9.9:80' of {CLUSTER}; there is: {A}, {B}, {C}"):
        made.eject(order("10.9.9.9:80"))
    made.eject(order(B))
    with pytest.raises(Refused, match=f"{A} of {CLUSTER} is not ejected; what is: {B}"):
        made.uneject(order(A))
    for wrong in ({"by": ""}, {"why": "x" * 201}, {"by": "x" * 201}, {"ejection_ms": 315_360_000_000}):
        with pytest.raises(Refused):
            replace(order(), **wrong)


def test_N17_an_endpoint_may_be_called_by_its_workload(shared: Rig) -> None:
    made = operator(shared)
    workload = "pod-b"
    assert made.eject(order(workload)).endpoint == B
    assert shared.ejected() == {B}
    assert [each.endpoint for each in made.explain(CLUSTER, workload).reports] == [B]
    assert [each.endpoint for each in made.history(CLUSTER, workload)] == [B]
    assert made.uneject(order(workload)).endpoint == B
    with pytest.raises(Refused, match="unknown endpoint 'pod-nowhere'"):
        made.eject(order("pod-nowhere"))


def test_N17_a_workload_with_several_addresses_is_a_question(shared: Rig) -> None:
    made = operator(shared, told=False)
    shared.store.sync(CLUSTER, [A, B], rule=RULE.replace("pod-b", "pod-a"))
    with pytest.raises(Refused, match=f"pod-a has several addresses, say which: {A}, {B}"):
        made.eject(order("pod-a"))


def test_a_cluster_known_by_a_hand_s_key_only(shared: Rig) -> None:
    made = operator(shared, told=False)
    assert shared.client is not None
    shared.client.set(KEYS.eject(B), "reason=maintenance", px=5000)
    assert made.clusters() == {CLUSTER: {B}}
    assert "no replica has told" in made.eject(order(A)).warning
    with pytest.raises(Refused, match=r"it is IP:PORT|there is"):
        made.eject(order("pod-1"))
    made.uneject(order(B))
    assert shared.ejected() == {A}


def test_words_of_a_hand_cannot_be_taken_for_others(shared: Rig) -> None:
    made = operator(shared)
    made.eject(order(why="x by=nobody\ngeneration=99", by="a b"))
    (out,) = made.ejections()
    assert (out.why, out.by) == ("x by=nobody\ngeneration=99", "a b")
    assert shared.store.sync(CLUSTER, [A]).generations == {A: 1}


def test_looking_changes_nothing(shared: Rig) -> None:
    made = operator(shared)
    shared.report("FF", B)
    assert shared.client is not None
    shared.client.set(KEYS.eject(A), "x", px=5000)
    before = {key: shared.client.dump(key) for key in shared.client.keys("*")}
    made.ejections()
    made.history()
    made.explain(CLUSTER)
    assert {key: shared.client.dump(key) for key in shared.client.keys("*")} == before


def test_history_is_one_of_all_clusters_in_time(shared: Rig) -> None:
    made = operator(shared)
    other = "httpbin/other:80"
    assert shared.client is not None
    shared.store.sync(other, [A], rule=RULE)
    made.eject(order(A))
    made.eject(replace(order(B), cluster=other))
    made.eject(order(C))
    assert {(each.cluster, each.endpoint) for each in made.history()} == {(CLUSTER, A), (other, B), (CLUSTER, C)}
    told = made.history()
    assert [each.time_ms for each in told] == sorted(each.time_ms for each in told)
    assert [each.endpoint for each in made.history(CLUSTER)] == [A, C]
    assert [each.endpoint for each in made.history(CLUSTER, limit=1)] == [C]
    assert [each.endpoint for each in made.history(endpoint=B)] == [B]
    assert made.history(since_ms=told[-1].time_ms + 1) == []
    with pytest.raises(Refused):
        made.history("nowhere:80")


def test_an_endpoint_that_waits_for_a_probe(shared: Rig) -> None:
    made = operator(shared)
    shared.report("FFF", policy=PROBED)
    (out,) = made.ejections()
    assert out.left_s is not None and 620 < out.left_s <= 630
    assert out.probe_in_s is not None and 25 < out.probe_in_s <= 30
    shared.report("FFF", C, policy=replace(PROBED, base_ejection_ms=1, max_ejection_percent=100))
    shared.advance(5)
    assert [each.probe_in_s for each in made.ejections() if each.endpoint == C] == [0]
    assert shared.store.claim_probe(CLUSTER, C, "r7", 1000).granted
    (report,) = made.explain(CLUSTER, C).reports
    assert report.fleet is not None
    assert (report.fleet.probe_in_s, report.fleet.prober) == (0, "r7")


def test_why_an_endpoint_is_in(shared: Rig) -> None:
    made = operator(shared)
    shared.report("FFF", B)
    shared.report("F", by="r1/w1")
    shared.report("L", by="r2/w1")
    shared.advance(20)
    found = made.explain(CLUSTER, A)
    assert (found.threshold, found.endpoints, found.ejected, found.max_ejection_percent) == (3, 3, 1, 50)
    assert (found.destination_rule, found.listening, found.fault) == ("httpbin/in-ambient-failover", 0, "")
    assert found.rule_age_s is not None and found.rule_age_s < 5
    assert "addresses" not in found.rule
    (report,) = found.reports
    facts = report.fleet
    assert facts is not None and report.workload == "pod-a"
    assert (facts.ejected, facts.failures, facts.local_failures, facts.room) == (False, 2, 1, False)
    assert (facts.reporters, facts.local_reporters) == (("r1/w1", "r2/w1"), ("r2/w1",))
    assert facts.run_age_s is not None and 0.02 <= facts.run_age_s < 5
    assert (facts.next_backoff, facts.next_ejection_s, facts.entries) == (1, 30, ())


def test_why_an_endpoint_is_out(shared: Rig) -> None:
    made = operator(shared)
    shared.report("FFF", by="r2")
    (report,) = made.explain(CLUSTER, A).reports
    facts = report.fleet
    assert facts is not None
    assert (facts.ejected, facts.why, facts.by, facts.ejection_s) == (True, "consecutive_5xx=3", "r2", 30)
    assert (facts.failures, facts.room, facts.next_backoff, facts.next_ejection_s) == (0, True, 2, 60)
    assert [each.kind for each in facts.entries] == ["eject"]


def test_every_endpoint_of_a_cluster_in_its_order(shared: Rig) -> None:
    made = operator(shared)
    shared.report("FFF", B)
    found = made.explain(CLUSTER)
    assert [(each.endpoint, each.workload) for each in found.reports] == [(A, "pod-a"), (B, "pod-b"), (C, "pod-c")]
    assert [each.fleet.ejected for each in found.reports if each.fleet] == [False, True, False]


def test_replicas_that_listen_are_counted(shared: Rig) -> None:
    made = operator(shared)
    subscriptions = [shared.store.subscribe([CLUSTER]) for _ in range(2)]  # type: ignore[attr-defined]
    assert made.explain(CLUSTER).listening == 2
    for each in subscriptions:
        each.close()


def test_a_directory_is_believed(shared: Rig) -> None:
    assert shared.client is not None
    made = Operator(shared.client, "waypoint", lambda: {CLUSTER: {A: "pod-a"}})
    made.eject(order(A))
    assert [each.endpoint for each in made.ejections()] == [A]
    with pytest.raises(Refused, match=f"there is: {A}"):
        made.eject(order(B))
