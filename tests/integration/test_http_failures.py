"""Endpoints that cannot be reached, break off or talk nonsense: retries, local replies, what is counted and logged."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.integration.http_rig import (
    OK,
    Bench,
    Handler,
    Peer,
    Scripted,
    answering,
    bench,
    outlier_rule,
    serve_ok,
    slice_of,
    unique,
)
from tests.listening import connected_to
from tests.patience import within
from tests.rig import wait_until

RESET = b"upstream connect error or disconnect/reset before headers. "


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    services = {
        "solo": 1,
        "pair": 2,
        "trio": 3,
        "dead": 3,
        "corpse": 1,
        "full": 1,
        "fuller": 1,
        "quick": 1,
        "patient": 1,
    }
    rules = [outlier_rule(name) for name in ("solo", "pair", "trio", "dead", "full")]
    rules.append(outlier_rule("quick", connect_timeout="200ms"))
    with bench(tmp_path_factory.mktemp("failures"), services=services, rules=rules) as running:
        for name in ("dead", "corpse"):
            for endpoint in running.services[name]:
                endpoint.stop()
        yield running


def answered(proxy: Bench, service: str, path: str, method: str = "GET", body: bytes = b"") -> tuple[int, bytes]:
    with proxy.client() as client:
        head, text = client.ask(service, path, method=method, body=body)
        if head.status == 503:
            assert client.ask("nowhere")[0].status == 404, "a local reply leaves the connection usable"
        return head.status, text


def logged(proxy: Bench, path: str) -> tuple[str, str, str, str]:
    line = proxy.line(path)
    return line["status"], line["flags"], line["details"], line["transport"]


# -- no connection ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "body"), [("GET", b""), ("POST", b"once"), ("POST", b"x" * 300_000)])
def test_a_refused_connection_is_no_error_for_the_client(proxy: Bench, method: str, body: bytes) -> None:
    proxy.play("trio", serve_ok)
    first, *others = proxy.services["trio"]
    first.stop()
    before = proxy.failures("trio")
    try:
        for _ in range(6):
            assert answered(proxy, "trio", "/", method, body) == (200, b"ok")
    finally:
        first.start()
    assert proxy.failures("trio") == before + 3
    assert sum(len(other.heads) for other in others) == 6
    assert all(sent == body for other in others for sent in other.bodies)


@pytest.mark.parametrize(("method", "body"), [("GET", b""), ("POST", b"abc")])
def test_2_6_retries_used_up(proxy: Bench, method: str, body: bytes) -> None:
    before = proxy.failures("dead")
    path = unique()
    status, text = answered(proxy, "dead", path, method, body)
    assert status == 503
    assert text == RESET + b"retried and the latest reset reason: remote connection failure"
    assert len(text) == 121
    assert logged(proxy, path) == (
        "503",
        "URX,UF",
        "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}",
        "delayed_connect_error:_Connection_refused",
    )
    line = proxy.line(path)
    assert (line["sent"], line["service"], line["local"]) == ("121", "-", "-")
    assert line["host"] in [endpoint.address for endpoint in proxy.services["dead"]]
    assert proxy.failures("dead") == before + 3, "three attempts"


def test_the_only_endpoint_dead(proxy: Bench) -> None:
    path = unique()
    status, text = answered(proxy, "corpse", path)
    assert (status, text, len(text)) == (503, RESET + b"reset reason: remote connection failure", 98)
    assert logged(proxy, path)[1] == "UF"


def test_both_of_two_endpoints_dead(proxy: Bench) -> None:
    for endpoint in proxy.services["pair"]:
        endpoint.stop()
    path = unique()
    try:
        assert len(answered(proxy, "pair", path)[1]) == 121
    finally:
        for endpoint in proxy.services["pair"]:
            endpoint.start()
    assert logged(proxy, path)[1] == "URX,UF"


@contextlib.contextmanager
def unanswering(endpoint: Scripted) -> Iterator[None]:
    """The endpoint's accept queue is full: connecting to it takes for ever."""
    endpoint.stop()
    fillers = []
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((endpoint.ip, endpoint.port))
        listener.listen(0)
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex((endpoint.ip, endpoint.port))
            fillers.append(filler)
        time.sleep(0.05)
        yield
        for filler in fillers:
            filler.close()
    endpoint.start()


@pytest.mark.parametrize(("service", "seconds"), [("fuller", 1.0), ("quick", 0.2)])
def test_connect_timeout(proxy: Bench, service: str, seconds: float) -> None:
    path = unique()
    with unanswering(proxy.services[service][0]), within(seconds + 0.5, at_least=seconds - 0.05):
        status, text = answered(proxy, service, path)
    assert (status, text) == (503, RESET + b"reset reason: connection timeout")
    line = proxy.line(path)
    assert (line["flags"], line["details"]) == ("UF", "upstream_reset_before_response_started{connection_timeout}")


# -- connections that break -------------------------------------------------------------------------------------------


def close_at_once(peer: Peer) -> None:
    peer.close()


def close_after_request(peer: Peer) -> None:
    peer.request()


def reset_after_request(peer: Peer) -> None:
    peer.request()
    peer.reset()


def reset_at_once(peer: Peer) -> None:
    peer.reset()


@pytest.mark.parametrize("handler", [close_at_once, reset_at_once])
def test_a_connection_that_is_closed_as_soon_as_accepted(proxy: Bench, handler: Handler) -> None:
    """It may break before, while or after the request is written; a GET is tried everywhere in any case."""
    proxy.play("trio", handler)
    before = proxy.failures("trio")
    path = unique()
    status, text = answered(proxy, "trio", path)
    assert (status, len(text)) in [(503, 118), (503, 121)]
    assert logged(proxy, path)[1] in ("URX,UC", "URX,UF")
    assert proxy.failures("trio") == before + 3


@pytest.mark.parametrize("handler", [close_after_request, reset_after_request])
def test_a_connection_that_breaks_without_an_answer(proxy: Bench, handler: Handler) -> None:
    """GET is tried on every endpoint in turn, POST was sent and is not."""
    proxy.play("trio", handler)
    before = proxy.failures("trio")
    path = unique()
    status, text = answered(proxy, "trio", path)
    assert (status, text) == (503, RESET + b"retried and the latest reset reason: connection termination")
    assert len(text) == 118
    details = "upstream_reset_before_response_started{connection_termination}"
    assert logged(proxy, path)[:3] == ("503", "URX,UC", details)
    assert proxy.failures("trio") == before + 3

    path = unique()
    proxy.play("trio", handler)
    status, text = answered(proxy, "trio", path, "POST", b"once")
    assert (status, text, len(text)) == (503, RESET + b"reset reason: connection termination", 95)
    assert logged(proxy, path)[:3] == ("503", "UC", details)
    assert sum(len(endpoint.bodies) for endpoint in proxy.services["trio"]) == 1


def test_one_broken_connection_is_no_error_for_a_get(proxy: Bench) -> None:
    proxy.play("trio", serve_ok)
    proxy.services["trio"][1].play(reset_after_request)
    for _ in range(6):
        assert answered(proxy, "trio", "/")[0] == 200
    assert len(proxy.services["trio"][1].bodies) >= 2


# -- stale pooled connections -----------------------------------------------------------------------------------------


def closing_on_second(peer: Peer) -> None:
    """Serves one request of a connection and breaks off at the next, having read it."""
    peer.request()
    peer.send(OK)
    if peer is peer.endpoint.peers[0]:
        peer.request()
        peer.close()
        return
    serve_ok(peer)


def test_a_stale_pooled_connection_is_replayed_and_no_outcome(proxy: Bench) -> None:
    endpoint = proxy.play("solo", closing_on_second)
    before = proxy.row("solo")[0]
    path = unique()
    with proxy.client() as client:
        assert client.ask("solo")[1] == b"ok"
        assert client.ask("solo", path)[1] == b"ok"
    after = proxy.row("solo")[0]
    assert after["failed"] == before["failed"]
    assert len(endpoint.peers) == 2
    assert logged(proxy, path)[:3] == ("200", "-", "via_upstream")


def test_a_post_that_was_sent_on_a_stale_connection_is_not_replayed(proxy: Bench) -> None:
    endpoint = proxy.play("solo", closing_on_second)
    path = unique()
    with proxy.client() as client:
        assert client.ask("solo")[1] == b"ok"
        head, text = client.ask("solo", path, method="POST", body=b"once")
        assert (head.status, len(text)) == (503, 95)
        assert client.ask("solo")[1] == b"ok"
    assert endpoint.bodies == [b"", b"once", b""]
    assert logged(proxy, path)[1] == "UC"


def test_pooled_connections_the_endpoint_closed_are_not_used(proxy: Bench) -> None:
    def once(peer: Peer) -> None:
        peer.request()
        peer.send(OK)
        time.sleep(0.02)

    endpoint = proxy.play("solo", once)
    before = proxy.failures("solo")
    with proxy.client() as client:
        for _ in range(5):
            assert client.ask("solo", method="POST", body=b"x")[1] == b"ok"
            wait_until(lambda: not connected_to(endpoint.ip, endpoint.port), 5, "the pool has noticed")
    assert proxy.failures("solo") == before


def test_bytes_nobody_asked_for_spoil_a_pooled_connection(proxy: Bench) -> None:
    def handler(peer: Peer) -> None:
        peer.request()
        peer.send(OK + OK)
        peer.more()

    endpoint = proxy.play("solo", handler)
    with proxy.client() as client:
        for _ in range(3):
            assert client.ask("solo")[1] == b"ok"
            wait_until(lambda: not connected_to(endpoint.ip, endpoint.port), 5, "the pool has noticed")
    assert len(endpoint.peers) == 3


# -- nonsense ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "failures"),
    [
        (b"garbage\r\n\r\n", 1),
        (b"HTTP/1.1 200 OK\rx: y\r\n\r\n", 0),
        (b"HTTP/1.1 2000 OK\r\n\r\n", 0),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab", 0),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 0),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 0),
        (b"HTTP/1.1 200 OK\r\nx: " + b"a" * 70_000 + b"\r\n\r\n", 0),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 101 + b"\r\n", 0),
    ],
)
def test_an_answer_that_is_refused(proxy: Bench, answer: bytes, failures: int) -> None:
    """What is no HTTP at all is a failure, what is and cannot be passed on is none."""
    proxy.play("solo", answering(answer))
    before = proxy.failures("solo")
    path = unique()
    with proxy.client() as client:
        head, text = client.ask("solo", path)
        assert (head.status, text, len(text)) == (502, RESET + b"reset reason: protocol error", 87)
    assert logged(proxy, path)[:3] == ("502", "UPE", "upstream_reset_before_response_started{protocol_error}")
    assert proxy.failures("solo") == before + failures


def test_the_endpoints_own_5xx_goes_through(proxy: Bench) -> None:
    proxy.play("solo", answering(b"HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nbusy"))
    before = proxy.failures("solo")
    path = unique()
    assert answered(proxy, "solo", path) == (503, b"busy")
    assert logged(proxy, path)[:3] == ("503", "-", "via_upstream")
    assert proxy.failures("solo") == before + 1


# -- silence ----------------------------------------------------------------------------------------------------------


def test_a_silent_endpoint_blocks_nobody_else(proxy: Bench) -> None:
    go = threading.Event()

    def handler(peer: Peer) -> None:
        peer.request()
        go.wait(10)
        peer.send(OK)

    proxy.play("solo", handler)
    proxy.play("trio", serve_ok)
    waiting = [proxy.client() for _ in range(20)]
    for client in waiting:
        client.request("solo")
    with within(2), proxy.client() as client:
        for _ in range(30):
            assert client.ask("trio")[1] == b"ok"
    assert proxy.row("solo")[0]["in_flight"] == 20
    go.set()
    for client in waiting:
        assert client.answer()[1] == b"ok"
        client.close()
    proxy.settled()


def test_an_endpoint_removed_under_a_request_is_not_mixed_up_with_its_successor(proxy: Bench) -> None:
    """Its row of the scoreboard is taken again, but not before the request is over."""
    go = threading.Event()

    def handler(peer: Peer) -> None:
        peer.request()
        go.wait(10)
        peer.send(OK)

    first, second, third = proxy.services["trio"]
    proxy.play("trio", handler)
    proxy.replica.serve(lambda: proxy.manifests.put("slice-trio", slice_of("trio", [first])))
    with proxy.client() as client:
        client.request("trio")
        wait_until(lambda: proxy.row("trio")[0]["in_flight"] == 1, 2)
        for successor in (second, third):
            proxy.manifests.put("slice-trio", slice_of("trio", [successor]))
            wait_until(lambda name=successor.address: [row["address"] for row in proxy.row("trio")] == [name], 5)
        go.set()
        assert client.answer()[1] == b"ok"
    proxy.manifests.put("slice-trio", slice_of("trio", [first, second, third]))
    wait_until(lambda: [row["in_flight"] for row in proxy.row("trio")] == [0, 0, 0], 5)
