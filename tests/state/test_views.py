"""Who is in a cluster, as its replicas say: what the cap is a share of, and when an endpoint is forgotten."""

from collections.abc import Mapping
from typing import Any, cast

from state.keys import word
from state.operating.operator import Operator, Order
from state.outlier.store import View
from tests.state.state_rig import CLUSTER, KEYS, A, B, C, Rig, log_of

D = "10.10.0.19:8080"
WORKLOADS = {A: "pod-a", B: "pod-b", C: "pod-c", D: "pod-d"}
HELD_MS = 60_000


def a_view(replica: str, *endpoints: str, for_ms: int = HELD_MS, named: str = "") -> View:
    """`named`: what the workload is called there, if not as usual."""
    workloads = {endpoint: named or WORKLOADS[endpoint] for endpoint in endpoints}
    name = "".join(endpoint[-6] for endpoint in endpoints) + named
    return View(replica, name, workloads, for_ms)


def tell(rig: Rig, view: View) -> None:
    """As at the first look with a new snapshot."""
    rig.store.sync(CLUSTER, list(view.workloads), view=view)


def tell_again(rig: Rig, view: View) -> Mapping[str, int]:
    """As at later ones."""
    return rig.store.glance(CLUSTER, list(view.workloads), view).left_ms


def by_hand(rig: Rig, endpoint: str) -> None:
    client: Any = rig.client
    client.set(KEYS.eject(endpoint), "reason=maintenance by=alice")


def test_S_F1_an_ejection_of_an_endpoint_that_is_gone_leaves_the_cap_alone(shared: Rig) -> None:
    old, new = a_view("r1", A, B, C), a_view("r1", D, B, C)
    tell(shared, old)
    by_hand(shared, A)
    tell(shared, old)
    assert shared.report("FFF", B).outcome == "overflow"
    tell(shared, new)
    assert shared.report("FFF", B).outcome == "ejected"
    assert shared.ejected() == {A, B}
    assert shared.report("FFF", C).outcome == "overflow"  # one of three is out, and no more may be


def test_S_F1_an_endpoint_counts_while_any_replica_has_it(shared: Rig) -> None:
    """A rolling update: not all replicas have the new snapshot yet."""
    tell(shared, a_view("r1", A, B, C))
    tell(shared, a_view("r2", D, B, C))
    shared.report("FFF", A)
    assert shared.report("FFF", B, by="r2").outcome == "overflow"
    tell(shared, a_view("r1", D, B, C))
    assert shared.report("FFF", B, by="r2").outcome == "ejected"


def test_S_F1_a_replica_that_is_gone_has_no_say(shared: Rig) -> None:
    tell(shared, a_view("r1", A, B, C, for_ms=100))
    tell(shared, a_view("r2", D, B, C))
    shared.report("FFF", A)
    assert shared.report("FFF", B).outcome == "overflow"
    shared.advance(150)
    assert shared.report("FFF", B).outcome == "ejected"


def test_S_F1_an_endpoint_that_comes_back_counts_again(shared: Rig) -> None:
    tell(shared, a_view("r1", A, B, C))
    by_hand(shared, A)
    tell(shared, a_view("r1", B, C))
    tell(shared, a_view("r1", A, B, C))
    assert shared.report("FFF", B).outcome == "overflow"


def test_S_F1_an_older_ejection_finds_the_room_of_what_is_gone(shared: Rig) -> None:
    by_hand(shared, A)
    tell(shared, a_view("r1", A, B, C))
    assert shared.offer(B).outcome == "overflow"
    tell(shared, a_view("r1", B, C, D))
    assert shared.offer(B).outcome == "ejected"


def test_S_F1_a_large_cluster_is_told_in_parts(shared: Rig) -> None:
    """Until all of it is there the view is not believed: no endpoint seems gone that only comes later."""
    whole = a_view("r1", A, B, C)
    by_hand(shared, C)
    shared.store.sync(CLUSTER, [A, C], view=whole)
    assert shared.report("FFF", A).outcome == "overflow"
    shared.store.sync(CLUSTER, [B], view=whole)
    assert shared.report("FFF", A).outcome == "overflow"
    assert cast(Any, shared.client).hgetall(KEYS.view(whole.name)).keys() == {A, B, C}


def test_S_F1_what_is_gone_is_said_to_be(shared: Rig) -> None:
    tell(shared, a_view("r1", A, B, C))
    by_hand(shared, A)
    shared.store.sync(CLUSTER, [B, C, D], rule=rule(B, C, D), view=a_view("r1", B, C, D))
    assert shared.client is not None
    operator = Operator(shared.client)
    assert [(out.endpoint, out.absent) for out in operator.ejections()] == [(A, True)]
    found = operator.explain(CLUSTER, B)
    assert found.ejected == 0
    assert found.reports[0].fleet is not None
    assert found.reports[0].fleet.room
    assert operator.uneject(Order(CLUSTER, A, "alice")).changed == "unejected"


def rule(*endpoints: str) -> str:
    pairs = ",".join(f"{endpoint}/{word(WORKLOADS[endpoint])}" for endpoint in endpoints)
    return (
        "consecutive_5xx=3 interval=10s base_ejection_time=30s max_ejection_percent=50 endpoints=3 "
        f"local_origin_quorum=1 recovery=full destination_rule=httpbin/rule addresses={pairs}"
    )


def test_S_F1_without_any_replica_the_rule_says_what_is_gone(shared: Rig) -> None:
    by_hand(shared, A)
    shared.store.sync(CLUSTER, [B, C], rule=rule(B, C))
    assert shared.client is not None
    assert [out.absent for out in Operator(shared.client).ejections()] == [True]


def test_a_view_is_told_with_the_looks(shared: Rig) -> None:
    view = a_view("r1", A, B, C, for_ms=1500)
    by_hand(shared, A)
    tell(shared, view)
    shared.advance(1000)
    tell_again(shared, view)
    shared.advance(700)
    tell(shared, a_view("r2", B, C))
    assert shared.report("FFF", B).outcome == "overflow"


def test_S_F9_the_last_replica_to_have_an_endpoint_forgets_it(shared: Rig) -> None:
    tell(shared, a_view("r1", A, B, C))
    tell(shared, a_view("r2", A, B, C))
    shared.report("FFF", A)
    shared.store.forget(CLUSTER, A, "pod-a", "r1")
    tell(shared, a_view("r1", B, C))
    assert shared.ejected() == {A}
    shared.store.forget(CLUSTER, A, "pod-a", "r2")
    assert shared.ejected() == frozenset()
    assert [(each["kind"], each["why"]) for each in log_of(shared)][-1] == ("uneject", "removed")


def test_S_F9_of_two_that_forget_at_once_one_is_the_last(shared: Rig) -> None:
    tell(shared, a_view("r1", A, B, C))
    tell(shared, a_view("r2", A, B, C))
    shared.report("FFF", A)
    for replica in ("r1", "r2"):
        shared.store.forget(CLUSTER, A, "pod-a", replica)
    assert shared.ejected() == frozenset()


def test_S_F9_backoff_stays_while_another_replica_has_the_endpoint(shared: Rig) -> None:
    tell(shared, a_view("r1", A, B, C))
    tell(shared, a_view("r2", A, B, C))
    shared.report("FFF", A)
    cast(Any, shared.client).delete(KEYS.eject(A))
    shared.store.forget(CLUSTER, A, "pod-a", "r1")
    assert shared.report("FFF", A, by="r2").backoff == 2


def test_S_F9_what_a_hand_has_ejected_is_never_forgotten(shared: Rig) -> None:
    tell(shared, a_view("r1", A, B, C))
    by_hand(shared, A)
    tell(shared, a_view("r1", A, B, C))
    shared.store.forget(CLUSTER, A, "pod-a", "r1")
    assert shared.ejected() == {A}


def test_replicas_that_are_gone_leave_no_trace(shared: Rig) -> None:
    tell(shared, a_view("r1", A, B))
    client: Any = shared.client
    client.hset(KEYS.replicas, "old", "told=1 for=1000 view=x")
    tell(shared, a_view("r2", A, B))
    assert client.hgetall(KEYS.replicas).keys() == {"r1", "r2"}


def test_who_tells_of_another_rule_sees_the_one_before(shared: Rig) -> None:
    def told(rule: str) -> str:
        return shared.store.sync(CLUSTER, [A], rule=rule).rule_before

    assert told("consecutive_5xx=3") == told("consecutive_5xx=3") == told("") == ""
    assert told("consecutive_5xx=3 mesh=west") == "consecutive_5xx=3"
    assert told("consecutive_5xx=3") == "consecutive_5xx=3 mesh=west"
    client: Any = shared.client
    client.delete(KEYS.rule)
    client.hset(KEYS.rule, "somebody", "else's")
    assert told("consecutive_5xx=3") == ""
    assert client.get(KEYS.rule) == "consecutive_5xx=3"
