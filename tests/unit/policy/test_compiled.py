"""The decisions as they are compiled, against the same sources interpreted."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.policy.shapes import Ending, Facts, OutlierRule, RetryRule, View
from tests.instruments import decisions
from tests.unit.policy.interpreted import interpreted

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
)
outlier, retry, route, cause = map(interpreted, ("outlier", "retry", "route", "cause"))
round_robin = interpreted("balance.round_robin").round_robin
panics = interpreted("balance.panic").panics


@st.composite
def views(draw: st.DrawFn) -> View:
    here = draw(st.lists(BOOLS, max_size=70))
    tried = draw(st.lists(BOOLS, min_size=len(here), max_size=len(here)))
    members = [position for position, one in enumerate(here) if one]
    rank = [sum(here[:position]) for position in range(len(here))]
    return View(len(here), len(members), members, rank, tried)


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


@given(st.builds(RetryRule, st.integers(0, 3)), ENDINGS)
def test_retry(rule: RetryRule, ending: Ending) -> None:
    assert decisions.again(rule, ending) == retry.again(rule, ending)


FAILING = st.sets(st.integers(100, 599)).map(lambda codes: [status in codes for status in range(100, 600)])
RULES = st.builds(OutlierRule, st.one_of(st.just(0), st.integers(0, 2**62)), BOOLS, FAILING)


@given(RULES, ENDINGS)
def test_outlier(rule: OutlierRule, ending: Ending) -> None:
    assert decisions.outcome_of(rule, ending) == outlier.outcome_of(rule, ending)
    assert decisions.status_of(ending) == outlier.status_of(ending)


@given(ENDINGS, CAUSES)
def test_cause(ending: Ending, why: int) -> None:
    assert decisions.cause_of(ending) == cause.cause_of(ending)
    assert decisions.spoke(why) == cause.spoke(why)
