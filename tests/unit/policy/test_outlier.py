"""What an attempt says about its endpoint."""

import pytest

from proxy.policy.shapes import (
    ABANDONED,
    ANSWERED,
    CLIENT_FAILED,
    CLOSED,
    CONNECTED,
    CUT,
    EXPIRED,
    EXTERNAL_FAILURE,
    LOCAL_FAILURE,
    MALFORMED,
    NOT_CONNECTED,
    NOT_HTTP,
    NOTHING,
    REFUSED,
    RESET,
    SHORT_OF,
    SILENT,
    SUCCESS,
    Ending,
    OutlierRule,
)
from tests.unit.policy.interpreted import interpreted

outlier = interpreted("outlier")
RULE = OutlierRule(abandoned=1000)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, SUCCESS),
        (101, SUCCESS),
        (404, SUCCESS),
        (499, SUCCESS),
        (500, EXTERNAL_FAILURE),
        (503, EXTERNAL_FAILURE),
        (599, EXTERNAL_FAILURE),
        (600, EXTERNAL_FAILURE),
        (999, EXTERNAL_FAILURE),
    ],
)
def test_what_a_status_says(status: int, outcome: int) -> None:
    assert outlier.outcome_of(RULE, Ending(ANSWERED, status)) == outcome


def test_what_a_grpc_status_says() -> None:
    """Envoy's grpcToHttpStatus."""
    envoy = [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401]
    assert [outlier.status_of(Ending(ANSWERED, 200, grpc)) for grpc in range(17)] == envoy
    assert outlier.status_of(Ending(ANSWERED, 200, 17)) == outlier.status_of(Ending(ANSWERED, 200, 99)) == 500
    assert outlier.status_of(Ending(ANSWERED, 302)) == 302, "it is no gRPC"
    failures = [n for n in range(17) if outlier.outcome_of(RULE, Ending(ANSWERED, 200, n)) == EXTERNAL_FAILURE]
    assert failures == [2, 4, 12, 13, 14, 15]


@pytest.mark.parametrize(
    ("how", "outcome"),
    [
        (CONNECTED, SUCCESS),
        (NOT_CONNECTED, LOCAL_FAILURE),
        (CLOSED, LOCAL_FAILURE),
        (RESET, LOCAL_FAILURE),
        (REFUSED, LOCAL_FAILURE),
        (NOT_HTTP, LOCAL_FAILURE),
        (MALFORMED, NOTHING),
        (SHORT_OF, NOTHING),
        (CLIENT_FAILED, NOTHING),
        (EXPIRED, LOCAL_FAILURE),
    ],
)
def test_what_no_answer_says(how: int, outcome: int) -> None:
    assert outlier.outcome_of(RULE, Ending(how)) == outcome


def test_H_C_what_a_pooled_connection_had_too_much_says_nothing() -> None:
    assert outlier.outcome_of(RULE, Ending(NOT_HTTP, pooled=True)) == NOTHING


def test_an_answer_that_breaks_off_is_a_failure_once() -> None:
    assert outlier.outcome_of(RULE, Ending(CUT, 200)) == LOCAL_FAILURE, "after the success that its head was"
    assert outlier.outcome_of(RULE, Ending(CUT, 503)) == NOTHING
    assert outlier.outcome_of(RULE, Ending(CUT, 200, 14)) == NOTHING


@pytest.mark.parametrize("how", [ABANDONED, SILENT])
@pytest.mark.parametrize(
    ("waited", "limit", "answered", "waits", "outcome"),
    [
        (1000, 1000, False, False, LOCAL_FAILURE),
        (999, 1000, False, False, NOTHING),
        (5000, 0, False, False, NOTHING),
        (5000, 1000, True, False, NOTHING),
        (5000, 1000, False, True, NOTHING),
    ],
)
def test_silence(how: int, waited: int, limit: int, answered: bool, waits: bool, outcome: int) -> None:
    ending = Ending(how, waited=waited, answered=answered, waits=waits)
    assert outlier.outcome_of(OutlierRule(limit), ending) == outcome


@pytest.mark.parametrize(
    ("how", "status", "outcome"),
    [
        (ANSWERED, 429, EXTERNAL_FAILURE),
        (ANSWERED, 500, SUCCESS),
        (ANSWERED, 200, SUCCESS),
        (ANSWERED, 999, SUCCESS),
        (CUT, 429, NOTHING),
        (CUT, 500, LOCAL_FAILURE),
        (REFUSED, 0, LOCAL_FAILURE),
    ],
)
def test_w11_listed_codes_are_failures_and_no_others(how: int, status: int, outcome: int) -> None:
    """outlierDetectionHttpErrorCodes: [429]. What is no answer is a failure all the same."""
    listed = OutlierRule(listed=True, failing=[code == 429 for code in range(100, 600)])
    assert outlier.outcome_of(listed, Ending(how, status=status)) == outcome


@pytest.mark.parametrize(("grpc", "outcome"), [(8, EXTERNAL_FAILURE), (14, SUCCESS)])
def test_w11_a_grpc_status_is_judged_by_what_it_stands_for(grpc: int, outcome: int) -> None:
    listed = OutlierRule(listed=True, failing=[code == 429 for code in range(100, 600)])
    assert outlier.outcome_of(listed, Ending(ANSWERED, status=200, grpc=grpc)) == outcome
