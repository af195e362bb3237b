"""What a client and the log are told where a limit is reached: by Envoy 1.40 and by us, in the same situations."""

import contextlib
import http.client
import re
import select
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hbone.envoy import Envoy, running
from tests.integration.holding import Holding, holding
from tests.integration.http_rig import Client, unique
from tests.integration.limited import limited
from tests.rig import free_port, wait_until

_TYPES = "type.googleapis.com/envoy.extensions.filters."
SHOWN = ("x-envoy-overloaded", "content-length", "content-type")


class Subject:
    """Either of the two: where it listens, what its endpoints hold, how many requests it keeps waiting, and its log."""

    def __init__(
        self, port: int, endpoints: Holding, pending: Callable[[], int], lines: Callable[[str], list[str]]
    ) -> None:
        self.port, self.endpoints, self.pending, self.lines = port, endpoints, pending, lines
        endpoints.delay = None

    def told(self, stack: contextlib.ExitStack) -> tuple[Any, ...]:
        """What one more client is told, and the log: flags and details."""
        path = unique()
        client = stack.enter_context(Client(self.port, 30))
        client.request("in-ambient", path)
        return self.of(client, path)

    def of(self, client: Client, path: str) -> tuple[Any, ...]:
        head, body = client.answer()
        (line,) = wait_until(lambda: self.lines(path), 5, "its line in the log")
        flags, details = _search(line)
        return head.status, [head.get(name) for name in SHOWN], body, flags, details

    def ask(self, stack: contextlib.ExitStack) -> tuple[Client, str]:
        client, path = stack.enter_context(Client(self.port, 30)), unique()
        client.request("in-ambient", path)
        return client, path


def _search(line: str) -> tuple[str, str]:
    found = re.search(r'" (?:\d+) (\S+) (\S+)', line)
    assert found, line
    return found[1], re.sub(r"\{.*\|.*\}", "{...}", found[2])


def _at(ip: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": ip, "port_value": port}}


def _envoy(port: int, addresses: list[tuple[str, int]], thresholds: dict[str, Any]) -> dict[str, Any]:
    log = '"%REQ(:METHOD)% %REQ(:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%\n'
    retry = {"retry_on": "connect-failure,refused-stream", "num_retries": 2}
    manager = {
        "@type": _TYPES + "network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in",
        "access_log": [
            {
                "name": "file",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
                    "path": "/dev/stdout",
                    "log_format": {"text_format_source": {"inline_string": log}},
                },
            }
        ],
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "c", "retry_policy": retry}}],
                }
            ]
        },
        "http_filters": [{"name": "router", "typed_config": {"@type": _TYPES + "http.router.v3.Router"}}],
    }
    cluster = {
        "name": "c",
        "type": "STATIC",
        "connect_timeout": "5s",
        "circuit_breakers": {"thresholds": [thresholds]},
        "load_assignment": {
            "cluster_name": "c",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _at(*address)}} for address in addresses]}],
        },
    }
    listener = {"name": "in", "address": _at("127.0.0.1", port), "filter_chains": [{"filters": [{"name": "http"}]}]}
    listener["filter_chains"][0]["filters"][0]["typed_config"] = manager  # type: ignore[index]
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def _active(envoy: Envoy, stat: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", envoy.admin, timeout=5)
    with contextlib.closing(connection):
        connection.request("GET", f"/stats?filter=cluster.c.{stat}$")
        return int(connection.getresponse().read().rpartition(b":")[2])


@contextlib.contextmanager
def by_envoy(directory: Path, thresholds: dict[str, Any], dead: bool) -> Iterator[Subject]:
    with holding() as endpoints:
        addresses = [(endpoints.ips[0], endpoints.port)]
        if dead:
            addresses.insert(0, (endpoints.ips[0].replace(".7.", ".6."), endpoints.port))
        port = free_port()
        with running(directory, "envoy", _envoy(port, addresses, thresholds)) as envoy:
            yield Subject(port, endpoints, lambda: _active(envoy, "upstream_rq_pending_active"), envoy.lines)


@contextlib.contextmanager
def by_us(directory: Path, pool: dict[str, Any], dead: bool) -> Iterator[Subject]:
    with limited(directory / "ours", pool, dead=dead) as made:
        yield Subject(made.replica.port, made.endpoints, lambda: made.held("pending"), made.replica.waypoint.lines)


def pending(subject: Subject, stack: contextlib.ExitStack) -> tuple[Any, ...]:
    """One is with the endpoint, one waits: the third."""
    subject.ask(stack)
    wait_until(lambda: subject.endpoints.held == 1, 10, "one is with the endpoint")
    subject.ask(stack)
    wait_until(lambda: subject.pending() == 1, 10, "one waits")
    return subject.told(stack)


def requests(subject: Subject, stack: contextlib.ExitStack) -> tuple[Any, ...]:
    """One is with the endpoint: the second."""
    subject.ask(stack)
    wait_until(lambda: subject.endpoints.held == 1, 10, "one is with the endpoint")
    return subject.told(stack)


def retries(subject: Subject, stack: contextlib.ExitStack) -> tuple[Any, ...]:
    """The first one whose endpoint refuses it while another is tried again. Envoy begins at any endpoint."""
    while True:
        held, (client, path) = subject.endpoints.held, subject.ask(stack)
        wait_until(lambda c=client, h=held: subject.endpoints.held > h or _readable(c), 10, "it is held, or answered")
        if _readable(client):
            return subject.of(client, path)


def _readable(client: Client) -> bool:
    return bool(select.select([client.sock], [], [], 0)[0])


@pytest.mark.parametrize(
    ("scene", "thresholds", "pool", "dead"),
    [
        (
            pending,
            {"max_connections": 1, "max_pending_requests": 1},
            {"tcp": {"maxConnections": 1}, "http": {"http1MaxPendingRequests": 1}},
            False,
        ),
        (requests, {"max_requests": 1}, {"http": {"http2MaxRequests": 1}}, False),
        (retries, {"max_retries": 1}, {"http": {"maxRetries": 1}}, True),
    ],
    ids=["4 http1MaxPendingRequests", "4 http2MaxRequests", "4 maxRetries"],
)
def test_the_same_is_told(
    scene: Callable[[Subject, contextlib.ExitStack], tuple[Any, ...]],
    thresholds: dict[str, int],
    pool: dict[str, Any],
    dead: bool,
    tmp_path: Path,
) -> None:
    with by_envoy(tmp_path, thresholds, dead) as envoy, contextlib.ExitStack() as stack:
        theirs = scene(envoy, stack)
    with by_us(tmp_path, pool, dead) as ours, contextlib.ExitStack() as stack:
        assert scene(ours, stack) == theirs


@pytest.mark.slow
def test_1_5_retryBudget_budgetInterval_counts_as_envoy_counts(tmp_path: Path) -> None:
    """Half of what was sent within a minute may be tried again at once; of two endpoints one is not there. Envoy begins
    at either."""
    budget = {"budget_percent": {"value": 50.0}, "min_retry_concurrency": 0, "budget_interval": "60s"}
    with by_envoy(tmp_path, {"retry_budget": budget}, True) as envoy:
        theirs = _statuses(envoy)
    ours = {"percent": 50, "minRetryConcurrency": 0, "budgetInterval": "60s"}
    with limited(tmp_path / "ours", {}, dead=True, retryBudget=ours) as made:
        subject = Subject(made.replica.port, made.endpoints, lambda: 0, made.replica.waypoint.lines)
        assert _statuses(subject) == theirs == [200, 503, 200, 200, 200, 200]


def _statuses(subject: Subject) -> list[int]:
    """From the first one on that is answered."""
    subject.endpoints.let_go()
    with Client(subject.port, 30) as client:
        found = [client.ask("in-ambient", unique())[0].status for _ in range(8)]
    return found[found.index(200) :][:6]
