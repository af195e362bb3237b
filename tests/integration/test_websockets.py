"""WebSocket through a replica where one end at least speaks HTTP/2 (RFC 8441): both translations, what endpoints say to
them, and that access rules stand before all of them."""

import base64
import contextlib
import hashlib
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from h2.errors import ErrorCodes

from tests.hbone.http2 import Connection
from tests.hbone.stream import Headers, Stream
from tests.integration.captured import Captured, captured
from tests.integration.hbone_rig import H2, serve_name
from tests.integration.http_rig import Handler, Head, Peer, unique
from tests.integration.test_endpoints_http2 import h2_client
from tests.patience import within
from tests.rig import wait_until

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ENABLE_CONNECT_PROTOCOL = 8
MIB = 1 << 20


def accept_of(key: str) -> str:
    return base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()


def connect(path: str, *more: tuple[str, str], protocol: str = "websocket", host: str = "web") -> Headers:
    return [
        *((":method", "CONNECT"), (":protocol", protocol), (":scheme", "http")),
        *((":authority", host), (":path", path), ("sec-websocket-version", "13"), *more),
    ]


def upgrade(key: str = KEY) -> tuple[str, ...]:
    return ("connection: Upgrade", "upgrade: websocket", "sec-websocket-version: 13", f"sec-websocket-key: {key}")


def exactly(stream: Stream, count: int) -> bytes:
    got = b""
    while len(got) < count:
        piece = stream.recv(count - len(got))
        assert piece, got
        got += piece
    return got


# -- endpoints --------------------------------------------------------------------------------------------------------


def switched(peer: Peer, accept: Callable[[str], str] = accept_of, fields: str = "upgrade: websocket\r\n") -> Head:
    """Takes an Upgrade."""
    head, _ = peer.request()
    said = accept(head["sec-websocket-key"])
    peer.send(f"HTTP/1.1 101 Yes\r\nconnection: upgrade\r\n{fields}sec-websocket-accept: {said}\r\nx: y\r\n\r\n")
    return head


def switching(accept: Callable[[str], str] = accept_of, *, fields: str = "upgrade: websocket\r\n") -> Handler:
    """Takes an Upgrade, and says everything backwards then; what it says last is `bye`."""

    def handler(peer: Peer) -> None:
        switched(peer, accept, fields)
        peer.send(b"hi")
        while peer.more():
            data, peer.buffer = peer.buffer, b""
            peer.send(data[::-1])
        peer.send(b"bye")

    return handler


EXTENDED = {ENABLE_CONNECT_PROTOCOL: 1}


@pytest.fixture(scope="module", params=[False, True], ids=["tcp", "hbone"])
def old(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Captured]:
    """Its endpoint speaks HTTP/1.1."""
    with captured(tmp_path_factory.mktemp("ws1"), 1, hbone=request.param, consecutive5xxErrors=1) as one:
        yield one


def opened(client: Connection, path: str, *more: tuple[str, str]) -> Stream:
    stream = client.request(connect(path, *more))
    answer = stream.answered()
    assert answer[":status"] == "200" and answer["x"] == "y"
    assert not {"upgrade", "connection", "sec-websocket-accept", "content-length"} & answer.keys()
    return stream


# -- a client of HTTP/2 -----------------------------------------------------------------------------------------------


def test_to_an_endpoint_of_HTTP_1(old: Captured) -> None:
    member, path = old.members[0], unique()
    member.play(switching())
    with contextlib.closing(h2_client(old)) as client:
        assert client.wait_until(lambda one: one.peer_settings.get(ENABLE_CONNECT_PROTOCOL) == 1)
        stream = opened(client, f"{path}?a=b", ("sec-websocket-protocol", "chat"), ("sec-websocket-key", KEY))
        assert exactly(stream, 2) == b"hi"
        for index in range(20):
            stream.sendall(b"%06d" % index)
            assert exactly(stream, 6) == (b"%06d" % index)[::-1]
        stream.finish()
        assert exactly(stream, 3) == b"bye" and stream.recv(1) == b"" and stream.reset_code is None
    (head,) = member.heads
    assert head.first == f"GET {path}?a=b HTTP/1.1" and head["host"] == "web"
    assert (head["upgrade"], head["connection"]) == ("websocket", "upgrade")
    assert (head["sec-websocket-version"], head["sec-websocket-protocol"]) == ("13", "chat")
    assert head["sec-websocket-key"] != KEY and len(base64.b64decode(head["sec-websocket-key"])) == 16
    line = old.line(f"{path}?a=b")
    assert (line["method"], line["protocol"], line["status"], line["details"]) == (
        "GET", "HTTP/2", "101", "via_upstream")  # fmt: skip
    assert (line["received"], line["sent"]) == ("120", "125")


def test_each_gets_a_key_of_its_own(old: Captured) -> None:
    member = old.members[0]
    member.play(switching())
    with contextlib.closing(h2_client(old)) as client:
        streams = [opened(client, "/") for _ in range(3)]
        assert [exactly(stream, 2) for stream in streams] == [b"hi"] * 3
        assert len({head["sec-websocket-key"] for head in member.heads}) == 3
        for stream in streams:
            stream.cancel()


@pytest.mark.parametrize(
    "handler",
    [
        pytest.param(switching(lambda _: accept_of(KEY)), id="of another key"),
        pytest.param(switching(lambda _: ""), id="of none"),
        pytest.param(switching(fields="upgrade: raw\r\n"), id="another protocol"),
        pytest.param(switching(fields="upgrade: websocket\r\nsec-websocket-accept: x\r\n"), id="two"),
    ],
)
def test_an_accept_that_is_none(old: Captured, handler: Handler) -> None:
    old.members[0].play(handler)
    path = unique()
    with contextlib.closing(h2_client(old)) as client:
        assert client.request(connect(path)).answered()[":status"] == "502"
    assert old.line(path)["flags"] == "UPE"


@pytest.mark.parametrize("status", ["403 Forbidden", "302 Found", "426 Upgrade Required"])
def test_an_endpoint_refuses(old: Captured, status: str) -> None:
    def refuse(peer: Peer) -> None:
        peer.request()
        peer.send(f"HTTP/1.1 {status}\r\nlocation: /x\r\ncontent-length: 2\r\n\r\nno")

    old.members[0].play(refuse)
    path = unique()
    with contextlib.closing(h2_client(old)) as client:
        stream = client.request(connect(path))
        assert stream.answered() | {":status": status[:3], "location": "/x"} == stream.answered()
        assert exactly(stream, 2) == b"no" and stream.recv(1) == b""
    assert old.line(path)["status"] == status[:3]


@pytest.mark.parametrize("answer", ["200 OK\r\ncontent-length: 2\r\n\r\nno", "204 No Content\r\n\r\n"])
def test_an_endpoint_answers_as_if_it_had_not_been_asked(old: Captured, answer: str) -> None:
    """A 2xx would be the tunnel."""

    def plainly(peer: Peer) -> None:
        peer.request()
        peer.send(f"HTTP/1.1 {answer}")

    member, path = old.members[0], unique()
    member.play(plainly)
    with contextlib.closing(h2_client(old)) as client:
        assert client.request(connect(path)).answered()[":status"] == "501"
    line = old.line(path)
    assert (line["status"], line["details"]) == ("501", "upgrade_failed{endpoint_did_not_switch}")
    assert old.row(member)["ejected_left_ms"] <= 0


@pytest.mark.parametrize("protocol", ["connect-udp", "webtransport", "h2c", "websocket,h2c", "connect-ip"])
def test_other_protocols_reach_nobody(old: Captured, protocol: str) -> None:
    member, path = old.members[0], unique()
    member.play(serve_name)
    with contextlib.closing(h2_client(old)) as client:
        stream = client.request(connect(path, protocol=protocol))
        if "," in protocol:  # no token
            with pytest.raises(ConnectionResetError):
                stream.answered()
        else:
            assert stream.answered()[":status"] == "501"
            assert old.line(path)["details"] == "upgrade_failed"
        assert client.ping() < 5
    assert not member.heads


def test_what_is_known_in_capitals_is_the_same(old: Captured) -> None:
    old.members[0].play(switching())
    with contextlib.closing(h2_client(old)) as client:
        assert client.request(connect("/", protocol="WebSocket")).answered()[":status"] == "200"


def test_a_plain_CONNECT_is_for_proxies(old: Captured) -> None:
    with contextlib.closing(h2_client(old)) as client:
        assert client.request([(":method", "CONNECT"), (":authority", "web:8000")]).answered()[":status"] == "404"


def test_gRPCs_words_are_no_answer_to_it(old: Captured) -> None:
    """Its own way to refuse is 200."""
    with contextlib.closing(h2_client(old)) as client:
        stream = client.request(connect("/", ("content-type", "application/grpc"), host="nobody"))
        assert stream.answered()[":status"] == "404"


def test_resets_go_through(old: Captured) -> None:
    met: list[BaseException] = []

    def wait(peer: Peer) -> None:
        head = switched(peer)
        if head["x-how"] == "reset":
            peer.until(b"now")
            peer.reset()
            return
        try:
            peer.rest()
        except OSError as error:
            met.append(error)

    old.members[0].play(wait)
    with contextlib.closing(h2_client(old)) as client:
        stream = client.request(connect("/", ("x-how", "reset")))
        assert stream.answered()[":status"] == "200"
        stream.sendall(b"now")
        assert client.wait_until(lambda _: stream.reset_code is not None or stream.ended)
        if not old.doors:  # a ztunnel takes a reset for an end
            assert stream.reset_code == ErrorCodes.CANCEL
        stream = client.request(connect("/", ("x-how", "wait")))
        assert stream.answered()[":status"] == "200"
        stream.cancel()
        if not old.doors:
            wait_until(lambda: met, 5, "the endpoint sees a reset")


def test_who_does_not_read_stops_who_writes(old: Captured) -> None:
    """Neither end's bytes are kept here."""
    sent = [0]

    def flood(peer: Peer) -> None:
        switched(peer)
        for _ in range(64):
            peer.send(b"x" * MIB)
            sent[0] += MIB
        peer.finish()
        peer.rest()

    old.members[0].play(flood)
    sock = socket.create_connection(("127.0.0.1", old.replica.port))
    settings = H2 | {4: 65535}
    with contextlib.closing(Connection(sock, None, server=False, settings=settings, window=1 << 24)) as client:
        stream = client.request(connect("/"))
        assert stream.answered()[":status"] == "200"
        last = -1
        while last != sent[0]:
            last = sent[0]
            client.wait_until(lambda _: False, 0.5)
        assert sent[0] < 40 * MIB
        got = 0
        while piece := stream.recv(1 << 20):
            got += len(piece)
        assert got == 64 * MIB
        stream.finish()


# -- time, and what is left -------------------------------------------------------------------------------------------


def test_one_in_which_nothing_moves_ends_as_an_upgrade_does(tmp_path: Path) -> None:
    """At both ends, in order: nothing is lost."""
    ends: list[bytes] = []

    def wait(peer: Peer) -> None:
        switched(peer)
        ends.append(peer.rest())

    with captured(tmp_path, 1, hbone=False, handler=wait, more=("--idle-timeout", "1")) as one:
        with contextlib.closing(h2_client(one)) as client:
            stream = client.request(connect("/quiet"))
            assert stream.answered()[":status"] == "200"
            stream.sendall(b"abc")
            with within(3.0, at_least=0.9):
                assert stream.recv(1) == b"" and stream.reset_code in (None, ErrorCodes.NO_ERROR)
            wait_until(lambda: ends == [b"abc"], 5, "the endpoint's end")
            assert client.ping() < 5
        assert one.line("/quiet")["status"] == "101"


def test_nothing_is_left_of_many_to_an_endpoint_of_HTTP_1(old: Captured) -> None:
    old.members[0].play(switching())
    nothing_is_left(old)


def nothing_is_left(one: Captured) -> None:
    pid = one.replica.info("/server_info")["workers"][0]["pid"]
    counts = []
    for _ in range(2):
        with contextlib.closing(h2_client(one)) as client:
            for index in range(40):
                stream = client.request(connect("/"))
                assert stream.answered()[":status"] == "200"
                stream.finish() if index % 2 else stream.cancel()
                if index % 2:
                    assert exactly(stream, 5) == b"hibye" and stream.recv(1) == b""
        wait_until(lambda: one.row(one.members[0])["in_flight"] == 0, 5, "nothing is in flight")
        counts.append(len(os.listdir(f"/proc/{pid}/fd")))
    assert counts[1] <= counts[0] + 2
