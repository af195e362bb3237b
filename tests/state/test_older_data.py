"""A server that has gone back to older data, as with an old dump: the ejections in it may be over."""

from typing import Any

from state.operating.operator import Operator, Order
from tests.state.state_rig import CLUSTER, KEYS, A, B, Rig, log_of


def restored(rig: Rig) -> tuple[int, str]:
    """After an ejection was lifted the server has the data of before. What a replica has known: version and epoch."""
    client: Any = rig.client
    epoch = rig.store.sync(CLUSTER, [A, B], rule="consecutive_5xx=3").epoch
    rig.report("FFF")
    text, record = client.get(KEYS.eject(A)), client.hgetall(KEYS.endpoint(A))
    version, index = client.get(KEYS.version), client.zrange(KEYS.ejected, 0, -1, withscores=True)
    assert Operator(client).uneject(Order(CLUSTER, A, "alice")).changed == "unejected"
    known = int(client.get(KEYS.version))
    client.set(KEYS.eject(A), text, pxat=int(record["ejected_until_ms"]))
    client.hset(KEYS.endpoint(A), mapping=record)
    client.set(KEYS.version, version)
    client.zadd(KEYS.ejected, dict(index))
    return known, epoch


def test_S_F3_older_data_are_noticed_once(shared: Rig) -> None:
    version, epoch = restored(shared)
    view = shared.store.sync(CLUSTER, [A, B], version, epoch)
    assert (view.gone_back, view.epoch != epoch) == (True, True)
    assert not shared.store.sync(CLUSTER, [A, B], view.version, view.epoch).gone_back
    assert not shared.store.sync(CLUSTER, [A, B], version, epoch).gone_back


def test_S_F3_an_ejection_that_is_over_is_withdrawn(shared: Rig) -> None:
    version, epoch = restored(shared)
    view = shared.store.sync(CLUSTER, [A, B], version, epoch)
    (ejection,) = view.ejections
    shared.store.withdraw(CLUSTER, ejection, "r1")
    assert shared.ejected() == frozenset()
    entry = log_of(shared)[-1]
    assert (entry["kind"], entry["why"], entry["by"]) == ("uneject", "restored_from_old_data", "r1")
    assert shared.store.sync(CLUSTER, [A, B]).version > view.version
    shared.report("FFF", generation=1)
    shared.store.withdraw(CLUSTER, ejection, "r2")  # late: there is another one
    assert shared.ejected() == {A}
