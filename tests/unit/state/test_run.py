"""Summaries of outcomes: any batching of them must give the sequential answer."""

from dataclasses import replace
from functools import reduce
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.outlier.decide import Record, after_overflow, crossing_of, decide, join
from state.outlier.run import FAILURE, LOCAL_FAILURE, LOST_ANSWER, SERVER_ERROR, SUCCESS, Run
from state.outlier.store import Policy

OUTCOMES = st.lists(st.booleans(), max_size=12)
KINDS = st.lists(st.sampled_from([SUCCESS, SERVER_ERROR, FAILURE, LOCAL_FAILURE, LOST_ANSWER]), max_size=12)


def combined(outcomes: list[Run]) -> Run:
    return reduce(Run.combine, outcomes, Run())


def runs(outcomes: list[bool]) -> list[int]:
    return [len(list(group)) for success, group in groupby(outcomes) if not success]


@given(OUTCOMES)
def test_a_summary_says_what_the_outcomes_say(outcomes: list[bool]) -> None:
    run = Run.of(outcomes)
    any_success = any(outcomes)
    text = "".join("S" if success else "F" for success in outcomes)
    assert run.any_success is any_success
    assert run.lead == len(text) - len(text.lstrip("F"))
    assert run.trail == len(text) - len(text.rstrip("F"))
    assert run.best == max(runs(outcomes), default=0)


@given(KINDS, KINDS, KINDS)
def test_combining_is_associative(a: list[Run], b: list[Run], c: list[Run]) -> None:
    x, y, z = combined(a), combined(b), combined(c)
    assert x.combine(y).combine(z) == x.combine(y.combine(z)) == combined(a + b + c)


@given(KINDS)
def test_without_those_of_local_origin(outcomes: list[Run]) -> None:
    run, others = combined(outcomes), combined([outcome for outcome in outcomes if not outcome.local])
    assert run.best_external == others.best
    assert (run.lead - run.lead_local, run.trail - run.trail_local) == (others.lead, others.trail)


def counted(outcomes: list[Run], counts: list[Run], ends: list[Run], restarts: list[Run]) -> tuple[int, int]:
    """(failures in a row at the end, most in a row anywhere), one by one."""
    now = most = 0
    for outcome in outcomes:
        now = 1 if outcome in restarts else now + 1 if outcome in counts else 0 if outcome in ends else now
        most = max(most, now)
    return now, most


@given(KINDS)
def test_gateway_errors_and_connections_are_counted_in_the_same_order(outcomes: list[Run]) -> None:
    run = combined(outcomes)
    gateway = counted(outcomes, [FAILURE, LOCAL_FAILURE, LOST_ANSWER], [SUCCESS, SERVER_ERROR], [])
    assert (run.gateway.trail, run.gateway.best) == gateway
    external = counted(outcomes, [FAILURE], [SUCCESS, SERVER_ERROR], [])
    assert (run.gateway.trail - run.gateway.trail_local, run.gateway.best_external) == external
    origin = counted(outcomes, [LOCAL_FAILURE], [SUCCESS, SERVER_ERROR, FAILURE], [LOST_ANSWER])
    assert (run.local_origin.trail, run.local_origin.best) == origin


@given(
    st.lists(st.sampled_from([SERVER_ERROR, FAILURE, LOCAL_FAILURE, LOST_ANSWER, SUCCESS]), min_size=1, max_size=16),
    st.integers(0, 4),
    st.integers(0, 4),
    st.integers(0, 4),
)
def test_a_batch_ejects_as_its_outcomes_would_one_by_one(
    outcomes: list[Run], threshold: int, gateway: int, local_origin: int
) -> None:
    """Three counters at once; which threshold is named may differ, where one batch reaches two."""
    policy = Policy(threshold, 10_000, 30_000, 100, 1, consecutive_gateway_failure=gateway)
    policy = replace(policy, split_local_origin=local_origin > 0, consecutive_local_origin_failure=local_origin)
    at_once, _ = decide(Record(), combined(outcomes), 0, policy, 0, 0)
    one_by_one = Record()
    for outcome in outcomes:
        one_by_one, _ = decide(one_by_one, outcome, 0, policy, 0, 0)
    assert bool(at_once.ejected_until_ms) == bool(one_by_one.ejected_until_ms)
    if not at_once.ejected_until_ms:
        assert at_once == one_by_one


@given(OUTCOMES)
def test_the_empty_run_changes_nothing(outcomes: list[bool]) -> None:
    run = Run.of(outcomes)
    assert Run().combine(run) == run.combine(Run()) == run


@given(
    outcomes=st.lists(st.booleans(), min_size=1, max_size=20),
    failures=st.integers(0, 6),
    threshold=st.integers(1, 5),
    room=st.booleans(),
)
def test_a_batch_decides_as_its_outcomes_would_one_by_one(
    outcomes: list[bool], failures: int, threshold: int, room: bool
) -> None:
    policy = Policy(threshold, 10_000, 30_000, 100 if room else 0, 1)
    at_once, _ = decide(Record(failures=failures), Run.of(outcomes), 0, policy, 0, 0)
    one_by_one = Record(failures=failures)
    for success in outcomes:
        one_by_one, _ = decide(one_by_one, SUCCESS if success else FAILURE, 0, policy, 0, 0)
    assert at_once == one_by_one


@pytest.mark.parametrize(
    ("failures", "outcomes", "threshold", "crossed", "left"),
    [
        (0, "FFF", 3, 3, 0),
        (2, "F", 3, 3, 0),
        (2, "SFF", 3, 0, None),
        (0, "SFFFS", 3, 3, 0),  # best run inside
        (2, "FSFF", 3, 3, 2),
        (4, "F", 3, 5, 0),  # the threshold was lowered from 5
        (4, "", 3, 4, 0),  # nothing new: the run was too young before
        (4, "S", 3, 0, None),
        (0, "FFFFF", 3, 3, 2),
        (9, "FFFF", 0, 0, None),  # 0 switches it off
    ],
)
def test_where_a_run_crosses_the_threshold(
    failures: int, outcomes: str, threshold: int, crossed: int, left: int | None
) -> None:
    run = Run.of(letter == "S" for letter in outcomes)
    record, policy = Record(failures=failures), Policy(threshold, 10_000, 30_000, 0, 1)
    crossing = crossing_of(record, run, policy, confirmed=True)
    assert crossing == (("consecutive_5xx", crossed) if crossed else ("", 0))
    if left is not None:
        assert after_overflow(join(record, run, 0, "r1"), run, crossing, threshold, 0).failures == left
