"""The rules of ejection against Envoy's, case by case (W1 to W16 of the outlier study)."""

from dataclasses import replace

import pytest

from state.outlier.decide import Record, decide, identify, settle, under_cap
from state.outlier.offers import accept
from state.outlier.run import Run
from state.outlier.store import Policy, Verdict

SEED = Policy(consecutive_5xx=3, interval_ms=10_000, base_ejection_ms=30_000, max_ejection_percent=50, endpoints=3)
ALONE = replace(SEED, max_ejection_percent=100, endpoints=1)


class Cluster:
    """Endpoints under one policy, told outcomes at given times as one Envoy would be."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.records: dict[str, Record] = {}

    def tell(self, name: str, outcome: str, now_ms: int) -> Verdict:
        record = settle(self.records.get(name, Record()), now_ms)
        active = sum(other.ejected_until_ms > now_ms for other in self.records.values())
        run = Run.of([outcome == "S"])
        self.records[name], verdict = decide(record, run, record.generation, self.policy, active, now_ms)
        return verdict


def test_w1_the_third_failure_in_a_row_ejects_for_the_base_time() -> None:
    cluster = Cluster(SEED)
    assert cluster.tell("A", "F", 0).failures == 1
    assert cluster.tell("B", "S", 500).outcome == "clean"
    assert cluster.tell("A", "F", 1_500).failures == 2
    verdict = cluster.tell("A", "F", 3_000)
    assert (verdict.outcome, verdict.failures, verdict.left_ms, verdict.backoff) == ("ejected", 3, 30_000, 1)
    assert cluster.tell("A", "F", 32_999).left_ms == 1
    assert cluster.tell("A", "F", 33_000).outcome == "counted"


def test_w2_the_cap_keeps_the_second_one_in_until_the_first_is_back() -> None:
    cluster = Cluster(SEED)
    for _ in range(3):
        cluster.tell("A", "F", 0)
    outcomes = [cluster.tell("B", "F", 1_000).outcome for _ in range(6)]
    assert outcomes == ["counted", "counted", "overflow"] * 2
    assert [cluster.tell("B", "F", 30_000).outcome for _ in range(3)][-1] == "ejected"


@pytest.mark.parametrize(
    ("case", "threshold", "outcomes", "ejects_at"),
    [
        ("W3", 5, "FFFFF", 5),
        ("W4: 404 and 200 are successes", 3, "FFSFFSFFF", 9),
        ("W5, W6, W7: any failure counts", 3, "FFF", 3),
        ("W8: aborts are no outcomes", 3, "", None),
        ("W12: every attempt counts", 3, "FFF", 3),
        ("a success in between", 2, "FSFSFS", None),
        ("threshold 0 never ejects", 0, "F" * 50, None),
    ],
)
def test_runs_on_one_endpoint(case: str, threshold: int, outcomes: str, ejects_at: int | None) -> None:
    cluster = Cluster(replace(ALONE, consecutive_5xx=threshold))
    verdicts = [cluster.tell("A", outcome, 0).outcome for outcome in outcomes]
    assert (verdicts.index("ejected") + 1 if "ejected" in verdicts else None) == ejects_at, case


def test_w13_a_run_does_not_age() -> None:
    cluster = Cluster(ALONE)
    cluster.tell("A", "F", 0)
    cluster.tell("A", "F", 0)
    assert cluster.tell("A", "F", 2 * 3_600_000).outcome == "ejected"


def test_w14_backoff_grows_and_decays() -> None:
    cluster = Cluster(replace(ALONE, consecutive_5xx=1, base_ejection_ms=10_000))
    lengths = [cluster.tell("A", "F", at).ejection_ms for at in (0, 10_000, 30_000, 80_000, 500_000)]
    assert lengths == [10_000, 20_000, 30_000, 20_000, 10_000]


def test_w15_backoff_overshoots_the_maximum_by_one() -> None:
    cluster = Cluster(replace(ALONE, consecutive_5xx=1, base_ejection_ms=100_000, interval_ms=100_000))
    now, seen = 0, []
    for _ in range(6):
        verdict = cluster.tell("A", "F", now)
        seen.append((verdict.ejection_ms // 1000, verdict.backoff))
        now += verdict.ejection_ms
    assert seen == [(100, 1), (200, 2), (300, 3), (300, 4), (300, 4), (300, 4)]
    healthy = cluster.tell("A", "F", now + 100_000)  # one healthy interval only undoes the overshoot
    assert (healthy.ejection_ms, healthy.backoff) == (300_000, 4)


def test_a_base_longer_than_the_maximum_wins() -> None:
    cluster = Cluster(replace(ALONE, consecutive_5xx=1, base_ejection_ms=400_000))
    assert cluster.tell("A", "F", 0).ejection_ms == 400_000
    assert cluster.tell("A", "F", 400_000).ejection_ms == 400_000


def test_w16_the_default_percentage_ejects_nothing_of_three() -> None:
    cluster = Cluster(replace(SEED, max_ejection_percent=10))
    assert [cluster.tell("A", "F", 0).outcome for _ in range(6)] == ["counted", "counted", "overflow"] * 2


SHARES = (10, 33, 34, 50, 66, 67, 100)
TABLE = {1: (0, 0, 0, 0, 0, 0, 1), 2: (0, 0, 0, 1, 1, 1, 2), 3: (0, 0, 1, 1, 1, 2, 3), 10: (1, 3, 3, 5, 6, 6, 10)}


@pytest.mark.parametrize(
    ("endpoints", "percent", "most"),
    [
        pytest.param(count, percent, most, id=f"2.3 {count} hosts, pct {percent}")
        for count, row in TABLE.items()
        for percent, most in zip(SHARES, row, strict=True)
    ],
)
def test_the_largest_number_that_is_out(endpoints: int, percent: int, most: int) -> None:
    cluster = Cluster(Policy(1, 10_000, 30_000, percent, endpoints))
    outcomes = [cluster.tell(f"10.0.0.{i}:80", "F", 0).outcome for i in range(endpoints)]
    assert outcomes.count("ejected") == most


@pytest.mark.parametrize("endpoints", range(1, 13))
def test_the_cap_is_the_floor_for_every_percentage(endpoints: int) -> None:
    for percent in range(101):
        cluster = Cluster(Policy(1, 10_000, 30_000, percent, endpoints))
        outcomes = [cluster.tell(f"10.0.0.{i}:80", "F", 0).outcome for i in range(endpoints)]
        assert outcomes.count("ejected") == percent * endpoints // 100, percent


def test_a_percentage_above_100_is_100_and_no_endpoints_means_no_ejection() -> None:
    assert under_cap(replace(ALONE, max_ejection_percent=250), 0)
    assert not under_cap(replace(ALONE, max_ejection_percent=250), 1)
    assert not under_cap(replace(ALONE, endpoints=0), 0)


def test_generations_fence_old_evidence() -> None:
    record = Record(generation=2, failures=1)
    same, verdict = decide(record, Run.of([False] * 9), 1, ALONE, 0, 0)
    assert (same, verdict.outcome, verdict.generation) == (record, "stale", 2)
    adopted, verdict = decide(record, Run.of([False]), 5, ALONE, 0, 0)
    assert (adopted.generation, adopted.failures, verdict.outcome) == (5, 1, "counted")


def test_another_workload_starts_anew_but_an_empty_name_contradicts_nobody() -> None:
    record = Record(failures=2, generation=4, ejected_until_ms=9, workload="old")
    assert identify(record, "new") == Record(workload="new")
    assert identify(record, "") == record
    assert identify(record._replace(workload=""), "new") == record._replace(workload="new")


@pytest.mark.parametrize(
    ("record", "generation", "active", "outcome"),
    [
        (Record(), 1, 0, "ejected"),
        (Record(), 1, 1, "overflow"),
        (Record(generation=1), 1, 0, "stale"),
        (Record(generation=1, ejected_until_ms=50_000), 1, 0, "already_ejected"),
        (Record(generation=1, ejected_until_ms=5_000, ejections=4), 2, 0, "ejected"),
    ],
)
def test_an_offer_is_taken_once_and_under_the_cap(record: Record, generation: int, active: int, outcome: str) -> None:
    offered = Record(generation=generation, ejections=1, backoff=1, ejected_until_ms=20_000, ejection_ms=30_000)
    after, verdict = accept(record, offered, SEED, active, 10_000)
    assert verdict.outcome == outcome
    if outcome == "ejected":
        assert (verdict.left_ms, after.generation, after.ejections) == (10_000, generation, max(1, record.ejections))
