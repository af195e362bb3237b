"""GCRA, row by row of part 5 of the reference, and over generated requests."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.policy.shapes import RateLimit
from tests.instruments.rate_limits import decided
from tests.unit.policy.interpreted import interpreted

policy = interpreted("rate_limit")
SECOND = 1_000_000_000
LIMITS = st.builds(RateLimit, interval=st.integers(1000, 86400 * SECOND), burst=st.integers(1, 1_000_000))
TIMES = st.integers(0, 2**61)


def passed(limit: RateLimit, times: list[int]) -> list[int]:
    """Those of the requests at these times that are let in."""
    arrival, let_in = 0, []
    for now in times:
        if policy.wait_before(limit, arrival, now) == 0:
            arrival = policy.arrival_after(limit, arrival, now, 1)
            let_in.append(now)
    return let_in


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        pytest.param([0] * 5, [0, 0], id="R2 the first request finds it full"),
        pytest.param([0, 0, 9, 10, 10], [0, 0, 10], id="R4 one more after every interval"),
        pytest.param([0, 0, 25, 25, 25], [0, 0, 25, 25], id="R4 never more than the burst at once"),
        pytest.param([0, 0, 15, 20, 20], [0, 0, 15, 20], id="R4 no drip: half an interval counts"),
        pytest.param([*range(0, 100, 10)], [*range(0, 100, 10)], id="R4 who comes evenly never waits"),
        pytest.param([*range(0, 60, 5)], [0, 5, 10, 20, 30, 40, 50], id="R6 no window with an edge to use twice"),
    ],
)
def test_rows(times: list[int], expected: list[int]) -> None:
    start = 5 * SECOND
    assert [now - start for now in passed(RateLimit(10, 2), [start + now for now in times])] == expected


def test_r5_what_has_to_wait_is_told_how_long() -> None:
    limit, now = RateLimit(SECOND, 3), 100 * SECOND
    arrival = policy.arrival_after(limit, 0, now, 3)
    assert policy.wait_before(limit, arrival, now) == SECOND
    assert policy.wait_before(limit, arrival, now + SECOND) == 0


@given(LIMITS, st.lists(st.integers(0, 2**50), max_size=60))
def test_no_stretch_of_time_has_more_than_the_burst_and_what_comes_in_it(limit: RateLimit, gaps: list[int]) -> None:
    let_in = passed(limit, [*itertools.accumulate(gaps, initial=SECOND)])
    for (first, began), (last, ended) in itertools.combinations(enumerate(let_in), 2):
        assert last - first + 1 <= limit.burst + (ended - began) // limit.interval


@given(LIMITS, TIMES, TIMES)
def test_who_waits_as_long_as_told_is_let_in_and_not_before(limit: RateLimit, arrival: int, now: int) -> None:
    wait = policy.wait_before(limit, arrival, now)
    assert policy.wait_before(limit, arrival, now + wait) == 0
    assert wait == 0 or policy.wait_before(limit, arrival, now + wait - 1) == 1


@given(LIMITS, st.integers(0, 500))
def test_shares_add_up_to_the_limit_or_one_request_each(limit: RateLimit, replicas: int) -> None:
    assert policy.share_interval(limit, replicas) == limit.interval * max(1, replicas)
    assert policy.share_burst(limit, replicas) * max(1, replicas) <= max(limit.burst, replicas)


@given(LIMITS, TIMES, TIMES, st.integers(0, 1000))
def test_compiled(limit: RateLimit, arrival: int, now: int, count: int) -> None:
    assert decided(limit, arrival, now, count) == (
        policy.wait_before(limit, arrival, now),
        policy.arrival_after(limit, arrival, now, count),
        policy.share_interval(limit, count),
        policy.share_burst(limit, count),
    )
