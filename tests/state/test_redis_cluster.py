"""A Redis Cluster: every script keeps to one slot, redirections are followed, a slot on the move costs nobody time."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.crc import key_slot

from state.errors import StoreUnavailable
from state.outlier.redis_store import RedisStore
from state.server.access import Access
from tests.patience import within
from tests.redis_rig import Nodes, Server, binaries, cluster
from tests.rig import wait_until
from tests.state.state_rig import CLUSTER, KEYS, SEED, A, B, Rig, batch, opened, works

SLOT = key_slot(KEYS.version.encode())


@pytest.fixture(scope="module", params=binaries())
def nodes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """Two nodes that share the slots, and one that has none and that no client has heard of."""
    with cluster(tmp_path_factory.mktemp("cluster"), binaries()[request.param], 2, idle=1) as made:
        yield made


@pytest.fixture
def rig(nodes: Nodes) -> Iterator[Rig]:
    with opened(Access(nodes.url)) as made:
        for each in nodes.servers:
            with each.client() as client:
                client.flushall()
        yield made


def other(nodes: Nodes) -> Server:
    """The node that no client has heard of, or one that does not own our slot."""
    return next(each for each in reversed(nodes.servers) if each is not nodes.owner(SLOT))


def test_every_script_keeps_to_one_slot(rig: Rig) -> None:
    works(rig)


def test_keys_of_all_nodes_are_found(rig: Rig) -> None:
    assert rig.client is not None
    names = {f"waypoint:{{httpbin/{i}:80}}:version" for i in range(20)}
    for name in names:
        rig.client.set(name, "1")
    assert set(rig.client.scan_iter(match="waypoint:*")) == names


def test_a_slot_that_has_moved_is_found_by_its_redirection(nodes: Nodes, rig: Rig) -> None:
    rig.report("FFF")
    subscription = RedisStore(rig.client).subscribe([CLUSTER])  # type: ignore[arg-type]
    nodes.move(SLOT, nodes.owner(SLOT), other(nodes))
    assert rig.ejected() == {A}, "the first call finds it"
    assert rig.report("F").outcome == "already_ejected"
    rig.report("F", B)
    event = subscription.next(1.0)
    assert event is not None and (event.kind, event.endpoint) == ("dirty", B), "all nodes pass messages on"
    subscription.close()


def test_a_slot_on_the_move(nodes: Nodes, rig: Rig) -> None:
    """Some keys here, some there: unavailable at once, nothing counted; once it is over, as if nothing had been."""
    rig.report("F")
    rig.store.sync(CLUSTER, [A])
    source, target = nodes.owner(SLOT), other(nodes)
    nodes.begin_to_move(SLOT, source, target)
    for keys in (1, 100):
        moved = nodes.move_keys(SLOT, source, target, keys)
        assert moved
        with within(0.1), pytest.raises(StoreUnavailable, match=r"TRYAGAIN|TryAgain"):
            rig.store.report(batch("F"), SEED)
    nodes.finish_moving(SLOT, source, target)
    assert rig.report("F").failures == 2
    assert rig.report("F").outcome == "ejected"


def test_a_key_that_has_gone_ahead_is_asked_for_where_it_is(nodes: Nodes, rig: Rig) -> None:
    assert rig.client is not None
    rig.client.set(KEYS.version, "17")
    source, target = nodes.owner(SLOT), other(nodes)
    nodes.begin_to_move(SLOT, source, target)
    nodes.move_keys(SLOT, source, target)
    assert rig.client.get(KEYS.version) == "17"
    assert rig.client.eval("return redis.call('GET', KEYS[1])", 1, KEYS.version) == "17"
    nodes.finish_moving(SLOT, source, target)
    assert rig.client.get(KEYS.version) == "17"


def test_reports_on_their_way_follow_a_slot_that_moves_in_their_order(nodes: Nodes, rig: Rig) -> None:
    """Redirected, they are made again one after the other; what is sent meanwhile does not overtake them."""
    store: Any = rig.store
    assert store.send(batch("F"), SEED)().failures == 1
    nodes.move(SLOT, nodes.owner(SLOT), other(nodes))
    first, second = store.send(batch("S"), SEED), store.send(batch("F"), SEED)
    assert first().failures == 0
    third = store.send(batch("F"), SEED)
    assert [second().failures, third().failures] == [1, 2]
    assert store.send(batch("F"), SEED)().outcome == "ejected"


def test_a_new_node_needs_the_script_first(nodes: Nodes, rig: Rig) -> None:
    rig.report("F")
    for each in nodes.servers:
        with each.client() as client:
            client.script_flush()
    assert rig.report("F").failures == 2


def test_a_node_that_is_gone_costs_the_timeout_and_others_tell_where_to_go(tmp_path: Path) -> None:
    with cluster(tmp_path, count=2) as made, opened(Access(made.url), 0.2) as rig:
        rig.report("F")
        owner = made.owner(SLOT)
        (left,) = [each for each in made.servers if each is not owner]
        owner.process.send_signal(19)  # SIGSTOP: it accepts and does not answer
        for _ in range(3):
            with within(4 * 0.2 + 0.1), pytest.raises(StoreUnavailable):
                rig.report("F")
        wait_until(lambda: _listens(rig), 2, f"{left.address} tells of the others")
        owner.process.send_signal(18)  # SIGCONT
        wait_until(lambda: _answers(rig), 5)


def _listens(rig: Rig) -> bool:
    try:
        RedisStore(rig.client).subscribe([CLUSTER]).close()  # type: ignore[arg-type]
    except StoreUnavailable:
        return False
    return True


def _answers(rig: Rig) -> bool:
    try:
        return rig.report("F").failures > 0
    except StoreUnavailable:
        return False
