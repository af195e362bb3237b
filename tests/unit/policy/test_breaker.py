"""How many retries at once, and who is first."""

import pytest

from proxy.policy.shapes import RetryLimit
from tests.unit.policy.interpreted import interpreted

breaker = interpreted("breaker")
GRACE = breaker.GRACE


@pytest.mark.parametrize(
    ("percent", "least", "requests", "expected"),
    [
        (20, 3, 0, 3),
        (20, 3, 15, 3),
        (20, 3, 19, 3),
        (20, 3, 20, 4),
        (20, 3, 1000, 200),
        (0, 0, 1000, 0),
        (100, 0, 7, 7),
        (12.5, 1, 80, 10),
    ],
)
def test_the_budget_is_a_part_of_the_requests_and_never_less_than_the_minimum(
    percent: float, least: int, requests: int, expected: int
) -> None:
    limit = RetryLimit(50, True, round(percent * 100), least)
    assert breaker.retries_at_once(limit, requests, -1) == expected
    limit.budgeted = False
    assert breaker.retries_at_once(limit, requests, -1) == 50


@pytest.mark.parametrize(("limit", "share", "expected"), [(7, -1, 7), (7, 0, 0), (7, 3, 3), (7, 9, 7)])
def test_a_share_is_never_more_than_the_limit(limit: int, share: int, expected: int) -> None:
    assert breaker.at_once(limit, share) == expected
    assert breaker.retries_at_once(RetryLimit(limit), 100, share) == expected


def test_of_a_budget_of_the_fleet_a_replica_has_its_own_part_and_its_share_of_the_rest() -> None:
    limit = RetryLimit(0, True, 2000, 3)
    assert [breaker.retries_at_once(limit, requests, 1) for requests in (0, 4, 5, 100)] == [1, 1, 2, 21]


@pytest.mark.parametrize(
    ("since", "other", "expected"),
    [
        (0, 0, False),
        (0, 5, False),
        (5, 0, True),
        (5, 6, True),
        (6, 5, True),
        (5 + GRACE, 5, True),
        (6 + GRACE, 5, False),
    ],
)
def test_who_has_waited_longer_goes_first_unless_by_hardly_anything(since: int, other: int, expected: bool) -> None:
    assert breaker.goes_first(since, other) is expected
