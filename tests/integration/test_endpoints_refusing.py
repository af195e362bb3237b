"""Requests that an HTTP/2 endpoint refuses or loses: what is sent again, where, and what never is (RFC 9113 8.7)."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from h2.errors import ErrorCodes
from hyperframe.frame import GoAwayFrame

from tests.hbone.http2 import MAGIC
from tests.hbone.stream import Stream
from tests.integration.captured import Captured, captured, h2_app, h2_name
from tests.integration.http_rig import Client, Peer, Scripted
from tests.rig import wait_until

HBONE = pytest.mark.parametrize("hbone", [False, True], ids=["tcp", "hbone"])
END_STREAM = 1


def read_and_die(peer: Peer) -> None:
    """Reads a request to its end without having said a word, and closes: killed on its first request."""
    peer.until(MAGIC)
    while True:
        head = peer.exactly(9)
        payload = peer.exactly(int.from_bytes(head[:3], "big"))
        if head[3] in (0, 1) and head[4] & END_STREAM:
            peer.endpoint.bodies.append(payload)
            return


def refuse(stream: Stream) -> None:
    with stream.connection.lock:
        stream.connection.reset(stream, ErrorCodes.REFUSED_STREAM)


def whole(stream: Stream) -> bytes:
    body = b""
    while piece := stream.recv(1 << 18):
        body += piece
    return body


def answer(stream: Stream, text: str) -> None:
    stream.connection.respond(stream, [(":status", "200")])
    stream.sendall(text.encode())
    stream.finish()


# -- nothing is done twice --------------------------------------------------------------------------------------------


@HBONE
def test_H2_B_a_request_read_by_an_endpoint_that_says_nothing_is_not_sent_to_another(
    tmp_path: Path, hbone: bool
) -> None:
    with captured(tmp_path, 2, hbone=hbone, port_name="http2", handler=h2_app(h2_name)) as one:
        one.members[0].play(read_and_die)
        answers = [one.ask(method="POST", body=b"abc") for _ in range(4)]
        assert sorted(answers) == ["503", "503", "web-1", "web-1"]
        assert len(one.members[0].bodies) == 2
        assert one.row(one.members[0])["failed"] == 2
        assert one.asked(4) == ["web-1"] * 4, "doing it twice is the same"


# -- on the only endpoint ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_H2_C_what_the_only_endpoint_refuses_is_sent_to_it_again(tmp_path: Path, method: str) -> None:
    def serve(stream: Stream, endpoint: Scripted) -> None:
        if len(endpoint.peers) == 1:
            refuse(stream)
        else:
            h2_name(stream, endpoint)

    with captured(tmp_path, 1, hbone=False, port_name="http2", handler=h2_app(serve)) as one:
        assert one.ask(method=method, body=b"" if method == "GET" else b"abc") == "web-0"
        assert len(one.members[0].peers) == 2, "on another connection"
        assert one.row(one.members[0])["failed"] == 1


def test_H2_C_no_more_often_than_twice(tmp_path: Path) -> None:
    with captured(tmp_path, 1, hbone=False, port_name="http2", handler=h2_app(lambda stream, _: refuse(stream))) as one:
        assert one.ask(method="POST", body=b"abc") == "503"
        assert len(one.members[0].peers) == 3


def test_H2_C_a_first_connection_that_takes_nothing(tmp_path: Path) -> None:
    def serve(stream: Stream, endpoint: Scripted) -> None:
        if len(endpoint.peers) > 1:
            return h2_name(stream, endpoint)
        stream.connection.raw(GoAwayFrame(0, last_stream_id=0).serialize())
        stream.connection.hang_up()
        return None

    with captured(tmp_path, 1, hbone=False, port_name="http2", handler=h2_app(serve)) as one:
        assert one.ask(method="POST", body=b"abc") == "web-0"


# -- with a body that has begun to move -------------------------------------------------------------------------------


def slow_post(one: Captured, moved: int, size: int) -> str:
    """The head with none of its body; some of that once the endpoint has it; the rest when a request was refused."""
    with Client(one.replica.port) as client:
        client.send(f"POST / HTTP/1.1\r\nhost: web\r\ncontent-length: {size}\r\n\r\n")
        wait_until(lambda: [made.streams for each in one.members for made in each.connections if made.streams])
        client.send(b"x" * moved)
        bad = one.members[0]
        wait_until(
            lambda: [s for m in bad.connections for s in m.streams.values() if s.reset_code == 7] or elsewhere(one)
        )
        client.send(b"x" * (size - moved))
        head, text = client.answer()
        return text.decode() if head.status == 200 else str(head.status)


def elsewhere(one: Captured) -> object:
    return [made.streams for made in one.members[1].connections if made.streams]


def refusing_after(moved: int) -> Callable[[Stream, Scripted], None]:
    """The first endpoint refuses a request once so much of its body is there; the other says how much it got."""

    def serve(stream: Stream, endpoint: Scripted) -> None:
        if endpoint.name == "web-0":
            while stream.received < moved:
                stream.recv(1 << 18)
            refuse(stream)
        else:
            answer(stream, f"{len(whole(stream))}")

    return serve


@pytest.mark.parametrize(("moved", "size"), [(0, 60_000), (20_000, 60_000), (90_000, 90_000)])
def test_H2_D_a_body_that_has_begun_to_move_is_sent_again(tmp_path: Path, moved: int, size: int) -> None:
    with captured(tmp_path, 2, hbone=False, port_name="http2", handler=h2_app(refusing_after(moved))) as one:
        assert [slow_post(one, moved, size) for _ in range(2)] == [f"{size}"] * 2
        assert one.row(one.members[0])["failed"] == 2


def test_H2_D_but_not_one_of_which_too_much_has(tmp_path: Path) -> None:
    size = 600_000
    with captured(tmp_path, 2, hbone=False, port_name="http2", handler=h2_app(refusing_after(size))) as one:
        answers = [one.ask(method="POST", body=b"x" * size) for _ in range(2)]
        assert sorted(answers) == ["503", f"{size}"]


# -- connections that are dead ----------------------------------------------------------------------------------------


def test_H2_E_a_dead_connection_is_not_replaced_by_another_dead_one(tmp_path: Path) -> None:
    pooled = 6
    ill = []

    def serve(stream: Stream, endpoint: Scripted) -> None:
        if stream.connection in ill:
            stream.connection.hang_up()
            return
        if stream.headers[":path"] == "/together":
            wait_until(lambda: len(endpoint.connections) == pooled)
        h2_name(stream, endpoint)

    app = h2_app(serve, {3: 1})
    with captured(tmp_path, 1, hbone=False, port_name="http2", handler=app) as one:
        assert one.ask() == "web-0", "what it takes at a time is known now"
        with ThreadPoolExecutor(pooled) as pool:
            assert list(pool.map(lambda _: one.ask("/together"), range(pooled))) == ["web-0"] * pooled
        ill.extend(one.members[0].connections)
        assert one.asked(2) == ["web-0"] * 2
        assert one.row(one.members[0])["failed"] == 0


@HBONE
def test_H2_K_requests_lost_with_one_connection_are_one_outcome(tmp_path: Path, hbone: bool) -> None:
    lost = 8

    def serve(stream: Stream, endpoint: Scripted) -> None:
        whole(stream)
        time.sleep(60)

    with captured(tmp_path, 1, hbone=hbone, port_name="http2", handler=h2_app(serve)) as one:
        with ThreadPoolExecutor(lost) as pool:
            asked = [pool.submit(one.ask, method="POST", body=b"abc") for _ in range(lost)]
            wait_until(lambda: [len(made.streams) for made in one.members[0].connections] == [lost])
            (one.connections()[0] if hbone else one.members[0].connections[0]).sock.shutdown(2)
            assert [each.result() for each in asked] == ["503"] * lost
        assert one.row(one.members[0])["failed"] == 1


def test_H2_K_also_those_that_were_lost_with_one_connection_of_tunnels(tmp_path: Path) -> None:
    lost = 8

    def serve(peer: Peer) -> None:
        peer.request()
        time.sleep(60)

    with captured(tmp_path, 1, handler=serve) as one:
        with ThreadPoolExecutor(lost) as pool:
            asked = [pool.submit(one.ask, method="POST", body=b"abc") for _ in range(lost)]
            wait_until(lambda: len(one.members[0].bodies) == lost)
            one.connections()[0].sock.shutdown(2)
            assert [each.result() for each in asked] == ["503"] * lost
        assert one.row(one.members[0])["failed"] == 1
