"""Who gets the next request, while endpoints go out and come back on the scoreboard."""

import time
from collections import Counter
from collections.abc import Sequence
from random import Random

import pytest

from proxy.mesh.model import Group
from proxy.mesh.traffic.balancing import ConsistentHash, LoadBalancer, Maglev, Simple
from proxy.mesh.traffic.policy import DEFAULT_LOAD_BALANCER
from proxy.scoreboard.scoreboard import Scoreboard
from tests.instruments.choosing import changes, pick
from tests.relay_rig import cluster, relay

CLUSTER = "web/web:80"


class Board:
    """A scoreboard with one cluster, and workers that choose from it."""

    def __init__(
        self,
        count: int,
        workers: int = 1,
        ejects: bool = True,
        balancer: LoadBalancer = DEFAULT_LOAD_BALANCER,
        weights: tuple[int, ...] = (),
        min_health: int = 0,
        groups: Sequence[Group] = (),
        joined_ms: Sequence[int] = (),
    ) -> None:
        self.board = Scoreboard.create()
        ips = [f"10.0.{at // 200}.{at % 200}" for at in range(count)]
        body = cluster(self.board, CLUSTER, ips, ejects, balancer, weights, min_health, groups, joined_ms)
        self.body, self.slot = body, body["slot"]
        self.slots = [endpoint["slot"] for endpoint in body["endpoints"]]
        self.names = [f"{endpoint['ip']}:80" for endpoint in body["endpoints"]]
        self.workers = [relay(self.board, number) for number in range(workers)]
        for each in self.workers:
            each.apply(True, [body], [])

    def out(self, position: int, ms: int = 1_000_000) -> int:
        """Takes the endpoint out for so long, or back: until when, in ms."""
        until = time.monotonic_ns() // 1_000_000 + ms if ms else 0
        state = self.board.outlier.state(self.slots[position])
        self.board.outlier.set_state(self.slots[position], state._replace(ejected_until_ms=until))
        return until

    def turns(self, count: int, which: int = 0, tried: tuple[int, ...] = ()) -> list[int | None]:
        """Positions of the next picks."""
        names = [self.names[position] for position in tried]
        picked = [pick(self.workers[which], CLUSTER, names) for _ in range(count)]
        return [None if name is None else self.names.index(name) for name in picked]

    def of_keys(self, keys: Sequence[int], which: int = 0) -> list[int]:
        """Positions that have the keys."""
        return [self.names.index(pick(self.workers[which], CLUSTER, (), key) or "") for key in keys]


def test_turns_are_strict_over_workers_while_endpoints_go_and_come() -> None:
    made = Board(5, workers=3)
    assert [made.turns(1, which)[0] for which in (0, 1, 2, 0, 1, 2, 0)] == [0, 1, 2, 3, 4, 0, 1]
    made.out(2)
    assert [made.turns(1, which)[0] for which in (2, 1, 0, 2, 1, 0)] == [3, 4, 0, 1, 3, 4]
    made.out(2, 0)
    assert [made.turns(1, which)[0] for which in (0, 1, 2, 0)] == [0, 1, 2, 3]


def test_turns_are_shared_evenly_among_a_thousand() -> None:
    made = Board(1000, workers=2)
    made.out(17)
    counts = Counter(made.turns(999) + made.turns(999, which=1))
    assert set(counts) == set(range(1000)) - {17} and set(counts.values()) == {2}


def test_ejections_end_by_time_alone_and_not_before() -> None:
    made = Board(3)
    ends = {position: made.out(position, ms) for position, ms in ((0, 60), (1, 20))}
    before = changes(made.board, made.slot)
    came: dict[int | None, int] = {}
    while not came.keys() >= {0, 1, 2}:  # the test's time limit ends it if one never comes
        came.setdefault(made.turns(1)[0], time.monotonic_ns() // 1_000_000)
    assert all(came[position] >= end for position, end in ends.items())
    assert set(made.turns(3)) == {0, 1, 2}
    assert changes(made.board, made.slot) == before, "nobody wrote that"


def test_an_end_that_is_put_off_or_brought_forward() -> None:
    made = Board(2)
    made.out(0, ms=1)
    made.out(0, ms=1_000_000)
    time.sleep(0.005)
    assert made.turns(3) == [1, 1, 1]
    made.out(0, 0)
    assert made.turns(2) == [0, 1]


def test_who_was_tried_has_no_turn_and_loses_none() -> None:
    made = Board(3)
    assert made.turns(1) == [0]
    assert made.turns(1, tried=(1,)) == [2]
    assert made.turns(1, tried=(0, 1, 2)) == [None]
    assert made.turns(2) == [0, 1], "the marks are gone, and the cursor stayed"
    made.out(2)
    assert made.turns(1, tried=(0, 1)) == [None]


def test_all_are_out() -> None:
    made = Board(2)
    made.out(0)
    made.out(1)
    assert made.turns(2) == [None, None]
    assert Board(0).turns(1) == [None]


def test_below_min_health_all_get_requests_until_enough_are_back() -> None:
    made = Board(4, min_health=50)
    made.out(0)
    made.out(1)
    assert made.turns(4) == [2, 3, 2, 3], "2 of 4 are not below 50 %"
    made.out(2)
    assert made.turns(5) == [0, 1, 2, 3, 0]
    made.out(3, ms=20)
    assert sorted(made.turns(4), key=str) == [0, 1, 2, 3], "even when nobody is in"
    made.out(2, 0)
    while len(set(made.turns(4))) == 4:  # until 3 has served its time; the test's own limit ends it
        time.sleep(0.001)
    assert set(made.turns(4)) == {2, 3}


@pytest.mark.parametrize("which", [0, 1])
def test_an_offer_is_taken_by_one_request_of_all_workers(which: int) -> None:
    made = Board(3, workers=2)
    made.out(1)
    assert made.turns(2) == [0, 2]
    made.board.probes.offer(made.slots[1])
    assert made.turns(1, which, tried=(1,)) == [0], "not by one that has tried it"
    assert made.turns(3, which) == [1, 2, 0]
    assert made.turns(2, 1 - which) == [2, 0], "the other worker looked, and was too late"
    made.board.probes.end(made.slots[1])
    made.board.probes.offer(made.slots[1])
    assert made.turns(1, 1 - which) == [1]


def test_an_offer_withdrawn_or_overtaken_is_none() -> None:
    made = Board(3)
    made.out(0)
    made.board.probes.offer(made.slots[0])
    made.board.probes.withdraw(made.slots[0])
    assert made.turns(2) == [1, 2]
    made.board.probes.offer(made.slots[0])
    made.out(0, 0)
    assert made.turns(2) == [0, 1], "it is back: a turn as any other"
    assert not made.board.probes.pending(made.slots[0])


def test_two_offers_are_two_requests() -> None:
    made = Board(4)
    for position in (1, 2):
        made.out(position)
        made.board.probes.offer(made.slots[position])
    assert set(made.turns(2)) == {1, 2}
    assert made.turns(2) == [0, 3]


def test_without_a_policy_nobody_is_out() -> None:
    made = Board(2, ejects=False)
    made.out(0)
    assert made.turns(2) == [0, 1]


def test_only_who_is_out_is_a_change() -> None:
    """Workers look at all endpoints again for each change; that a failure is counted is none."""
    made = Board(2)
    slot, before = made.slots[0], changes(made.board, made.slot)
    made.board.outlier.set_state(slot, made.board.outlier.state(slot)._replace(failures=3, dirty=True))
    assert changes(made.board, made.slot) == before
    made.out(0)
    assert changes(made.board, made.slot) == before + 1


RANDOM = LoadBalancer(simple=Simple.RANDOM)
LEAST_REQUEST = LoadBalancer(simple=Simple.LEAST_REQUEST)
RING_HASH = LoadBalancer(consistent_hash=ConsistentHash(http_header_name="x-user"))
MAGLEV = LoadBalancer(consistent_hash=ConsistentHash(http_header_name="x-user", maglev=Maglev(table_size=65537)))
by_key = pytest.mark.parametrize("balancer", [RING_HASH, MAGLEV])
KEYS = [Random(at).getrandbits(64) | 1 for at in range(20_000)]


@pytest.mark.parametrize("balancer", [DEFAULT_LOAD_BALANCER, RANDOM, LEAST_REQUEST, RING_HASH, MAGLEV])
def test_nobody_who_is_out_or_was_tried(balancer: LoadBalancer) -> None:
    made = Board(4, balancer=balancer)
    made.out(1)
    assert set(made.turns(100)) == {0, 2, 3}
    assert set(made.turns(100, tried=(0,))) == {2, 3}
    assert set(made.turns(3, tried=(0, 2, 3))) == {None}
    for position in (0, 2, 3):
        made.out(position)
    assert made.turns(1) == [None]


@pytest.mark.parametrize("balancer", [RANDOM, LEAST_REQUEST])
def test_lots_are_even_and_each_workers_own(balancer: LoadBalancer) -> None:
    made = Board(5, workers=2, balancer=balancer)
    turns = [made.turns(10_000, which) for which in (0, 1)]
    assert turns[0] != turns[1]
    assert all(1800 < count < 2200 for each in turns for count in Counter(each).values())


def test_weights_of_the_endpoints() -> None:
    weights = (1, 2, 3, 4)
    for balancer, exact in ((DEFAULT_LOAD_BALANCER, 3), (LEAST_REQUEST, 300)):
        counts = Counter(Board(4, balancer=balancer, weights=weights).turns(10_000))
        assert all(abs(counts[position] - weight * 1000) <= exact for position, weight in enumerate(weights))
    counts = Counter(Board(4, balancer=RANDOM, weights=weights).turns(10_000))
    assert all(2200 < count < 2800 for count in counts.values()), "RANDOM knows of no weights"


def test_turns_by_weight_are_the_replicas() -> None:
    weights = (1, 2, 3, 4)
    made = Board(4, workers=2, weights=weights)
    counts = Counter(turn for _ in range(500) for which in (0, 1) for turn in made.turns(1, which))
    assert all(abs(counts[position] - weight * 100) <= 3 for position, weight in enumerate(weights))


@by_key
def test_a_key_has_the_same_endpoint_in_every_worker_and_replica(balancer: LoadBalancer) -> None:
    made, other = Board(10, workers=2, balancer=balancer), Board(10, balancer=balancer)
    keys = KEYS[:500]
    assert made.of_keys(keys) == made.of_keys(keys, 1) == other.of_keys(keys)
    assert len(set(made.turns(200))) == 10, "without a key any will do"


@by_key
def test_ten_endpoints_are_balanced_within_ten_percent(balancer: LoadBalancer) -> None:
    counts = Counter(Board(10, balancer=balancer).of_keys(KEYS))
    assert all(abs(count / (len(KEYS) / 10) - 1) < 0.1 for count in counts.values())


@by_key
def test_an_ejection_moves_only_the_keys_of_the_ejected(balancer: LoadBalancer) -> None:
    made = Board(10, balancer=balancer)
    before = made.of_keys(KEYS)
    made.out(3)
    after = made.of_keys(KEYS)
    assert sum(new != old for old, new in zip(before, after, strict=True) if old != 3) == 0
    assert 3 not in after
    made.out(3, 0)
    assert made.of_keys(KEYS) == before
