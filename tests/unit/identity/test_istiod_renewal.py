"""When istiod is asked: at half a life, later and later while it fails, and never in a storm."""

import itertools
import random

import pytest

from proxy.identity.istiod.renewal import LONGEST_RETRY_S, SHORTEST_S, Renewal

DAY = 86400.0
NOW = 1_700_000_000.0


def test_the_first_is_due_at_once() -> None:
    assert Renewal().wait(NOW, 5) <= 0


def test_the_next_is_due_at_half_of_what_is_left_and_not_for_all_at_once() -> None:
    waits = set()
    for seed in range(20):
        renewal = Renewal(random.Random(seed))
        renewal.got(NOW + DAY, NOW, 5)
        waits.add(renewal.wait(NOW, 5))
    assert len(waits) == 20
    assert min(waits) > 0.489 * DAY and max(waits) < 0.511 * DAY


def asked_until_the_end(renewal: Renewal, lasts: float, ends: bool) -> list[float]:
    """When it asked, if every answer ends then (`ends`: that of the CA) or lasts as long."""
    wall, end = NOW, NOW + lasts
    asked: list[float] = []
    for _ in range(200):
        wait = max(renewal.wait(wall, wall), 0)
        if wall + wait >= NOW + lasts:
            return asked
        wall += wait
        asked.append(wall)
        renewal.got(end if ends else wall + lasts, wall, wall)
    raise AssertionError("a storm")


@pytest.mark.parametrize("lasts", [DAY, 600, 60, 20])
def test_a_leaf_that_cannot_outlive_its_ca_makes_no_storm(lasts: float) -> None:
    asked = asked_until_the_end(Renewal(), lasts, ends=True)
    assert len(asked) < 25
    assert all(later - earlier >= SHORTEST_S for earlier, later in itertools.pairwise(asked))


def test_one_that_is_over_when_it_comes_makes_none_either() -> None:
    renewal = Renewal()
    renewal.got(NOW - 1, NOW, 5)
    assert renewal.wait(NOW, 5) == SHORTEST_S


def test_a_wall_clock_that_jumps_moves_the_renewal_and_no_retry() -> None:
    renewal = Renewal()
    renewal.got(NOW + DAY, NOW, 5)
    assert renewal.wait(NOW + DAY, 6) <= SHORTEST_S
    renewal.failed(20)
    assert renewal.wait(NOW + 2 * DAY, 20) == renewal.wait(NOW + DAY, 20) == 1.0


def test_failures_are_met_with_patience() -> None:
    renewal, now = Renewal(random.Random(1)), 0.0
    waits: list[float] = []
    for _ in range(12):
        renewal.failed(now)
        waits.append(renewal.wait(NOW, now))
        now += waits[-1]
    assert waits[0] == 1.0 and max(waits) <= LONGEST_RETRY_S
    assert all(wait >= min(2.0**place, LONGEST_RETRY_S) / 2 for place, wait in enumerate(waits))
    assert len(set(waits[7:])) == 5, "not in step with others"
    for _ in range(5000):
        renewal.failed(now)
    assert renewal.wait(NOW, now) <= LONGEST_RETRY_S
    renewal.got(NOW + DAY, NOW, now)
    renewal.failed(now)
    assert renewal.wait(NOW + DAY, now) == 1.0, "begins anew"


def test_new_roots_are_a_reason_to_ask_soon_but_not_again_and_again() -> None:
    renewal = Renewal()
    renewal.got(NOW + DAY, NOW, 5)
    renewal.new_roots(6)
    assert SHORTEST_S - 1 <= renewal.wait(NOW, 6) <= SHORTEST_S + 5
    renewal.new_roots(1000)
    assert 0 <= renewal.wait(NOW, 1000) <= 5
    renewal.got(NOW + DAY, NOW, 1000)
    assert renewal.wait(NOW, 1000) > 0.4 * DAY


def test_what_was_missing_is_there_now() -> None:
    renewal = Renewal()
    for _ in range(10):
        renewal.failed(0)
    renewal.mended(0)
    assert renewal.wait(NOW, 0) == 1.0
    fine = Renewal()
    fine.got(NOW + DAY, NOW, 0)
    fine.mended(50)
    assert fine.wait(NOW, 50) > 0.4 * DAY, "a token that is renewed is no reason to ask"


def test_what_a_former_controller_asked_for_is_used_until_half_its_life() -> None:
    renewal = Renewal()
    renewal.adopted(NOW - DAY / 4, NOW + DAY * 3 / 4)
    assert 0.2 * DAY < renewal.wait(NOW, 5) < 0.3 * DAY
    renewal.adopted(NOW - DAY, NOW + 60)
    assert renewal.wait(NOW, 5) <= 0
