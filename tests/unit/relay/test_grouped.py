"""Who gets the next request where endpoints are in groups, or have just joined."""

import time
from collections import Counter
from collections.abc import Sequence

import pytest

from proxy.mesh.model import Group
from proxy.mesh.traffic.balancing import ConsistentHash, LoadBalancer, Maglev, Simple, Warmup
from tests.unit.relay.test_chooser import Board

BY_KEY = ConsistentHash(http_header_name="x-user")
BALANCERS = [
    LoadBalancer(),
    LoadBalancer(simple=Simple.LEAST_REQUEST),
    LoadBalancer(simple=Simple.RANDOM),
    LoadBalancer(consistent_hash=BY_KEY),
    LoadBalancer(consistent_hash=ConsistentHash(http_header_name="x-user", maglev=Maglev(table_size=251))),
]
every_algorithm = pytest.mark.parametrize(
    "balancer", BALANCERS, ids=["ROUND_ROBIN", "LEAST_REQUEST", "RANDOM", "ringHash", "maglev"]
)


def failing_over(*sizes: int) -> list[Group]:
    return [Group(size, str(size)) for size in sizes]


def shares(made: Board, edges: Sequence[int], count: int = 2000) -> list[float]:
    """Percent of the requests for the positions below each edge."""
    counts = Counter(position for position in made.turns(count) if position is not None)
    bounds = [0, *edges]
    return [100 * sum(counts[at] for at in range(low, high)) / count for low, high in zip(bounds, edges, strict=False)]


@every_algorithm
def test_the_first_group_gets_all_while_it_can_and_then_the_next(balancer: LoadBalancer) -> None:
    made = Board(20, balancer=balancer, groups=failing_over(10, 6, 4))
    assert shares(made, [10, 16, 20]) == [100, 0, 0]
    for position in range(5):
        made.out(position)
    assert shares(made, [10, 16, 20]) == pytest.approx([70, 30, 0], abs=5)
    for position in range(5, 10):
        made.out(position)
    assert shares(made, [10, 16, 20]) == [0, 100, 0]
    for position in range(10, 16):
        made.out(position)
    assert shares(made, [10, 16, 20]) == [0, 0, 100]
    for position in range(16):
        made.out(position, 0)
    assert shares(made, [10, 16, 20]) == [100, 0, 0], "and back"


def test_turns_in_a_group_are_strict_over_workers() -> None:
    made = Board(5, workers=2, groups=failing_over(3, 2))
    assert [made.turns(1, which)[0] for which in (0, 1, 1, 0, 1, 0)] == [0, 1, 2, 0, 1, 2]
    for position in range(3):
        made.out(position)
    assert [made.turns(1, which)[0] for which in (0, 1, 1, 0)] == [3, 4, 3, 4]


def test_a_request_that_failed_in_one_group_goes_to_another() -> None:
    made = Board(6, groups=failing_over(2, 2, 2))
    assert made.turns(1, tried=(0,))[0] in (2, 3)
    assert made.turns(1, tried=(0, 2))[0] in (4, 5)
    assert made.turns(1, tried=(0, 2, 4)) == [1], "when all were tried, what is left of the first"
    made.out(2)
    made.out(3)
    assert made.turns(1, tried=(0,))[0] in (4, 5)
    assert made.turns(1, tried=(0, 1, 4, 5)) == [None]
    assert made.turns(2)[0] in (0, 1), "the marks are gone"


def test_weights_of_groups_and_none_for_the_unlisted() -> None:
    made = Board(9, groups=[Group(3, "a", 80), Group(3, "b", 20), Group(3, "unlisted", 0)])
    found = shares(made, [3, 6, 9])
    assert found == pytest.approx([80, 20, 0], abs=4) and not found[2]
    for position in range(6):
        made.out(position)
    assert made.turns(3) == [None] * 3
    made.out(4, 0)
    assert set(made.turns(10)) == {4}
    assert made.turns(1, tried=(4,)) == [None], "not even a retry goes there"


def test_panic_of_one_group_takes_in_its_own() -> None:
    made = Board(4, min_health=50, groups=failing_over(2, 2))
    made.out(0)
    made.out(1)
    assert set(made.turns(20)) == {2, 3}, "the other can take everything"
    made.out(2)
    made.out(3)
    assert set(made.turns(60)) == {0, 1, 2, 3}
    made.out(3, 0)
    assert set(made.turns(20)) == {3} | set(made.turns(60)) & {0, 1}


def test_an_offer_in_any_group_is_taken() -> None:
    made = Board(4, groups=failing_over(2, 2))
    for position in (1, 3):
        made.out(position)
        made.board.probes.offer(made.slots[position])
    assert made.turns(2) == [1, 3]
    assert set(made.turns(60)) == {0, 2}


@pytest.mark.parametrize("balancer", BALANCERS[3:], ids=["ringHash", "maglev"])
def test_a_key_stays_in_its_group(balancer: LoadBalancer) -> None:
    made = Board(20, workers=2, balancer=balancer, groups=failing_over(10, 10))
    for position in range(5):
        made.out(position)
    keys = [7919 * at for at in range(1, 400)]
    assert made.of_keys(keys) == made.of_keys(keys, which=1)
    assert {position < 10 for position in made.of_keys(keys)} == {True, False}


def test_3_1_passthrough_does_not_ask_who_is_out() -> None:
    made = Board(3, balancer=LoadBalancer(simple=Simple.PASSTHROUGH))
    made.out(1)
    assert set(made.turns(100)) == {0, 1, 2}


# -- warm-up ----------------------------------------------------------------------------------------------------------

OLD = 1  # 1970
MINUTE = Warmup(duration_ms=60_000)


def ago(seconds: float) -> int:
    return int((time.time() - seconds) * 1000)


@pytest.mark.parametrize("simple", [Simple.ROUND_ROBIN, Simple.LEAST_REQUEST])
def test_who_has_just_joined_has_part_of_its_share(simple: Simple) -> None:
    made = Board(4, balancer=LoadBalancer(simple=simple, warmup=MINUTE), joined_ms=[OLD, OLD, OLD, ago(30)])
    share = shares(made, [3, 4], 3500)[1]
    assert share == pytest.approx(100 * 0.5 / 3.5, abs=2.5)
    made = Board(4, balancer=LoadBalancer(simple=simple, warmup=MINUTE), joined_ms=[OLD, OLD, OLD, ago(0)])
    assert shares(made, [3, 4], 3100)[1] == pytest.approx(100 * 0.1 / 3.1, abs=1.5)


def test_who_is_warm_takes_strict_turns_again() -> None:
    warm = LoadBalancer(warmup=Warmup(duration_ms=1500))
    made = Board(3, balancer=warm, joined_ms=[OLD, OLD, ago(1.3)])
    while True:  # its window ends; the test's own limit ends it
        turns = made.turns(9)
        if turns[:6] == turns[3:]:
            break
        time.sleep(0.01)
    assert made.turns(300).count(2) == 100


def test_3_4_an_ejection_does_not_begin_it_again() -> None:
    made = Board(2, balancer=LoadBalancer(warmup=MINUTE), joined_ms=[OLD, ago(45)])
    made.out(1)
    assert set(made.turns(10)) == {0}
    made.out(1, 0)
    assert shares(made, [1, 2], 1750)[1] == pytest.approx(100 * 0.75 / 1.75, abs=2.5)


def test_3_4_who_joins_by_a_clock_that_is_ahead_has_just_joined() -> None:
    made = Board(2, balancer=LoadBalancer(warmup=Warmup(duration_ms=1500)), joined_ms=[OLD, ago(-3600)])
    assert made.turns(100).count(1) < 45, "a first second counts as one"
    while made.turns(100).count(1) < 50:  # the test's own limit ends it
        time.sleep(0.01)


def test_without_a_date_it_is_the_place_on_the_scoreboard_that_counts() -> None:
    made = Board(2, balancer=LoadBalancer(warmup=MINUTE))
    assert shares(made, [1, 2], 200)[1] == pytest.approx(50, abs=1), "both are as young"
    made = Board(2, balancer=LoadBalancer(warmup=MINUTE), joined_ms=[OLD, 0])
    assert shares(made, [1, 2], 1100)[1] == pytest.approx(100 * 0.1 / 1.1, abs=2.5)


def test_in_groups_each_warms_up_by_itself() -> None:
    made = Board(
        4,
        balancer=LoadBalancer(warmup=MINUTE),
        groups=failing_over(2, 2),
        joined_ms=[OLD, ago(30), OLD, OLD],
    )
    assert shares(made, [1, 2, 4], 1500) == pytest.approx([66.7, 33.3, 0], abs=2)
