"""Limits of connectionPool and retryBudget, as clients and endpoints see them. The rows are those of table 4 of the
reference; endpoints count what they hold."""

import contextlib
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.integration.http_rig import Head, unique
from tests.integration.limited import CLIENTS, limited
from tests.rig import wait_until

OVERFLOW = b"upstream connect error or disconnect/reset before headers. reset reason: overflow"


def overflowed(answer: tuple[Head, bytes]) -> bool:
    head, body = answer
    assert (head.status, head.get("x-envoy-overloaded"), body) == (503, "true", OVERFLOW)
    return True


# -- exact over the workers of a replica ------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 3], ids=["4 maxConnections one endpoint", "4 maxConnections three endpoints"])
def test_connections_are_never_one_too_many_and_who_waits_is_served(count: int, tmp_path: Path) -> None:
    with limited(tmp_path, {"tcp": {"maxConnections": 7}}, count=count, workers=4) as made:
        made.endpoints.delay = 0.004
        assert made.all_at_once(6) == {200: CLIENTS * 6}
        assert made.endpoints.most_connections == 7, "as many as there may be, and not one more"
        assert made.held("pending") == 0
        wait_until(lambda: made.held("connections") == len(made.endpoints.connections), 5, "it knows of what there is")


def test_4_http2MaxRequests_none_is_refused_below_the_limit(tmp_path: Path) -> None:
    with limited(tmp_path, {"http": {"http2MaxRequests": CLIENTS}}, workers=4) as made:
        made.endpoints.delay = 0.002
        assert made.all_at_once(6) == {200: CLIENTS * 6}
        assert (made.held("requests"), made.refused("requests")) == (0, 0)


def test_4_http2MaxRequests_never_one_too_many(tmp_path: Path) -> None:
    with limited(tmp_path, {"http": {"http2MaxRequests": 20}}, workers=4) as made, contextlib.ExitStack() as stack:
        made.endpoints.delay = None
        clients = [made.asking(stack) for _ in range(CLIENTS)]
        wait_until(lambda: made.refused("requests") == CLIENTS - 20, 10, "the others are refused")
        wait_until(lambda: made.endpoints.held == 20, 10, "so many are with the endpoint")
        made.endpoints.let_go()
        answers = [client.answer() for client in clients]
        assert sum(head.status == 200 for head, _ in answers) == 20
        assert all(overflowed(answer) for answer in answers if answer[0].status != 200)
        assert made.endpoints.most_requests == 20, "and there was never one more"
        wait_until(lambda: made.held("requests") == 0, 5, "nothing is held any more")


# -- who waits --------------------------------------------------------------------------------------------------------


def test_4_http1MaxPendingRequests_so_many_wait_and_no_more(tmp_path: Path) -> None:
    pool = {"tcp": {"maxConnections": 1}, "http": {"http1MaxPendingRequests": 2}}
    with limited(tmp_path, pool, workers=2) as made, contextlib.ExitStack() as stack:
        made.endpoints.delay = None
        first = made.asking(stack)
        wait_until(lambda: made.endpoints.held == 1, 5, "one is with the endpoint")
        waiting = [made.asking(stack) for _ in range(2)]
        wait_until(lambda: made.held("pending") == 2, 5, "two wait")
        path = unique()
        client = stack.enter_context(made.client())
        assert overflowed(client.ask("in-ambient", path))
        line = made.line(path)
        assert (line["status"], line["flags"], line["host"]) == ("503", "UO", "-")
        assert line["details"] == "upstream_reset_before_response_started{overflow}"
        assert client.ask("in-ambient", unique())[0].status == 503, "the connection goes on"
        made.endpoints.let_go()
        assert [each.answer()[0].status for each in (first, *waiting)] == [200] * 3
        assert made.endpoints.most_connections == 1
        assert (made.held("pending"), made.refused("pending")) == (0, 2)


def test_what_another_worker_does_not_use_goes_to_who_waits(tmp_path: Path) -> None:
    """Each client is another worker's; the one connection follows them."""
    with limited(tmp_path, {"tcp": {"maxConnections": 1}}, workers=4) as made, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(made.client()) for _ in range(4)]
        assert [client.ask("in-ambient", unique())[0].status for client in clients * 3] == [200] * 12
        assert (made.endpoints.most_connections, made.endpoints.accepted >= 4) == (1, True)


def test_what_a_killed_worker_held_is_free(tmp_path: Path) -> None:
    with limited(tmp_path, {"tcp": {"maxConnections": 1}}, workers=2) as made, contextlib.ExitStack() as stack:
        made.endpoints.delay = None
        made.asking(stack)
        wait_until(lambda: made.endpoints.held == 1, 5, "one is with the endpoint")
        waiting = made.asking(stack)
        wait_until(lambda: made.held("pending") == 1, 5, "the other waits")
        holder = next(pid for pid in made.replica.worker_pids() if _talks_to(pid, made.endpoints.port))
        os.kill(holder, signal.SIGKILL)
        wait_until(lambda: made.endpoints.held == 1 and made.held("pending") == 0, 10, "its turn")
        made.endpoints.let_go()
        assert waiting.answer()[0].status == 200
        assert (made.endpoints.most_connections, made.held("connections")) == (1, 1)


def _talks_to(pid: int, port: int) -> bool:
    """Whether a process has a connection to that port."""
    rows = Path("/proc/net/tcp").read_text().splitlines()[1:]
    inodes = {row.split()[9] for row in rows if row.split()[2].endswith(f":{port:04X}")}
    links = [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()]
    return any(link == f"socket:[{inode}]" for link in links for inode in inodes)


def test_4_who_leaves_waits_no_longer(tmp_path: Path) -> None:
    with limited(tmp_path, {"tcp": {"maxConnections": 1}}) as made, contextlib.ExitStack() as stack:
        made.endpoints.delay = None
        first = made.asking(stack)
        wait_until(lambda: made.endpoints.held == 1, 5, "one is with the endpoint")
        leaving = made.asking(stack)
        wait_until(lambda: made.held("pending") == 1, 5, "the other waits")
        leaving.reset()
        wait_until(lambda: made.held("pending") == 0, 5, "it has left")
        made.endpoints.let_go()
        assert first.answer()[0].status == 200
        assert made.endpoints.answered == 1


def test_4_waiting_past_the_time_of_a_request_is_504_UT_and_no_outcome(tmp_path: Path) -> None:
    outlier = {"consecutive5xxErrors": 1, "maxEjectionPercent": 100}
    pool = {"tcp": {"maxConnections": 1}}
    with limited(tmp_path, pool, outlierDetection=outlier) as made, contextlib.ExitStack() as stack:
        made.endpoints.delay = None
        made.asking(stack)
        wait_until(lambda: made.endpoints.held == 1, 5, "one is with the endpoint")
        late = made.asking(stack, "content-type: application/grpc", "te: trailers", "grpc-timeout: 100m")
        head, _ = late.answer()
        assert (head.status, head["grpc-status"]) == (200, "4")
        assert not made.cluster()["endpoints"][0]["ejected"]
        assert made.held("pending") == 0


# -- retries ----------------------------------------------------------------------------------------------------------

ONE_RETRY = [
    ({"http": {"maxRetries": 1}}, {}),
    ({}, {"retryBudget": {"percent": 20, "minRetryConcurrency": 1}}),
    ({"http": {"maxRetries": 100}}, {"retryBudget": {"percent": 0, "minRetryConcurrency": 1}}),
]


@pytest.mark.parametrize(
    ("pool", "policy"), ONE_RETRY, ids=["4 maxRetries", "4 retryBudget", "4 retryBudget instead of maxRetries"]
)
def test_one_retry_at_once(pool: dict[str, Any], policy: dict[str, Any], tmp_path: Path) -> None:
    """The first request is tried again on the endpoint that is there, and waits for it; the next one is not."""
    with limited(tmp_path, pool, dead=True, **policy) as made, contextlib.ExitStack() as stack:
        made.endpoints.delay = None
        first = made.asking(stack)
        wait_until(lambda: made.endpoints.held == 1 and made.held("retries") == 1, 5, "it is tried again")
        path = unique()
        with made.client() as client:
            head, body = client.ask("in-ambient", path)
        assert (head.status, "x-envoy-overloaded" in head) == (503, False), "the attempt's own answer"
        assert body.startswith(b"upstream connect error") and b"overflow" not in body
        assert made.line(path)["flags"] == "UO,UF"
        assert made.refused("retries") == 1
        made.endpoints.let_go()
        assert first.answer()[0].status == 200
        wait_until(lambda: made.held("retries") == 0, 5, "it is over")
        with made.client() as client:
            assert {client.ask("in-ambient", unique())[0].status for _ in range(4)} == {200}


@pytest.mark.parametrize(
    ("interval", "statuses"),
    [({"budgetInterval": "60s"}, [503, 200, 503, 200, 200, 200, 200]), ({}, [503, 200, 503, 200, 503, 200, 503])],
    ids=["1.5 retryBudget budgetInterval", "1.5 retryBudget without budgetInterval"],
)
def test_the_budget_is_half_of_the_requests_of_the_interval_or_of_those_there_are(
    interval: dict[str, str], statuses: list[int], tmp_path: Path
) -> None:
    """Every other request goes to an endpoint that is not there first, while nothing else runs. With an interval it is
    tried again as soon as two requests have been sent within that."""
    budget = {"percent": 50, "minRetryConcurrency": 0} | interval
    with limited(tmp_path, {}, dead=True, retryBudget=budget) as made, made.client() as client:
        assert [client.ask("in-ambient", unique())[0].status for _ in statuses] == statuses
