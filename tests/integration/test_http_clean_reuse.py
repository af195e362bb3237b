"""H-C of issue 10: a connection to an endpoint is used again only if it is clean. What an endpoint says too much is
never the answer to anybody's request, whoever asks and however the endpoint is reached.
"""

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hbone.http2 import Connection
from tests.integration.captured import Captured, captured
from tests.integration.hbone_rig import H2
from tests.integration.http_rig import OK, Client, Handler, Peer, answering
from tests.listening import connected_to
from tests.rig import wait_until

EVIL = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil"
TRIES = 40


@pytest.fixture(scope="module", params=[False, True], ids=["tcp", "hbone"])
def one(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Captured]:
    with captured(tmp_path_factory.mktemp("clean"), 1, hbone=request.param, consecutive5xxErrors=1000) as running:
        yield running


def in_http1(one: Captured, method: str) -> bytes:
    with Client(one.replica.port) as client:
        head, body = client.ask("web", "/b", method=method, body=b"x" if method == "POST" else b"")
        return body if head.status == 200 else b"%d" % head.status


def in_http2(one: Captured, method: str) -> bytes:
    sock = socket.create_connection(("127.0.0.1", one.replica.port))
    with contextlib.closing(Connection(sock, None, server=False, settings=H2, window=1 << 24)) as client:
        fields = [(":method", method), (":scheme", "http"), (":authority", "web"), (":path", "/b")]
        stream = client.request(fields, end=method == "GET")
        if method == "POST":
            stream.send_and_finish(b"x")
        status = stream.answered()[":status"].encode()
        return stream.recv(100) if status == b"200" else status


ASKING = pytest.mark.parametrize("ask", [in_http1, in_http2], ids=["http1", "http2"])


def saying(first: bytes, behind: bytes, pause: float | None) -> Handler:
    """Answers `/a` with `first` and says `behind` after it: in the same segment, or in another one after a pause."""

    def handler(peer: Peer) -> None:
        while True:
            head, _ = peer.request()
            if head.first.split()[1] != "/a":
                peer.send(OK)
            elif pause is None:
                peer.send(first + behind)
            else:
                peer.send(first)
                time.sleep(pause)
                peer.send(behind)

    return handler


def asked(one: Captured, handler: Handler, method: str, ask: object, second: str = "GET") -> list[bytes]:
    """`/a`, and at once `/b` on another client connection: what `/b` was answered, again and again."""
    one.members[0].play(handler)
    answers = []
    with Client(one.replica.port) as client:
        for _ in range(TRIES):
            client.request("web", "/a", method=method)
            client.answer(bodiless=method == "HEAD")
            answers.append(ask(one, second))  # type: ignore[operator]
    return answers


def failed(one: Captured) -> int:
    return int(one.row(one.members[0])["failed"])


@ASKING
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_H_C_a_second_answer_in_the_same_segment(one: Captured, ask: object, method: str) -> None:
    before = failed(one)
    assert asked(one, saying(OK, EVIL, None), "GET", ask, method) == [b"ok"] * TRIES
    assert failed(one) == before


@ASKING
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("pause", [0, 0.002])
def test_H_C_a_second_answer_right_behind_the_first(one: Captured, ask: object, method: str, pause: float) -> None:
    """If it comes after the next request has gone it cannot be told from an answer: so there is no next one soon."""
    answers = asked(one, saying(OK, EVIL, pause), "GET", ask, method)
    assert answers.count(b"ok") >= TRIES - 1, answers


@pytest.mark.parametrize("pause", [None, 0, 0.002])
def test_H_C_a_pipelined_request_is_not_answered_by_a_second_answer(one: Captured, pause: float | None) -> None:
    """It takes the connection that the one before has just given back: the event loop need not have polled between."""
    one.members[0].play(saying(OK, EVIL, pause))
    answers = []
    with Client(one.replica.port) as client:
        for _ in range(TRIES):
            client.request("web", "/a")
            client.request("web", "/b")
            assert client.answer()[1] == b"ok"
            answers.append(client.answer()[1])
    assert answers.count(b"ok") >= TRIES - 1, answers


@ASKING
@pytest.mark.parametrize("pause", [None, 0, 0.002])
def test_H_C_the_body_of_an_answer_to_HEAD(one: Captured, ask: object, pause: float | None) -> None:
    before = failed(one)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    assert asked(one, saying(head, b"hello", pause), "HEAD", ask) == [b"ok"] * TRIES
    assert failed(one) == before


@ASKING
@pytest.mark.parametrize("pause", [None, 0, 0.002])
@pytest.mark.parametrize("framing", [b"Transfer-Encoding: chunked\r\n", b"Content-Length: 5\r\n"])
def test_H_C_a_204_with_framing(one: Captured, ask: object, framing: bytes, pause: float | None) -> None:
    before = failed(one)
    head = b"HTTP/1.1 204 No Content\r\n" + framing + b"\r\n"
    assert asked(one, saying(head, b"0\r\n\r\n", pause), "DELETE", ask) == [b"ok"] * TRIES
    assert asked(one, saying(head, EVIL, pause), "DELETE", ask, "POST") == [b"ok"] * TRIES
    assert failed(one) == before


def test_H_C_a_post_is_not_sent_twice_for_bytes_that_came_too_late_to_be_seen(one: Captured) -> None:
    """It gets 502, which is no failure of the endpoint: nobody knows what became of it."""

    def handler(peer: Peer) -> None:
        peer.request()
        peer.send(OK)
        peer.request()
        peer.send(b"0\r\n\r\n")
        peer.rest()

    wait_until(lambda: in_http1(one, "GET") == b"ok", 1)
    one.members[0].play(handler)
    wait_until(lambda: pools(one), 15, "trust has come back")
    one.members[0].play(handler)
    before = failed(one)
    assert in_http1(one, "GET") == b"ok"
    assert in_http1(one, "POST") == b"502"
    assert [body for body in one.members[0].bodies if body] == [b"x"]
    assert failed(one) == before


def pools(one: Captured) -> bool:
    """Whether a connection to the endpoint is used twice."""
    one.members[0].play(answering(OK))
    assert in_http1(one, "GET") == in_http1(one, "GET") == b"ok"
    return len(one.members[0].peers) == 1


def test_H_C_a_connection_that_has_said_nothing_more_is_used_again(tmp_path: Path) -> None:
    with captured(tmp_path, 1, hbone=False) as one:
        one.members[0].play(answering(OK))
        assert [in_http1(one, method) for method in ("GET", "POST") * 20] == [b"ok"] * 40
        assert len(one.members[0].peers) == 1
        assert connected_to(one.members[0].ip, one.members[0].port)


def test_H_C_distrust_is_said(tmp_path: Path) -> None:
    with captured(tmp_path, 1, hbone=False) as one:
        asked(one, saying(OK, EVIL, None), "GET", in_http1)
        lines = [line for line in one.replica.waypoint.errors().splitlines() if "nobody asked for" in line]
        assert len(lines) == 1 and one.members[0].address in lines[0]
