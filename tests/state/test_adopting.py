"""What is out under another prefix goes on under the new one: as it was, once, and a hand's stays a hand's."""

from dataclasses import replace

from state.keys import Keys
from state.operating.adopting import adopt
from state.operating.operator import Operator, Order
from state.operating.rule import text_for
from state.outlier.redis_store import RedisStore
from tests.state.state_rig import CLUSTER, KEYS, SEED, A, B, C, Rig, batch

NEW = Keys("waypoint:east", CLUSTER)


def adopted(rig: Rig) -> dict[str, str]:
    assert rig.client is not None
    return {each.endpoint: each.outcome for each in adopt(rig.client, "waypoint", "waypoint:east")}


def told(rig: Rig, keys: Keys, endpoint: str) -> str:
    assert rig.client is not None
    return str(rig.client.get(keys.eject(endpoint)))


def test_what_is_out_goes_on_and_a_hands_stays_a_hands(shared: Rig) -> None:
    client = shared.client
    assert client is not None
    shared.store.sync(CLUSTER, [A, B], rule=text_for(SEED, "httpbin/rule", {A: "pod-a", B: "pod-b", C: "pod-c"}))
    assert shared.report("FFF", A).outcome == "ejected"
    operator = Operator(client, "waypoint")
    for endpoint in (B, C):  # beyond the cap
        operator.eject(Order(CLUSTER, endpoint, "alice", "disk full"))
    assert adopted(shared) == {A: "taken over", B: "taken over", C: "taken over"}
    assert "reason=consecutive_5xx consecutive_5xx=3" in told(shared, NEW, A)
    assert "reason=disk%20full" in told(shared, NEW, B)
    assert "by=alice" in told(shared, NEW, B)
    assert client.pttl(NEW.eject(B)) == -1
    assert abs(int(client.pttl(NEW.eject(A))) - int(client.pttl(KEYS.eject(A)))) < 1000
    assert client.exists(KEYS.eject(A)), "others may still go by it"
    assert Operator(client, "waypoint:east").ejections()[0].cluster == CLUSTER


def test_it_may_be_done_again_and_what_was_put_back_since_stays_in(shared: Rig) -> None:
    client = shared.client
    assert client is not None
    shared.store.sync(CLUSTER, [A, B], rule=text_for(SEED, "httpbin/rule", {A: "", B: ""}))
    operator = Operator(client, "waypoint")
    for endpoint in (A, B):
        operator.eject(Order(CLUSTER, endpoint, "alice", "disk full"))
    assert adopted(shared) == {A: "taken over", B: "taken over"}
    here = Operator(client, "waypoint:east", lambda: {CLUSTER: {A: "", B: ""}})
    assert here.uneject(Order(CLUSTER, A, "bob")).changed == "unejected"
    assert adopted(shared) == {A: "has been put back since", B: "is out already"}
    assert (client.exists(NEW.eject(A)), client.xlen(NEW.log)) == (0, 3)


def test_the_cap_of_the_new_fleet_holds_for_what_a_rule_did_and_the_older_goes_before(shared: Rig) -> None:
    client = shared.client
    assert client is not None
    rule = text_for(SEED, "httpbin/rule", {A: "", B: "", C: ""})
    assert shared.report("FFF", A).outcome == "ejected"
    here = RedisStore(client, "waypoint:east")
    here.sync(CLUSTER, [A, B, C], rule=rule)
    shared.advance(5)
    here.report(replace(batch("FFF", B), workload="pod-b"), SEED)
    assert adopted(shared) == {A: "taken over"}
    assert [client.exists(NEW.eject(endpoint)) for endpoint in (A, B)] == [1, 0]


def test_where_nothing_is_out_nothing_is_written(shared: Rig) -> None:
    client = shared.client
    assert client is not None
    shared.store.sync(CLUSTER, [A], rule="consecutive_5xx=3")
    assert adopted(shared) == {}
    assert list(client.scan_iter(match="waypoint:east*")) == []
