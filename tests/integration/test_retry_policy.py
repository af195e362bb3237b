"""How often and how long a request is tried, as a snapshot says it to a worker: reference 5.1."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from proxy.mesh.traffic.retries import DEFAULT_RETRIES, RetryPolicy
from tests.integration.http_rig import serve_ok
from tests.integration.trying import Trying, closing, silent, trying_with, unavailable


@pytest.fixture
def trying(tmp_path: Path) -> Iterator[Trying]:
    with trying_with(tmp_path, 3) as made:
        yield made


@pytest.mark.parametrize(("attempts", "made"), [(0, 1), (1, 2), (2, 3)])
def test_5_1_attempts(attempts: int, made: int, trying: Trying) -> None:
    trying.under(replace(DEFAULT_RETRIES, attempts=attempts), closing, closing, closing)
    head, text = trying.ask()
    assert (head.status, trying.attempts()) == (503, made)
    assert [len(each.heads) for each in trying.members] == [1] * made + [0] * (3 - made), "each on another endpoint"
    assert (b"retried and the latest" in text) is (attempts > 0)


def test_5_1_by_default_two_and_never_of_an_answer(trying: Trying) -> None:
    trying.under(DEFAULT_RETRIES, closing, closing, serve_ok)
    assert trying.ask()[0].status == 200
    trying.under(DEFAULT_RETRIES, unavailable, unavailable, unavailable)
    assert (trying.ask()[0].status, trying.attempts()) == (503, 1)
    trying.under(DEFAULT_RETRIES, closing, closing, closing)
    assert (trying.ask(method="POST", text=b"x")[0].status, trying.attempts()) == (503, 1), "it may have been acted on"


def test_5_1_R13_a_pause_before_each_which_the_timeout_ends(trying: Trying) -> None:
    """Of those that are drawn from an hour, one in 7,200 is over in half a second."""
    hour = 3_600_000
    trying.under(RetryPolicy(timeout_ms=500, pause_ms=hour, longest_pause_ms=hour), closing, closing, closing)
    head, _ = trying.ask()
    assert (head.status, trying.attempts()) == (504, 1)


def test_5_1_perTryTimeout(trying: Trying) -> None:
    policy = replace(DEFAULT_RETRIES, attempt_ms=200)
    trying.under(policy, silent, silent, serve_ok)
    assert trying.ask()[0].status == 200
    trying.under(policy, silent, silent, silent)
    head, text = trying.ask()
    assert (head.status, text, trying.attempts()) == (504, b"upstream request timeout", 3)
    trying.under(policy, silent, silent, silent)
    assert (trying.ask(method="POST", text=b"x")[0].status, trying.attempts()) == (504, 1), "it may have been acted on"


def test_5_1_R12_timeout_is_for_all_of_it_and_ends_it(trying: Trying) -> None:
    """Per try 0.2 s, 0.5 s in all: three attempts, the last one shorter."""
    trying.under(RetryPolicy(attempts=5, attempt_ms=200, timeout_ms=500, pause_ms=1), silent, silent, silent)
    head, text = trying.ask()
    assert (head.status, text) == (504, b"upstream request timeout")
    assert trying.attempts() == 3
    trying.under(replace(DEFAULT_RETRIES, timeout_ms=60_000), serve_ok, serve_ok, serve_ok)
    assert trying.ask()[0].status == 200


def test_5_1_a_client_that_waits_less_than_the_timeout_is_told_then(trying: Trying) -> None:
    trying.under(replace(DEFAULT_RETRIES, timeout_ms=60_000), silent, silent, silent)
    head, _ = trying.ask("content-type: application/grpc", "te: trailers", "grpc-timeout: 100m")
    assert (head.status, head["grpc-status"]) == (200, "4")
