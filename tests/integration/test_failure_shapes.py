"""What clients, the log and the endpoint's count make of each way in which an attempt may go: the rows of tables 2.1
and 2.6 of the reference that need a replica, as far as they are not with limits, tunnels and retries elsewhere."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.integration.http_rig import OK, Bench, Handler, Peer, answering, bench, outlier_rule, unique
from tests.rig import wait_until

RESET = "upstream_reset_before_response_started"
GRPC = b"HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ncontent-length: 0\r\n"


def route(name: str, **rule: Any) -> dict[str, Any]:
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": f"route-{name}", "namespace": "httpbin"},
        "spec": {"hosts": [name], "http": [{"route": [{"destination": {"host": name}}], **rule}]},
    }


def ejecting(name: str) -> dict[str, Any]:
    made = outlier_rule(name)
    made["spec"]["trafficPolicy"] = {
        "outlierDetection": {"consecutive5xxErrors": 1, "maxEjectionPercent": 100},
        "connectionPool": {"http": {"http2MaxRequests": 1}},
    }
    return made


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    services = {"one": 1, "dead": 1, "pair": 2, "brief": 1, "shadowed": 1, "shadow": 1, "frail": 1, "full": 1}
    mirror = {"destination": {"host": "shadow"}}
    rules = [
        *(outlier_rule(name) for name in ("one", "dead", "pair", "brief", "shadow")),
        *(ejecting(name) for name in ("frail", "full")),
        route("brief", timeout="200ms"),
        route("shadowed", mirrors=[mirror]),
    ]
    with bench(tmp_path_factory.mktemp("shapes"), services=services, rules=rules) as running:
        running.services["dead"][0].stop()
        yield running


def says_nothing(peer: Peer) -> None:
    peer.request()
    peer.more()


def closes(peer: Peer) -> None:
    peer.request()


class Row(NamedTuple):
    """`service` and what its endpoints do, the answer, flags and details, and how many failures that counts as."""

    id: str
    service: str
    handler: Handler | None
    status: int
    flags: str
    details: str
    failures: int
    body: bytes | None = None


ROWS = (
    Row(
        "2.1 any other final status", "one", answering(b"HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n"), 404, "-", "", 0
    ),
    Row("2.1 1xx", "one", answering(b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK), 200, "-", "", 0),
    Row("2.1 gRPC with grpc-status in headers", "one", answering(GRPC + b"grpc-status: 14\r\n\r\n"), 200, "-", "", 1),
    Row("2.1 gRPC with grpc-status 5", "one", answering(GRPC + b"grpc-status: 5\r\n\r\n"), 200, "-", "", 0),
    Row(
        "2.6 endpoint answers 503",
        "one",
        answering(b"HTTP/1.1 503 No\r\ncontent-length: 2\r\n\r\nno"),
        503,
        "-",
        "via_upstream",
        1,
        b"no",
    ),
    Row("2.6 connect refused", "dead", None, 503, "UF", f"{RESET}{{remote_connection_failure", 1),
    Row("2.6 connect refused, other host", "pair", None, 200, "-", "via_upstream", 1, b"ok"),
    Row("2.6 route timeout", "brief", says_nothing, 504, "UT", "response_timeout", 1, b"upstream request timeout"),
    Row("2.6 accepted then closed before headers", "one", closes, 503, "UC", f"{RESET}{{connection_termination}}", 1),
)


@pytest.mark.parametrize("row", ROWS, ids=[row.id for row in ROWS])
def test_row(row: Row, proxy: Bench) -> None:
    if row.handler:
        proxy.play(row.service, row.handler)
    if row.service == "pair":
        proxy.services["pair"][0].stop()
    before, path = proxy.failures(row.service), unique()
    with proxy.client() as client:
        head, body = client.ask(row.service, path, method="POST" if row.handler is closes else "GET", body=b"x")
        if head.status < 200:
            head, body = client.answer()
    line = proxy.line(path)
    assert (head.status, line["flags"]) == (row.status, row.flags)
    assert line["details"].startswith(row.details)
    assert row.body is None or body == row.body
    wait_until(lambda: proxy.failures(row.service) - before == row.failures, 3, "it is counted")


def test_2_6_client_left(proxy: Bench) -> None:
    proxy.play("one", says_nothing)
    before, path = proxy.failures("one"), unique()
    with proxy.client() as client:
        client.request("one", path)
        wait_until(lambda: proxy.services["one"][0].heads, 5, "the endpoint has it")
        client.reset()
    line = proxy.line(path)
    assert (line["status"], line["flags"]) == ("0", "DC")
    assert proxy.failures("one") == before


def test_2_6_all_endpoints_ejected_panic_off(proxy: Bench) -> None:
    proxy.play("frail", answering(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"))
    with proxy.client() as client:
        assert client.ask("frail")[0].status == 500
        wait_until(lambda: proxy.row("frail")[0]["ejected"], 5, "it is out")
        path = unique()
        head, body = client.ask("frail", path)
    assert (head.status, body) == (503, b"no healthy upstream")
    line = proxy.line(path)
    assert (line["flags"], line["details"], line["host"]) == ("UH", "no_healthy_upstream", "-")


def test_2_1_circuit_breaker_overflow_is_no_outcome(proxy: Bench) -> None:
    """One failure would eject."""
    proxy.play("full", says_nothing)
    with proxy.client() as first, proxy.client() as second:
        first.request("full", unique())
        wait_until(lambda: proxy.services["full"][0].heads, 5, "the endpoint has it")
        path = unique()
        head, _ = second.ask("full", path)
        assert (head.status, head["x-envoy-overloaded"]) == (503, "true")
        assert proxy.line(path)["flags"] == "UO"
    assert not proxy.row("full")[0]["ejected"]


def test_2_1_mirror_responses_count_for_the_mirrors_endpoint(proxy: Bench) -> None:
    proxy.play("shadow", answering(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"))
    before = proxy.failures("shadow")
    with proxy.client() as client:
        assert client.ask("shadowed", unique())[0].status == 200
    wait_until(lambda: proxy.failures("shadow") == before + 1, 5, "it is judged as others are")
