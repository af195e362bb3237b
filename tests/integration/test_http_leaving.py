"""Clients that leave in the middle, and answers of endpoints that break off."""

import contextlib
import threading
import time
from collections.abc import Iterator

import pytest

from tests.integration.http_rig import (
    MIB,
    Bench,
    Peer,
    answering,
    bench,
    outlier_rule,
    send_all,
    unique,
)
from tests.rig import wait_until


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    rules = [outlier_rule("solo")]
    with bench(tmp_path_factory.mktemp("leaving"), services={"solo": 1, "other": 1}, rules=rules) as running:
        yield running


def test_a_client_gone_in_the_middle_of_its_body(proxy: Bench) -> None:
    ended = threading.Event()

    def handler(peer: Peer) -> None:
        peer.head()
        with contextlib.suppress(ConnectionError):
            peer.rest()
        ended.set()

    endpoint = proxy.play("solo", handler)
    before = proxy.failures("solo")
    for leave in ("close", "reset"):
        ended.clear()
        path = unique()
        with proxy.client() as client:
            client.send(f"POST {path} HTTP/1.1\r\nhost: solo\r\ncontent-length: 1000\r\n\r\npart")
            wait_until(lambda: any(peer.buffer == b"part" for peer in endpoint.peers), 5, "the endpoint has it")
            getattr(client, leave)()
        assert ended.wait(2)
        line = proxy.line(path)
        assert (line["status"], line["flags"], line["details"]) == ("0", "DC", "downstream_remote_disconnect")
        assert line["received"] == "4"
    proxy.settled()
    assert proxy.failures("solo") == before


def test_a_client_that_ends_its_body_early_while_it_does_not_read_is_cut_off(proxy: Bench) -> None:
    """Nobody waits for the endpoint at the moment that the body breaks off."""

    def handler(peer: Peer) -> None:
        peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (32 * MIB + 1))
        peer.send(b"z" * 32 * MIB)
        peer.rest()  # the end of the body comes first, for it

    proxy.play("solo", handler)
    path = unique()
    with proxy.client(receive_buffer=4096) as client:
        client.request("solo", path, "transfer-encoding: chunked", method="POST")
        client.send("5\r\nhello\r\n")
        time.sleep(0.3)
        client.finish()
        time.sleep(0.3)
        while not client.ended():
            client.buffer = b""
    assert proxy.line(path)["flags"] == "DC"


def test_a_client_gone_in_the_middle_of_the_answer(proxy: Bench) -> None:
    gone = threading.Event()

    def handler(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (64 * MIB))
        with contextlib.suppress(ConnectionError):
            for piece in send_all(64 * MIB):
                peer.send(piece)
        gone.set()

    proxy.play("solo", handler)
    before = proxy.failures("solo")
    path = unique()
    with proxy.client() as client:
        client.request("solo", path)
        client.head()
        client.reset()
    assert gone.wait(3)
    line = proxy.line(path)
    assert (line["status"], line["flags"], line["details"]) == ("200", "DC", "downstream_remote_disconnect")
    proxy.settled()
    assert proxy.failures("solo") == before


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_a_client_gone_from_a_silent_stream(proxy: Bench, leave: str) -> None:
    """Server-sent events: nothing to write that would tell that nobody reads."""
    gone = threading.Event()

    def handler(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n")
        with contextlib.suppress(ConnectionError):
            peer.more()
        gone.set()

    proxy.play("solo", handler)
    before = proxy.failures("solo")
    path = unique()
    with proxy.client() as client:
        client.request("solo", path)
        client.until(b"data: 1\n\n")
        time.sleep(1.1)
        getattr(client, leave)()
    assert gone.wait(2)
    line = proxy.line(path)
    assert (line["status"], line["flags"]) == ("200", "DC")
    proxy.settled()
    assert proxy.failures("solo") == before


def test_truncated_answers_cut_the_client_off_and_count(proxy: Bench) -> None:
    for answer in (
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabc",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ):

        def handler(peer: Peer, answer: bytes = answer) -> None:
            peer.request()
            peer.send(answer)

        proxy.play("solo", handler)
        before = proxy.failures("solo")
        path = unique()
        with proxy.client() as client:
            client.request("solo", path)
            head = client.head()
            assert head.status == 200
            assert client.rest() == answer.partition(b"\r\n\r\n")[2]
        line = proxy.line(path)
        assert (line["status"], line["flags"]) == ("200", "UC")
        assert line["details"] == "upstream_reset_after_response_started{connection_termination}"
        wait_until(lambda count=before + 1: proxy.failures("solo") == count, 2)


def test_a_failing_answer_that_is_cut_is_one_failure(proxy: Bench) -> None:
    def handler(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 503 Busy\r\ncontent-length: 10\r\n\r\nabc")

    proxy.play("solo", handler)
    before = proxy.failures("solo")
    path = unique()
    with proxy.client() as client:
        client.request("solo", path)
        assert client.head().status == 503
        assert client.rest() == b"abc"
    assert proxy.line(path)["status"] == "503"
    proxy.settled()
    assert proxy.failures("solo") == before + 1


def test_malformed_bodies_cut_the_client_off(proxy: Bench) -> None:
    def handler(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        time.sleep(0.1)
        peer.send(b"3\r\nabcX")
        peer.more()

    proxy.play("solo", handler)
    path = unique()
    with proxy.client() as client:
        client.request("solo", path)
        assert client.head().status == 200
        assert client.rest() == b""
    line = proxy.line(path)
    assert (line["status"], line["flags"]) == ("200", "UPE")
    assert line["details"] == "upstream_reset_after_response_started{protocol_error}"


def test_a_body_malformed_at_once_is_a_502(proxy: Bench) -> None:
    proxy.play("solo", answering(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nX"))
    path = unique()
    with proxy.client() as client:
        assert client.ask("solo", path)[0].status == 502
        assert client.ask("other", path)[0].status == 200
    line = proxy.line(f'{path} HTTP/1.1" 502')
    assert (line["flags"], line["sent"]) == ("UPE", "87")
