"""The rows of sections 2.1 to 2.5 and 2.9 of the outlier study that several counters decide, on every store, dealt to
workers of several replicas: what is counted is the order in the store, whoever reports."""

from dataclasses import replace
from itertools import cycle

import pytest

from state.outlier.store import Policy, Verdict
from tests.state.state_rig import SEED, A, B, Rig

ALONE = replace(SEED, max_ejection_percent=100, endpoints=1)
WORKERS = [f"r{replica}/w{worker}" for worker in (1, 2) for replica in (1, 2, 3)]
FIVE, GATEWAY = "consecutive_5xx", "consecutive_gateway_failure"
ORIGIN = "consecutive_local_origin_failure"


def rule(n: int = 3, g: int = 0, o: int = 0, quorum: int = 1) -> Policy:
    """n, g, and o with splitExternalLocalOriginErrors."""
    return replace(
        ALONE,
        consecutive_5xx=n,
        consecutive_gateway_failure=g,
        split_local_origin=o > 0,
        consecutive_local_origin_failure=o,
        local_origin_quorum=quorum,
    )


def dealt(rig: Rig, outcomes: str, policy: Policy) -> list[Verdict]:
    """Each outcome told by another worker, until one ejects."""
    told = []
    for outcome, by in zip(outcomes, cycle(WORKERS), strict=False):
        told.append(rig.report(outcome, policy=policy, by=by))
        if told[-1].outcome == "ejected":
            break
    return told


# F 502 to 504, E any other 5xx, S anything else that was answered, L refused, T no answer on a connection
@pytest.mark.parametrize(
    ("policy", "outcomes", "at", "reason"),
    [
        pytest.param(rule(3), "EEE", 3, FIVE, id="2.1 status 500..599"),
        pytest.param(rule(9, g=2), "FF", 2, GATEWAY, id="2.1 if 502, 503, 504 cgw+1"),
        pytest.param(rule(9, g=2), "FEF", None, "", id="2.1 else cgw=0"),
        pytest.param(rule(9, g=2), "FSF", None, "", id="2.1 any other final status: c5xx=0, cgw=0"),
        pytest.param(rule(9, g=2), "LL", 2, GATEWAY, id="2.1 connect refused: c5xx+1, cgw+1"),
        pytest.param(rule(9, g=2), "TT", 2, GATEWAY, id="2.1 timeout before headers: c5xx+1, cgw+1"),
        pytest.param(rule(3, g=5), "FFF", 3, FIVE, id="2.2 gateway threshold above n has no effect"),
        pytest.param(rule(3, g=3), "FFF", 3, GATEWAY, id="2.2 but at equality, where it is labelled gateway"),
        pytest.param(rule(0, g=2), "EEEFF", 5, GATEWAY, id="2.2 n 0 disables 5xx only"),
        pytest.param(rule(3, o=9), "FLFLF", 5, FIVE, id="2.5 local origin feeds clocal only"),
        pytest.param(rule(9, g=2, o=9), "FLF", 3, GATEWAY, id="2.5 nor does it end a row of gateway errors"),
        pytest.param(rule(9, g=2, o=9), "LLLL", None, "", id="2.5 refused is no gateway error then"),
        pytest.param(rule(9, o=3), "LLSLL", None, "", id="2.5 every stream start resets clocal: answered"),
        pytest.param(rule(9, o=3), "LLFLL", None, "", id="2.5 every stream start resets clocal: a 503"),
        pytest.param(rule(9, o=3), "LLTLL", 5, ORIGIN, id="2.5 a broken one resets, and is the first of the next"),
        pytest.param(rule(9, o=5), "LLLLL", 5, ORIGIN, id="1.4 consecutiveLocalOriginFailures 5 in split mode"),
        pytest.param(rule(5, g=3), "FFEFF", 5, FIVE, id="W3"),
        pytest.param(rule(3), "EESEESEEE", 9, FIVE, id="W4"),
        pytest.param(rule(3), "EEE", 3, FIVE, id="W5"),
        pytest.param(rule(3), "LLL", 3, FIVE, id="W6"),
        pytest.param(rule(3), "TTT", 3, FIVE, id="W7"),
        pytest.param(rule(3), "STSTSTST", None, "", id="W8 truncated bodies"),
        pytest.param(rule(3, o=3), "LLL", 3, ORIGIN, id="W9"),
        pytest.param(rule(3, o=3), "TTTT", None, "", id="W10"),
        pytest.param(rule(3, g=1), "EE", None, "", id="W11 a 429 never feeds the gateway counter"),
        pytest.param(rule(3), "FFF", 3, FIVE, id="W12"),
        pytest.param(rule(9, g=2, quorum=3), "LLL", 3, GATEWAY, id="quorum: three replicas"),
        pytest.param(rule(9, o=3, quorum=3), "LLL", 3, ORIGIN, id="quorum: three replicas, split"),
    ],
)
def test_row(rig: Rig, policy: Policy, outcomes: str, at: int | None, reason: str) -> None:
    told = dealt(rig, outcomes, policy)
    found = len(told) if told[-1].outcome == "ejected" else None
    assert (found, told[-1].reason) == (at, reason)


@pytest.mark.parametrize(("policy", "outcomes"), [(rule(9, g=2, quorum=2), "LL"), (rule(9, o=2, quorum=2), "LL")])
def test_a_replica_alone_is_not_believed(rig: Rig, policy: Policy, outcomes: str) -> None:
    assert [rig.report(each, policy=policy).outcome for each in outcomes] == ["counted", "unconfirmed"]
    assert rig.report("L", policy=policy, by="r2").outcome == "ejected"


def test_it_is_said_why_everywhere(rig: Rig) -> None:
    policy = rule(9, g=2)
    verdict = rig.report("FF", policy=policy)
    assert (verdict.failures, verdict.reason) == (2, GATEWAY)
    (ejection,) = rig.store.sync("httpbin/in-ambient:8000", [A]).ejections
    assert (ejection.reason, ejection.failures) == (GATEWAY, 2)
    assert rig.report("F", policy=policy).reason == GATEWAY, "already ejected"


def test_an_overflow_says_why_and_all_begin_again(rig: Rig) -> None:
    policy = replace(rule(5, g=2), max_ejection_percent=0)
    told = [rig.report(outcome, policy=policy) for outcome in "FFFF"]
    assert [(each.outcome, each.reason) for each in told] == [
        ("counted", ""),
        ("overflow", GATEWAY),
        ("counted", ""),
        ("overflow", GATEWAY),
    ]


def test_a_rule_without_them_leaves_what_others_have_counted(rig: Rig) -> None:
    """In a rollout: its failures count as 5xx, its successes for all."""
    new, old = rule(9, g=3), rule(9)
    rig.report("FF", policy=new)
    rig.report("E", policy=old)
    assert rig.report("F", policy=new).reason == GATEWAY
    rig.report("FF", B, policy=new)
    rig.report("S", B, policy=old)
    assert rig.report("F", B, policy=new).outcome == "counted"


def test_a_row_that_ended_while_it_was_too_young_still_counts(clocked: Rig) -> None:
    """Two gateway errors, and then another 5xx before the run is old enough for anybody to be sure of it."""
    policy = replace(rule(9, g=2), min_run_ms=20)
    assert clocked.report("FF", policy=policy).outcome == "too_soon"
    assert clocked.report("E", policy=policy).outcome == "too_soon"
    clocked.advance(25)
    verdict = clocked.report("", policy=policy)
    assert (verdict.outcome, verdict.reason, verdict.failures) == ("ejected", GATEWAY, 2)


def test_a_success_ends_it_while_it_is_too_young(clocked: Rig) -> None:
    policy = replace(rule(9, g=2), min_run_ms=20)
    assert clocked.report("FF", policy=policy).outcome == "too_soon"
    assert clocked.report("S", policy=policy).outcome == "clean"
    clocked.advance(25)
    assert clocked.report("F", policy=policy).outcome == "counted"
