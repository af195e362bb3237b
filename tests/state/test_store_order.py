"""Order and concurrency: batching, several reporters, threads; and the scripts against their specification."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import product

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from state.outlier.decide import Record, decide
from state.outlier.local_store import LocalStore
from state.outlier.redis_store import RedisStore
from state.outlier.run import FAILURE, SUCCESS
from state.outlier.store import Store, Verdict
from tests.state.histories import run
from tests.state.state_rig import (
    CLUSTER,
    SEED,
    A,
    B,
    C,
    DictRecords,
    FakeTime,
    Rig,
    batch,
    fake_rig,
    local_rig,
    real_rig,
)

BATCHES = st.lists(st.text("FS", min_size=1, max_size=6), min_size=1, max_size=8)
IN_FIXTURE = [HealthCheck.function_scoped_fixture]  # the store is emptied or named anew inside


def one_by_one(outcomes: str, percent: int) -> Record:
    policy, record = replace(SEED, max_ejection_percent=percent, endpoints=1), Record()
    for outcome in outcomes:
        record, _ = decide(record, SUCCESS if outcome == "S" else FAILURE, 0, policy, 0, 0)
    return record


def check_batches(rig: Rig, batches: list[str], reporters: int, percent: int) -> None:
    policy = replace(SEED, max_ejection_percent=percent, endpoints=1)
    for number, outcomes in enumerate(batches):
        verdict = rig.report(outcomes, generation=0, by=f"r{number % reporters}", policy=policy)
    expected = one_by_one("".join(batches), percent)
    assert (verdict.left_ms > 0, verdict.generation) == (expected.ejected_until_ms > 0, expected.generation)
    assert verdict.failures == (expected.run if verdict.left_ms else expected.failures)


@given(BATCHES, st.integers(1, 4), st.sampled_from([0, 100]))
def test_any_batching_over_any_reporters_locally(batches: list[str], reporters: int, percent: int) -> None:
    check_batches(local_rig(), batches, reporters, percent)


@given(BATCHES, st.integers(1, 4), st.sampled_from([0, 100]))
@settings(suppress_health_check=IN_FIXTURE, deadline=None)
def test_any_batching_over_any_reporters_on_a_server(
    real: redis.Redis, batches: list[str], reporters: int, percent: int
) -> None:
    real.flushall()
    check_batches(real_rig(real), batches, reporters, percent)


Step = Callable[[Rig], Verdict | None]
ENDPOINTS = st.sampled_from([A, B, C])
REPLICAS = st.sampled_from(["r1", "r2", "r3"])
WORKLOADS = st.sampled_from(["pod-a"] * 9 + ["pod-b"])
POLICIES = st.builds(
    lambda n, base, percent, age, quorum, probe, gateway, split: replace(
        SEED,
        consecutive_gateway_failure=gateway,
        split_local_origin=split > 0,
        consecutive_local_origin_failure=split,
        consecutive_5xx=n,
        base_ejection_ms=base,
        max_ejection_percent=percent,
        min_run_ms=age,
        local_origin_quorum=quorum,
        probe=probe,
    ),
    st.integers(0, 4),
    st.sampled_from([1_000, 5_000]),
    st.sampled_from([30, 34, 67, 100]),
    st.sampled_from([0, 0, 2]),
    st.sampled_from([1, 1, 2, 3]),
    st.sampled_from([False, False, True]),
    st.sampled_from([0, 1, 2, 3]),
    st.sampled_from([0, 0, 1, 2, 3]),
)
REPORTS = st.builds(
    lambda outcomes, endpoint, workload, policy, late, by: (
        lambda rig: rig.report(
            outcomes, endpoint, workload, policy, max(0, rig.generations.get(endpoint, 0) + late), by
        )
    ),
    st.text("FFFLLETS", max_size=6),
    ENDPOINTS,
    WORKLOADS,
    POLICIES,
    st.sampled_from([0] * 8 + [-1, 1]),
    REPLICAS,
)
PROBES = st.builds(
    lambda outcome, endpoint, policy, by: lambda rig: rig.probe(outcome, endpoint, policy, by),
    st.sampled_from("FS"),
    ENDPOINTS,
    POLICIES,
    REPLICAS,
)
OFFERS = st.builds(
    lambda endpoint, workload, left, generation: lambda rig: rig.offer(endpoint, workload, left, generation),
    ENDPOINTS,
    WORKLOADS,
    st.sampled_from([0, 2_000, 9_000]),
    st.integers(0, 3),
)
FORGETS = st.builds(
    lambda endpoint, workload: lambda rig: rig.store.forget(CLUSTER, endpoint, workload, "r1"), ENDPOINTS, WORKLOADS
)
# Not whole seconds: at the very millisecond of its end a key is still there, a local ejection is over.
WAITS = st.sampled_from([1, 2, 7, 1_007, 6_007, 12_007]).map(lambda ms: lambda rig: rig.advance(ms))


def plain(answer: Verdict | None) -> Verdict | None:
    return None if answer is None else replace(answer, version=0, by="")


HISTORIES = st.lists(st.one_of(REPORTS, REPORTS, REPORTS, WAITS, PROBES, OFFERS, FORGETS), max_size=30)


@given(HISTORIES)
@settings(suppress_health_check=IN_FIXTURE, deadline=None, max_examples=100)
def test_the_scripts_do_what_the_specification_says(fake_time: FakeTime, steps: list[Step]) -> None:
    agree(fake_time, steps)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("first", range(0, 10_000, 500))
def test_the_scripts_do_what_the_specification_says_ten_thousand_times(first: int) -> None:
    """In every mode: everybody tells, or witnesses do."""
    outcomes = sum(map(run, range(first, first + 500)), Counter[str]())
    assert outcomes["witnesses"] > 5
    assert outcomes["ejected"] > 100


def agree(fake_time: FakeTime, steps: list[Step]) -> None:
    """The same history on the same clock leads the local store and the scripts to the same answers, one by one."""
    scripts, specification = fake_rig(fake_time), local_rig()
    for step in steps:
        assert plain(step(scripts)) == plain(step(specification))
        assert scripts.ejected() == specification.ejected()


CLIENTS = 64


def in_threads(store: Store, percent: int, endpoints: list[str], cluster: str) -> int:
    """As many clients fail every endpoint three times; how many are out in the end."""
    policy = replace(SEED, max_ejection_percent=percent, endpoints=len(endpoints))
    reports = [replace(batch("F", endpoint), cluster=cluster) for _, endpoint in product(range(3), endpoints)]
    with ThreadPoolExecutor(CLIENTS) as threads:
        list(threads.map(lambda report: store.report(report, policy), reports))
    return len(store.glance(cluster, endpoints).ejected)


TEN = [f"10.10.0.{i}:8080" for i in range(10)]


def test_threads_never_exceed_the_cap_locally() -> None:
    for percent in range(101):
        store = LocalStore(DictRecords(), lambda: 1)
        assert in_threads(store, percent, TEN, CLUSTER) == percent * 10 // 100


def test_threads_never_exceed_the_cap_on_a_server(real: redis.Redis) -> None:
    store = RedisStore(real)
    for percent in range(101):
        assert in_threads(store, percent, TEN, f"cluster-{percent}") == percent * 10 // 100, percent


@pytest.mark.parametrize("round_", range(5))
def test_threads_eject_an_endpoint_once(real: redis.Redis, round_: int) -> None:
    store = RedisStore(real)
    with ThreadPoolExecutor(16) as threads:
        verdicts = list(threads.map(lambda _: store.report(batch("F"), SEED), range(64)))
    outcomes = [verdict.outcome for verdict in verdicts]
    assert [outcomes.count(kind) for kind in ("counted", "ejected", "already_ejected")] == [2, 1, 61]
