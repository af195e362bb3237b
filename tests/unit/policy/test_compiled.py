"""The decisions as they are compiled, against the same sources interpreted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.policy.shapes import Ending, Facts, Groups, OutlierRule, RetryRule, View
from tests.instruments import decisions
from tests.unit.policy.interpreted import interpreted
from tests.unit.policy.views import view

BOOLS = st.booleans()
CAUSES = st.integers(0, 3020)
ENDINGS = st.builds(
    Ending,
    how=st.integers(0, 12),
    status=st.integers(100, 999),
    grpc=st.integers(-1, 20),
    sent=BOOLS,
    repeatable=BOOLS,
    pooled=BOOLS,
    answered=BOOLS,
    waits=BOOLS,
    retries=st.integers(0, 4),
    untried=st.integers(0, 3),
    waited=st.integers(0, 2**62),
    trouble=CAUSES,
    whole=BOOLS,
    limited=BOOLS,
)
outlier, retry, route, cause = map(interpreted, ("outlier", "retry", "route", "cause"))
round_robin = interpreted("balance.round_robin").round_robin
panics = interpreted("balance.panic").panics
weighted, least_request, by_key = (
    interpreted(f"balance.{name}") for name in ("weighted", "least_request", "consistent_hash")
)
spreading, interpreted_warmth = interpreted("balance.groups"), interpreted("balance.warmup").warmth
LONG = st.integers(0, 2**64 - 1)


@st.composite
def views(draw: st.DrawFn) -> View:
    here = draw(st.lists(BOOLS, max_size=70))
    tried = draw(st.lists(BOOLS, min_size=len(here), max_size=len(here)))
    weights = draw(st.lists(st.integers(1, 65535), min_size=len(here), max_size=len(here)))
    return view(here, [position for position, one in enumerate(tried) if one], weights)


@given(st.builds(Facts, tunnelled=BOOLS, connect=BOOLS))
def test_route(facts: Facts) -> None:
    assert decisions.place_of(facts) == route.place_of(facts)


@given(st.integers(-2, 75), views())
def test_round_robin(last: int, view: View) -> None:
    chosen = round_robin(last, view)
    assert decisions.round_robin(last, view) == chosen
    first = last + 1 if 0 <= last + 1 < view.count else 0
    order = [position % view.count for position in range(first, first + view.count)]
    assert chosen == next((each for each in order if each in view.members and not view.tried[each]), -1), "by the book"


@given(st.integers(0, 2000), st.integers(0, 2000), st.integers(0, 100))
def test_panic(present: int, count: int, percent: int) -> None:
    assert decisions.panics(present, count, percent) == panics(present, count, percent)


@given(LONG, LONG, views())
def test_weighted(counter: int, draw: int, view: View) -> None:
    assert decisions.spread(counter) == weighted.spread(counter)
    if view.present:
        assert decisions.turn_of(draw, view) == weighted.turn_of(draw, view)


@given(st.integers(0, 2**31), st.integers(0, 2**31), st.integers(1, 65535), st.integers(1, 65535))
def test_least_request(first: int, second: int, first_weight: int, second_weight: int) -> None:
    numbers = (first, second, first_weight, second_weight)
    assert decisions.second_is_lighter(*numbers) == least_request.second_is_lighter(*numbers)


@given(st.binary(max_size=100), LONG, views())
def test_consistent_hash(octets: bytes, key: int, view: View) -> None:
    assert decisions.hash_of(octets) == by_key.hash_of(octets, len(octets))
    seeds = [by_key.mixed((key + position) % 2**64) for position in range(view.count)]
    assert decisions.rendezvous(key, seeds, view) == by_key.rendezvous(key, seeds, view)
    order = sorted(view.members, key=lambda position: -view.weights[position])
    ordered = [seeds[position] for position in order]
    chosen = by_key.weighted_rendezvous(key, ordered, order, view)
    assert decisions.weighted_rendezvous(key, ordered, order, view) == chosen
    untried = [position for position in order if not view.tried[position]]
    costs = [by_key.minus_log(((key ^ seeds[each]) * by_key.FIRST) % 2**64) / view.weights[each] for each in untried]
    assert chosen == (untried[costs.index(min(costs))] if untried else -1), "by the book"
    places, credits, table = [0] * view.count, [0] * view.count, [0] * 31
    table = table[: by_key.fill(table, 31, seeds, places, credits, view)]
    assert decisions.table_of(31, seeds, view) == table
    if table:
        here = bytes(position in view.members for position in range(view.count))
        assert decisions.in_table(key, table, here, view) == by_key.in_table(key, table, len(table), here, view)


@st.composite
def spreads(draw: st.DrawFn) -> Groups:
    sizes = draw(st.lists(st.integers(0, 2000), max_size=9))
    present = [draw(st.integers(0, size)) for size in sizes]
    weights = [draw(st.integers(0, 100)) for _ in sizes]
    return Groups(len(sizes), sizes, present, weights, [0] * len(sizes), [0] * len(sizes))


@given(spreads(), st.integers(0, 100), LONG)
def test_groups(groups: Groups, percent: int, draw: int) -> None:
    for name in ("fail_over", "distribute"):
        compiled = getattr(decisions, name)(groups, percent)
        total = getattr(spreading, name)(groups, percent)
        assert compiled == (total, list(groups.loads), list(groups.panicking))
        chosen = spreading.group_of(draw, total, groups)
        assert decisions.group_of(draw, total, groups) == chosen
        assert sum(groups.loads) == total
        assert (chosen < 0) == (total == 0)
        assert chosen < 0 or groups.loads[chosen]


@given(st.floats(-1e6, 1e9), st.floats(1, 1e9), st.floats(0, 1), st.floats(0.01, 100))
def test_warmup(age: float, window: float, least: float, aggression: float) -> None:
    found = decisions.warmth(age, window, least, aggression)
    assert found == pytest.approx(interpreted_warmth(age, window, least, aggression))
    assert least <= found <= 1


STATUSES = st.sets(st.integers(100, 599)).map(lambda codes: [status in codes for status in range(100, 600)])
RETRY_RULES = st.builds(
    RetryRule, st.integers(0, 3), named=BOOLS, statuses=STATUSES, grpc=st.integers(0, 2**32 - 1), resets=BOOLS
)


@given(RETRY_RULES, ENDINGS)
def test_retry(rule: RetryRule, ending: Ending) -> None:
    assert decisions.again(rule, ending) == retry.again(rule, ending)


RULES = st.builds(OutlierRule, st.one_of(st.just(0), st.integers(0, 2**62)), BOOLS, STATUSES)


@given(RULES, ENDINGS)
def test_outlier(rule: OutlierRule, ending: Ending) -> None:
    assert decisions.outcome_of(rule, ending) == outlier.outcome_of(rule, ending)
    assert decisions.status_of(ending) == outlier.status_of(ending)


@given(ENDINGS, CAUSES)
def test_cause(ending: Ending, why: int) -> None:
    assert decisions.cause_of(ending) == cause.cause_of(ending)
    assert decisions.spoke(why) == cause.spoke(why)
