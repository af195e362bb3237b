"""What follows a failed attempt."""

import pytest

from proxy.policy.shapes import (
    ABANDONED,
    ANOTHER,
    ANSWERED,
    CLIENT_FAILED,
    CLOSED,
    CUT,
    EXHAUSTED,
    EXPIRED,
    MALFORMED,
    NO,
    NOT_CONNECTED,
    NOT_HTTP,
    REFUSED,
    RESET,
    SAME,
    SHORT_OF,
    SILENT,
    Ending,
    RetryRule,
)
from tests.unit.policy.interpreted import interpreted

again, pause_before = interpreted("retry").again, interpreted("retry").pause_before
RULE = RetryRule(retries=2)


@pytest.mark.parametrize("how", [SHORT_OF, NOT_CONNECTED, CLOSED, RESET, REFUSED])
def test_as_often_as_the_rule_says(how: int) -> None:
    rulings = [again(RULE, Ending(how, retries=retries, untried=9)) for retries in range(4)]
    assert rulings == [ANOTHER, ANOTHER, EXHAUSTED, EXHAUSTED]
    assert again(RetryRule(0), Ending(how, untried=9)) == NO, "none was due"


def test_never_on_an_endpoint_again() -> None:
    assert again(RULE, Ending(NOT_CONNECTED, untried=0)) == NO, "there never was another"
    assert again(RULE, Ending(NOT_CONNECTED, retries=1, untried=0)) == EXHAUSTED


def test_H2_C_unless_it_has_refused_the_request() -> None:
    rulings = [again(RULE, Ending(REFUSED, retries=retries, untried=-retries)) for retries in range(3)]
    assert rulings == [ANOTHER, ANOTHER, EXHAUSTED]
    assert again(RULE, Ending(REFUSED, sent=True, untried=0)) == NO, "what is gone of it is gone"


@pytest.mark.parametrize(
    ("sent", "repeatable", "ruling"),
    [(False, False, ANOTHER), (False, True, ANOTHER), (True, True, ANOTHER), (True, False, NO)],
)
def test_what_was_sent_is_sent_again_only_if_that_does_nothing_twice(sent: bool, repeatable: bool, ruling: int) -> None:
    assert again(RULE, Ending(CLOSED, sent=sent, repeatable=repeatable, untried=1)) == ruling


@pytest.mark.parametrize("how", [NOT_HTTP, MALFORMED, SILENT, ABANDONED, CLIENT_FAILED, CUT, EXPIRED])
def test_what_is_not_tried_again(how: int) -> None:
    assert again(RULE, Ending(how, repeatable=True, untried=9)) == NO


def test_a_pooled_connection_that_was_dead_is_no_retry() -> None:
    dead = Ending(CLOSED, sent=True, repeatable=True, pooled=True)
    assert again(RetryRule(0), dead) == SAME, "whatever the rule, with no other endpoint"
    assert again(RULE, Ending(CLOSED, sent=True, pooled=True, untried=9)) == NO, "it may have been done"


def test_H_C_a_pooled_connection_that_said_what_is_no_answer_is_no_retry_either() -> None:
    assert again(RetryRule(0), Ending(NOT_HTTP, sent=True, repeatable=True, pooled=True)) == SAME
    assert again(RULE, Ending(NOT_HTTP, sent=True, pooled=True, untried=9)) == NO, "it may have been done"


ANY = RetryRule(2, named=True, statuses=[status in (409, 500, 503) for status in range(100, 600)], grpc=1 << 14)


def answered(status: int = 200, grpc: int = -1, whole: bool = True, limited: bool = False, retries: int = 0) -> Ending:
    return Ending(ANSWERED, status, grpc, sent=True, whole=whole, limited=limited, retries=retries, untried=9)


@pytest.mark.parametrize(
    ("ending", "ruling"),
    [
        pytest.param(answered(503), ANOTHER, id="T5-R10-a-status-that-is-named"),
        pytest.param(answered(409), ANOTHER, id="R10-retriable-4xx"),
        pytest.param(answered(502), NO, id="T9-one-that-is-not"),
        pytest.param(answered(999), NO, id="T5-one-that-there-is-not"),
        pytest.param(answered(200, grpc=14), ANOTHER, id="R10-a-gRPC-status-that-is-named"),
        pytest.param(answered(200, grpc=13), NO, id="R10-a-gRPC-status-that-is-not"),
        pytest.param(answered(200, grpc=46), NO, id="R10-a-gRPC-status-that-there-is-not"),
        pytest.param(answered(503, whole=False), NO, id="R11-the-body-is-not-here-any-more"),
        pytest.param(answered(503, limited=True), NO, id="R3-a-limit-refused-it"),
        pytest.param(answered(503, retries=2), EXHAUSTED, id="T8-R11-used-up"),
    ],
)
def test_an_answer_that_the_rule_does_not_take(ending: Ending, ruling: int) -> None:
    assert again(ANY, ending) == ruling
    assert again(RULE, ending) == NO, "without a route every answer is taken"


def test_T6_R11_what_broke_off_is_tried_again_as_the_rule_says() -> None:
    post = Ending(CLOSED, sent=True, whole=True, untried=1)
    assert again(RULE, post) == again(ANY, post) == NO, "it may have been done"
    resets = RetryRule(2, named=True, resets=True, statuses=ANY.statuses)
    assert again(resets, post) == ANOTHER, "POST as GET"
    assert again(resets, Ending(CLOSED, sent=True, untried=1)) == NO, "the body is not here any more"


def test_T9_R14_the_same_endpoint_will_do_where_there_is_no_other() -> None:
    assert again(ANY, Ending(ANSWERED, 503, whole=True, untried=0)) == ANOTHER
    assert again(ANY, Ending(NOT_CONNECTED, untried=0)) == ANOTHER


def test_t7_what_a_route_names_as_the_shortest_pause_is_no_longer_by_chance() -> None:
    ms = 1_000_000
    rule = RetryRule(retries=5, pause=100 * ms, longest=1000 * ms, least=100 * ms)
    drawn = [[pause_before(rule, retry, draw) / ms for draw in (0, 65535)] for retry in (1, 2, 3, 4, 9)]
    assert [low for low, _ in drawn] == [100] * 5
    assert [round(high) for _, high in drawn] == [200, 400, 800, 1100, 1100]
    envoys = RetryRule(retries=5, pause=25 * ms, longest=250 * ms)
    assert pause_before(envoys, 1, 0) == 0, "Istio's own, and VirtualService's, may be none at all"
