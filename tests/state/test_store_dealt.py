"""The worked examples of the outlier study, dealt out to the workers of a fleet: the same index, whoever saw it.

Delivery is synchronous and runs of any age count, so the fleet is one Envoy that carries all the traffic.
"""

from dataclasses import replace
from itertools import cycle, product
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.state.state_rig import CLUSTER, SEED, A, B, Rig

ALONE = replace(SEED, max_ejection_percent=100, endpoints=1)
WORKERS = [f"replica-{replica}/{worker}" for worker, replica in product(range(4), range(3))]


def first_ejection(rig: Rig, outcomes: str, **policy: Any) -> int | None:
    """After how many outcomes, each told by the next worker, the endpoint is out."""
    rule = replace(ALONE, **policy)
    for number, (outcome, worker) in enumerate(zip(outcomes, cycle(WORKERS), strict=False), 1):
        if rig.report(outcome, policy=rule, by=worker).outcome == "ejected":
            return number
    return None


@pytest.mark.parametrize(
    ("case", "threshold", "outcomes", "at"),
    [
        ("W3", 5, "FFFFF", 5),
        ("W4", 3, "FFSFFSFFF", 9),
        ("W5", 3, "FFF", 3),
        ("W6, W7", 3, "LLL", 3),
        ("W8", 3, "", None),
        ("W12", 3, "FFF", 3),
        ("runs of two", 3, "FFS" * 10, None),
        ("mixed origins", 3, "FLF", 3),
    ],
)
def test_examples_over_twelve_workers(rig: Rig, case: str, threshold: int, outcomes: str, at: int | None) -> None:
    assert first_ejection(rig, outcomes, consecutive_5xx=threshold) == at, case


def test_w1_and_w2_over_twelve_workers(rig: Rig) -> None:
    """A is ejected by its third failure in a row; B then only overflows, until A is back."""
    rule, workers = replace(SEED, base_ejection_ms=80), cycle(WORKERS)
    told = [
        rig.report(outcome, endpoint, policy=rule, by=next(workers)).outcome
        for outcome, endpoint in [("F", A), ("S", B)] * 3
    ]
    assert told == ["counted", "clean", "counted", "clean", "ejected", "clean"]
    assert [rig.report("F", B, policy=rule, by=next(workers)).outcome for _ in range(6)] == [
        "counted",
        "counted",
        "overflow",
    ] * 2
    rig.advance(90)
    assert rig.ejected() == frozenset()
    assert [rig.report("F", B, policy=rule, by=next(workers)).outcome for _ in range(3)][-1] == "ejected"


def test_w14_backoff_whoever_reports(clocked: Rig) -> None:
    rule, workers = replace(ALONE, consecutive_5xx=1, base_ejection_ms=10_000), cycle(WORKERS)
    lengths, now = [], 0
    for at in (0, 10_001, 30_003, 80_005, 500_007):
        clocked.advance(at - now)
        now = at
        lengths.append(clocked.report("F", policy=rule, by=next(workers)).ejection_ms)
    assert lengths == [10_000, 20_000, 30_000, 20_000, 10_000]


def test_w15_overshoot_whoever_reports(clocked: Rig) -> None:
    rule, workers = replace(ALONE, consecutive_5xx=1, base_ejection_ms=100_000, interval_ms=100_000), cycle(WORKERS)
    seen = []
    for _ in range(6):
        verdict = clocked.report("F", policy=rule, by=next(workers))
        seen.append((verdict.ejection_ms // 1000, verdict.backoff))
        clocked.advance(verdict.ejection_ms + 1)
    assert seen == [(100, 1), (200, 2), (300, 3), (300, 4), (300, 4), (300, 4)]


@given(
    outcomes=st.text("FFLS", min_size=1, max_size=30),
    cuts=st.lists(st.integers(1, 5), min_size=1, max_size=10),
    order=st.permutations(WORKERS),
    threshold=st.integers(1, 4),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
def test_ejected_iff_the_order_of_reports_holds_a_run(
    shared: Rig, outcomes: str, cuts: list[int], order: list[str], threshold: int
) -> None:
    """Any outcomes, cut into any batches, told by any workers."""
    assert shared.client is not None
    shared.client.flushall()
    shared.generations.clear()
    rule, workers, lengths = replace(ALONE, consecutive_5xx=threshold), cycle(order), cycle(cuts)
    left, told = outcomes, []
    while left:
        size = next(lengths)
        batch, left = left[:size], left[size:]
        told.append(shared.report(batch, policy=rule, by=next(workers), generation=0).outcome)
    runs = max(len(run) for run in outcomes.split("S"))
    assert ("ejected" in told) == (runs >= threshold)
    assert (A in shared.store.glance(CLUSTER, [A]).ejected) == (runs >= threshold)
