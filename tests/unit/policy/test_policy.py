"""The pure decisions on a request's way."""

import pytest

from proxy.policy.outlier import (
    EXTERNAL_FAILURE,
    LOCAL_FAILURE,
    NOTHING,
    SUCCESS,
    judge_abandoned,
    judge_grpc,
    judge_status,
)
from proxy.policy.retry import may_replay, may_retry


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
        (600, SUCCESS),
        (999, SUCCESS),
    ],
)
def test_what_a_status_says(status: int, outcome: int) -> None:
    assert judge_status(status) == outcome


def test_what_a_grpc_status_says() -> None:
    """Envoy's grpcToHttpStatus."""
    envoy = [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401]
    assert [judge_grpc(status) for status in range(17)] == envoy
    assert judge_grpc(17) == judge_grpc(99) == 500
    failures = [status for status in range(17) if judge_status(judge_grpc(status)) == EXTERNAL_FAILURE]
    assert failures == [2, 4, 12, 13, 14, 15]


@pytest.mark.parametrize(
    ("waited", "limit", "answered", "exempt", "outcome"),
    [
        (1000, 1000, False, False, LOCAL_FAILURE),
        (999, 1000, False, False, NOTHING),
        (5000, 0, False, False, NOTHING),
        (5000, 1000, True, False, NOTHING),
        (5000, 1000, False, True, NOTHING),
    ],
)
def test_abandoned(waited: int, limit: int, answered: bool, exempt: bool, outcome: int) -> None:
    assert judge_abandoned(waited, limit, answered, exempt) == outcome


def test_retries() -> None:
    assert [may_retry(n, False, True, False) for n in range(4)] == [True, True, False, False]
    assert may_replay(False, False, True), "nothing was sent"
    assert may_replay(True, True, False)
    assert not may_replay(True, False, False)
    assert not may_replay(True, True, True)
