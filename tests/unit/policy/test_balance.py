"""Who is next."""

import itertools

import pytest

from tests.unit.policy.interpreted import interpreted
from tests.unit.policy.views import view

round_robin = interpreted("balance.round_robin").round_robin
panics = interpreted("balance.panic").panics


def turns(here: list[bool], count: int, last: int = -1) -> list[int]:
    found = []
    for _ in range(count):
        last = round_robin(last, view(here))
        found.append(last)
    return found


def test_strict_turns() -> None:
    assert turns([True, True, True], 7) == [0, 1, 2, 0, 1, 2, 0]
    assert turns([True, False, True], 4) == [0, 2, 0, 2]
    assert turns([False, False, False], 2) == [-1, -1]
    assert round_robin(-1, view([])) == -1
    assert round_robin(9, view([True, True])) == 0, "the list has become shorter"


def test_never_twice_in_a_row_while_there_is_another() -> None:
    for here in itertools.product((False, True), repeat=5):
        if sum(here) > 1:
            for last in range(-1, 5):
                assert round_robin(last, view(list(here))) != last


def test_who_was_tried_is_passed_over() -> None:
    assert round_robin(0, view([True] * 3, tried=(1,))) == 2
    assert round_robin(1, view([True] * 3, tried=(0, 2))) == 1
    assert round_robin(1, view([True, False, True], tried=(0, 2))) == -1


@pytest.mark.parametrize(
    ("present", "count", "percent", "expected"),
    [
        (1, 3, 33, False),
        (1, 3, 34, True),
        (1, 2, 50, False),
        (1, 2, 51, True),
        (0, 3, 1, True),
        (0, 3, 0, False),
        (3, 3, 100, False),
        (2, 3, 100, True),
        (71, 100, 100, True),
        (72, 100, 100, False),
        (0, 0, 100, False),
    ],
)
def test_panic_is_below_the_threshold_and_not_at_it(present: int, count: int, percent: int, expected: bool) -> None:
    """Envoy's, as measured (2.7 of what is known of its outlier detection)."""
    assert panics(present, count, percent) is expected
