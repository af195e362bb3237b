"""Shares of unequal endpoints."""

from collections import Counter
from itertools import pairwise

from tests.unit.policy.interpreted import interpreted
from tests.unit.policy.views import view

weighted = interpreted("balance.weighted")
lighter = interpreted("balance.least_request").second_is_lighter


def turns(weights: tuple[int, ...], count: int, here: tuple[bool, ...] = ()) -> list[int]:
    seen = view(here or [True] * len(weights), weights=weights)
    return [seen.members[weighted.turn_of(weighted.spread(counter), seen)] for counter in range(count)]


def test_each_has_its_share_of_any_stretch_of_turns() -> None:
    weights = (1, 2, 3, 4)
    for length in (10, 100, 1000):
        counts = Counter(turns(weights, length))
        for position, weight in enumerate(weights):
            assert abs(counts[position] - length * weight / 10) < 3


def test_turns_of_one_stand_apart() -> None:
    at = [index for index, position in enumerate(turns((1, 9), 1000)) if position == 0]
    assert {later - earlier for earlier, later in pairwise(at)} == {5, 8, 13}, "three distances"


def test_who_is_out_has_no_share() -> None:
    counts = Counter(turns((5, 1, 2), 300, (False, True, True)))
    assert set(counts) == {1, 2}
    assert abs(counts[2] - 200) < 4


def test_of_two_the_one_with_less_to_do_for_its_weight() -> None:
    assert lighter(1, 0, 1, 1)
    assert not lighter(0, 0, 1, 1), "the first drawn stays"
    assert not lighter(0, 0, 1, 100)
    assert lighter(2, 3, 1, 2)
    assert not lighter(2, 4, 1, 2)
