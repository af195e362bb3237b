"""Detection by rates, on every store: told by several replicas, judged once."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from state.operating.operator import Operator
from state.outlier.rates import Count, Found, Outcomes, RateRule
from state.outlier.store import Policy, View
from tests.state.state_rig import CLUSTER, KEYS, SEED, FakeTime, Rig, fake_rig, local_rig, log_of

TEN = [f"10.10.0.{number}:8080" for number in range(10, 20)]
BAD = TEN[3]
RULE = RateRule(200, success_rate_minimum_hosts=5)
POLICY = replace(SEED, endpoints=10, interval_ms=200)


def tell(
    rig: Rig,
    rates: dict[str, tuple[int, int]],
    by: str = "r1",
    rule: RateRule = RULE,
    policy: Policy = POLICY,
    dice: int = 0,
) -> list[Found]:
    told = {(endpoint, f"pod {endpoint[6:8]}"): Count(*count) for endpoint, count in rates.items()}
    return list(rig.store.tell_rates(CLUSTER, Outcomes(by, told, dice), rule, policy))


def part(of: int = 8, bad: int = 70) -> dict[str, tuple[int, int]]:
    """What one of so many replicas has seen of 1,040 requests; `bad` of a hundred fail at BAD."""
    requests = 104 // of
    return {each: (requests, 0) for each in TEN} | {BAD: (requests * (100 - bad) // 100, requests * bad // 100 + 1)}


def test_eight_replicas_find_together_what_none_could_alone(rig: Rig) -> None:
    for replica in range(8):
        assert tell(rig, part(), f"r{replica}") == []
    rig.advance(210)
    (found,) = tell(rig, {}, "r3")
    assert (found.endpoint, found.reason, found.outcome, found.generation) == (BAD, "success_rate", "ejected", 1)
    assert 20 <= found.number <= 30
    assert tell(rig, {}, "r4") == [], "once"
    (ejection,) = rig.store.sync(CLUSTER, TEN).ejections
    assert (ejection.endpoint, ejection.reason, ejection.failures) == (BAD, "success_rate", found.number)


def test_too_few_requests_are_judged_with_the_next_interval_and_then_forgotten(rig: Rig) -> None:
    tell(rig, part(2))
    rig.advance(210)
    assert tell(rig, {}) == []
    tell(rig, part(2))
    rig.advance(210)
    assert [each.endpoint for each in tell(rig, {})] == [BAD]


def test_the_cap_holds_and_the_worst_goes(rig: Rig) -> None:
    rule = RateRule(200, failure_percentage_minimum_hosts=5)
    rates = {each: (100, 0) for each in TEN} | {TEN[0]: (10, 90), TEN[1]: (0, 100), TEN[2]: (5, 95)}
    tell(rig, rates, rule=rule)
    rig.advance(210)
    found = tell(rig, {}, rule=rule, policy=replace(POLICY, max_ejection_percent=10))
    assert [(each.endpoint, each.outcome) for each in found] == [
        (TEN[1], "ejected"),
        (TEN[2], "overflow"),
        (TEN[0], "overflow"),
    ]
    assert rig.store.glance(CLUSTER, TEN).ejected == {TEN[1]}


def test_what_is_out_is_not_judged_nor_counts_as_one_of_the_hosts(rig: Rig) -> None:
    rule = replace(RULE, success_rate_minimum_hosts=10)
    rig.report("FFF", BAD, "pod 13", policy=POLICY)
    tell(rig, part(1), rule=rule)
    rig.advance(210)
    assert tell(rig, {}, rule=rule) == []


@pytest.mark.parametrize(("dice", "outcome"), [(49, "ejected"), (50, "detected")])
def test_enforced_in_part(rig: Rig, dice: int, outcome: str) -> None:
    rule = replace(RULE, enforcing_success_rate=50)
    tell(rig, part(1), rule=rule)
    rig.advance(210)
    assert [each.outcome for each in tell(rig, {}, rule=rule, dice=dice)] == [outcome]
    assert bool(rig.store.glance(CLUSTER, TEN).ejected) == (outcome == "ejected")


def test_a_pod_that_nobody_knows_any_more_is_not_judged_nor_its_successor_for_it(shared: Rig) -> None:
    tell(shared, part(1, bad=99))
    workloads = {each: f"pod {each[6:8]}" for each in TEN} | {BAD: "another"}
    shared.store.sync(CLUSTER, TEN, view=View("r1", "v2", workloads, 60_000))
    shared.advance(210)
    assert tell(shared, {}) == []
    assert shared.store.glance(CLUSTER, TEN).ejected == frozenset()


def test_what_people_see(shared: Rig) -> None:
    shared.report("F", BAD, "pod 13", policy=POLICY)
    tell(shared, part(1))
    shared.advance(210)
    (found,) = tell(shared, {}, "r7")
    client: Any = shared.client
    text = client.get(KEYS.eject(BAD))
    assert text.startswith(f"reason=success_rate success_rate={found.number} ejections=1 backoff=1 ejection_time=30s ")
    entry = log_of(shared)[-1]
    assert (entry["kind"], entry["why"], entry["by"]) == ("eject", "success_rate", "r7")
    assert entry["reason"].startswith(f"{found.number}.") or entry["reason"].startswith(f"{found.number - 1}.")
    assert "threshold" in entry["reason"]
    assert client.pttl(KEYS.rates) > 0
    client.delete(KEYS.eject(BAD))
    assert shared.report("FF", BAD, "pod 13", policy=POLICY, generation=1).failures == 2, "the key is the truth"


def test_while_replicas_do_not_agree_whose_an_address_is_it_is_the_addresss(shared: Rig) -> None:
    workloads = {each: f"pod {each[6:8]}" for each in TEN}
    shared.store.sync(CLUSTER, TEN, view=View("r1", "v1", workloads, 60_000))
    shared.store.sync(CLUSTER, TEN, view=View("r2", "v2", workloads | {BAD: "another"}, 60_000))
    tell(shared, part(2))
    others = {(BAD, "another"): Count(15, 37)}
    shared.store.tell_rates(CLUSTER, Outcomes("r2", others), RULE, POLICY)
    tell(shared, part(2) | {BAD: (0, 0)})
    shared.advance(210)
    assert [each.endpoint for each in tell(shared, {})] == [BAD]
    (ejection,) = shared.store.sync(CLUSTER, TEN).ejections
    assert ejection.workload == "", "whoever is there is out"


def test_it_may_have_had_no_success_at_all(shared: Rig) -> None:
    tell(shared, part(1) | {BAD: (0, 104)})
    shared.advance(210)
    assert [each.number for each in tell(shared, {})] == [0]
    assert shared.client is not None
    (out,) = Operator(shared.client).ejections()
    assert out.why == "success_rate=0"


def test_a_key_that_was_lost_with_its_record_says_it_all(shared: Rig) -> None:
    tell(shared, part(1))
    shared.advance(210)
    (found,) = tell(shared, {})
    client: Any = shared.client
    client.delete(KEYS.endpoint(BAD))
    (ejection,) = shared.store.sync(CLUSTER, TEN).ejections
    assert (ejection.reason, ejection.failures) == ("success_rate", found.number)


Step = Callable[[Rig], object]
COUNTS = st.dictionaries(
    st.sampled_from(TEN[:6]), st.tuples(st.sampled_from([0, 3, 20, 60]), st.sampled_from([0, 2, 15, 70]))
)
RULES = st.builds(
    RateRule,
    st.sampled_from([2_000, 2_000, 5_000]),
    success_rate_minimum_hosts=st.sampled_from([0, 2, 5]),
    success_rate_request_volume=st.sampled_from([1, 20, 60]),
    success_rate_stdev_factor=st.sampled_from([0, 1000, 1900]),
    enforcing_success_rate=st.sampled_from([0, 50, 100]),
    failure_percentage_minimum_hosts=st.sampled_from([0, 1, 4]),
    failure_percentage_threshold=st.sampled_from([30, 85]),
    failure_percentage_request_volume=st.sampled_from([1, 50]),
    enforcing_failure_percentage=st.sampled_from([50, 100]),
)
TELLS = st.builds(
    lambda counts, rule, percent, dice: (
        lambda rig: tell(
            rig, counts, "r1", rule, replace(POLICY, max_ejection_percent=percent, base_ejection_ms=5_000), dice
        )
    ),
    COUNTS,
    RULES,
    st.sampled_from([10, 34, 100]),
    st.integers(0, 99),
)
WAITS = st.sampled_from([7, 1_007, 3_011, 12_007]).map(lambda ms: lambda rig: rig.advance(ms))
REPORTS = st.builds(
    lambda outcomes, endpoint: lambda rig: rig.report(outcomes, endpoint, f"pod {endpoint[6:8]}").outcome,
    st.text("FS", max_size=4),
    st.sampled_from(TEN[:6]),
)


@given(st.lists(st.one_of(TELLS, TELLS, WAITS, REPORTS), max_size=25))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=100)
def test_the_script_does_what_the_specification_says(fake_time: FakeTime, steps: list[Step]) -> None:
    script, specification = fake_rig(fake_time), local_rig()
    for step in steps:
        assert step(script) == step(specification)
        assert script.store.glance(CLUSTER, TEN).ejected == specification.store.glance(CLUSTER, TEN).ejected
