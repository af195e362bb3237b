"""Sessions of HTTP/2 survive any frames: what they let through is well-formed HTTP/1.1, what they write is well-formed
HTTP/2, and when the peer is gone nothing of it is left.

Recordings of well-behaved peers are cut into frames, which are repeated, left out, moved, relabelled, and changed byte
by byte. nghttp2 has the same done to it elsewhere; here it is about what we do with what it tells us.
"""

import gc
import logging
from collections.abc import Iterator, Sequence

import gevent
import pytest
from hyperframe.frame import DataFrame, Frame, GoAwayFrame, PingFrame, RstStreamFrame, SettingsFrame
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.mutants import DEEP, MORSELS, fuzzed, pieces, splits
from tests.instruments import inspect
from tests.wire.http2_rig import (
    BLOCK,
    GET,
    OK,
    POST,
    PREFACE,
    Client,
    Peer,
    Server,
    continuation,
    data,
    raw,
    spin,
    window,
)

pytestmark = pytest.mark.timeout(3600 if DEEP else 120)

Frames = Sequence[Frame | bytes]
LONG: list[tuple[str, str]] = [(f"x-{index}", str(index) * 20) for index in range(20)]


def recordings_of_clients() -> list[list[bytes]]:
    """What clients may send after their preface, in frames."""
    client = Client(greet=False)
    padded = DataFrame(1, b"abc", pad_length=5)
    padded.flags |= {"PADDED"}
    start: Frames = [SettingsFrame(0), raw(4, 1, 0)]
    block = client.encoder.encode([*GET, ("cookie", "a=1"), ("x", "1"), ("cookie", "b=2")])
    recordings: list[Frames] = [
        [client.get(1, ("te", "trailers")), client.get(3, *LONG), client.get(5, ("cookie", "a"), ("cookie", "b"))],
        [
            client.headers(1, [*POST, ("content-type", "application/grpc"), ("te", "trailers")]),
            data(1, b"\0\0\0\0\5hello"),
            window(1, 100),
            data(1, b"x" * 300, "END_STREAM"),
        ],
        [client.headers(1, POST), padded, data(1, b""), client.headers(1, [("x", "1"), ("y", "2")], "END_STREAM")],
        [client.headers(1, [*POST, ("content-length", "8")]), data(1, b"1234"), data(1, b"5678", "END_STREAM")],
        [raw(1, 1, 1, block[:3]), continuation(1, block[3:9]), continuation(1, block[9:], "END_HEADERS"), PingFrame(0)],
        [raw(1, 5, 1, BLOCK), client.headers(3, POST), RstStreamFrame(3, 8), client.get(5), GoAwayFrame(0)],
        [client.headers(1, [(":method", "CONNECT"), (":authority", "a:1")]), data(1, b"bytes"), window(0, 70000)],
    ]
    return [_octets([*start, *each]) for each in recordings]


def recordings_of_endpoints() -> list[list[bytes]]:
    """What endpoints may answer to the requests on streams 1 and 3."""
    server = Server(greet=False)
    start: Frames = [SettingsFrame(0), raw(4, 1, 0)]
    recordings: list[Frames] = [
        [server.headers(1, OK, "END_STREAM"), server.headers(3, [*OK, *LONG]), data(3, b"x" * 300, "END_STREAM")],
        [
            server.headers(1, [(":status", "103"), ("link", "x")]),
            server.headers(1, [*OK, ("content-type", "application/grpc")]),
            data(1, b"hello"),
            server.headers(1, [("grpc-status", "0"), ("grpc-message", "")], "END_STREAM"),
            RstStreamFrame(3, 7),
        ],
        [server.headers(1, [*OK, ("content-length", "8")]), data(1, b"1234"), data(1, b"5678", "END_STREAM")],
        [server.headers(3, [(":status", "204")], "END_STREAM"), window(1, 5), PingFrame(0), GoAwayFrame(0)],
    ]
    return [_octets([*start, *each]) for each in recordings]


def _octets(frames: Frames) -> list[bytes]:
    return [frame if isinstance(frame, bytes) else frame.serialize() for frame in frames]


@st.composite
def mutants(draw: st.DrawFn, recordings: list[list[bytes]]) -> bytes:
    """One of the recordings after some mutations."""
    frames = list(draw(st.sampled_from(recordings)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(frames) - 1))
        kind = draw(st.integers(0, 8))
        if kind == 0:
            frames.insert(at, draw(st.sampled_from(draw(st.sampled_from(recordings)))))
        elif kind == 1 and len(frames) > 1:
            del frames[at]
        elif kind == 2:
            frames.append(frames.pop(at))
        else:
            frames[at] = _changed(draw, frames[at], kind)
    return b"".join(frames)


def _changed(draw: st.DrawFn, frame: bytes, kind: int) -> bytes:
    """A frame with another label or payload; its length is that of the payload unless that is what changes."""
    octet = bytes([draw(st.integers(0, 255))])
    if kind == 3:
        return frame[:3] + octet + frame[4:]
    if kind == 4:
        return frame[:4] + octet + frame[5:]
    if kind == 5:
        return frame[:5] + draw(st.integers(0, 9)).to_bytes(4, "big") + frame[9:]
    if kind == 6:
        return octet.rjust(3, b"\0") + frame[3:]
    payload = frame[9:]
    at = draw(st.integers(0, len(payload)))
    payload = payload[:at] + draw(st.sampled_from(MORSELS)) + payload[at + draw(st.integers(0, 3)) :]
    return len(payload).to_bytes(3, "big") + frame[3:9] + payload


@pytest.fixture(autouse=True)
def nothing_fails(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Exceptions in greenlets and callbacks are reported, not raised; here they count."""
    failures: list[object] = []
    hub = gevent.get_hub()
    monkeypatch.setattr(hub, "handle_error", lambda *what: failures.append(what))
    with caplog.at_level(logging.ERROR):
        yield
    assert failures == [] and caplog.records == []


def check_head(text: bytes, parse: object) -> bool:
    """Whether the parser takes the head; if it does, its lines are what it makes of them."""
    head, end, _ = text.partition(b"\r\n\r\n")
    assert end or not head
    assert head.count(b"\r") == head.count(b"\n") == head.count(b"\r\n") and b"\0" not in head
    try:
        seen = inspect.request(text) if parse == "request" else inspect.response(text)
    except (inspect.Refused, EOFError):
        return False
    assert len(seen["fields"]) == head.count(b"\r\n")
    return True


def check_body(text: bytes, whole: bool) -> None:
    head, _, rest = text.partition(b"\r\n\r\n")
    if b"\r\ntransfer-encoding: chunked" in head:
        body = inspect.BodyReader("chunked")
        body.feed(rest)
        assert body.done == whole and body.rest == b""


def check_output(peer: Peer, role: str) -> None:
    """What was written are whole frames of kinds that may be sent."""
    peer.look()
    for frame in peer.frames:
        assert type(frame).__name__ not in ("ExtensionFrame", "PushPromiseFrame", "PriorityFrame"), role


@fuzzed
@given(mutants(recordings_of_clients()), st.data())
def test_what_clients_may_send(sent: bytes, more: st.DataObject) -> None:
    client = Client(greet=False)
    client.answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx: 1\r\n\r\n"
    client.connection.transport.feed(PREFACE)
    for piece in pieces(sent, more.draw(splits(len(sent)))):
        client.connection.transport.feed(piece)
        spin(3)
    check_output(client, "server")
    client.connection.transport.end_input()
    spin(20)
    assert client.connection.done and client.connection.transport.is_closed
    assert client.connection.running == 0 and client.connection.streams == 0
    for text, end in client.requests:
        if check_head(text, "request"):
            check_body(text, end == "end")


@fuzzed
@given(mutants(recordings_of_endpoints()), st.data())
def test_what_endpoints_may_answer(sent: bytes, more: st.DataObject) -> None:
    server = Server(greet=False)
    texts: list[tuple[bytes, str]] = []

    def ask(text: bytes) -> None:
        stream = server.connection.new_stream()
        if stream.ask(text) == "ok":
            texts.append(stream.read())
        stream.close()

    asking = [gevent.spawn(ask, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")]
    body = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    asking.append(gevent.spawn(ask, body))
    spin()
    for piece in pieces(sent, more.draw(splits(len(sent)))):
        server.connection.transport.feed(piece)
        spin(3)
    check_output(server, "client")
    server.connection.transport.end_input()
    gevent.joinall(asking, timeout=5)
    spin()
    assert all(each.dead for each in asking) and server.connection.done and server.connection.streams == 0
    for text, end in texts:
        if end == "end":
            final = behind_interim(text)
            assert check_head(final, "response") or final.startswith(b"HTTP/1.1 ")
            check_body(final, True)


def behind_interim(text: bytes) -> bytes:
    """An answer without the 1xx heads before it."""
    while text.startswith(b"HTTP/1.1 1") and b"\r\n\r\n" in text:
        text = text.partition(b"\r\n\r\n")[2]
    return text


def test_nothing_is_left() -> None:
    """After hundreds of connections of each kind, and their requests: no object of theirs."""

    def count() -> int:
        gc.collect()
        kinds = ("HttpServerStream", "HttpClientStream", "Http2Server", "Http2Client", "Memory", "Body")
        return sum(type(each).__name__ in kinds for each in gc.get_objects())

    recordings = recordings_of_clients()
    answers = recordings_of_endpoints()
    before = count()
    for index in range(300):
        client = Client(greet=False)
        client.send(PREFACE, *recordings[index % len(recordings)])
        server = Server(greet=False)
        stream = server.request()
        server.send(*answers[index % len(answers)])
        if index % 2:
            stream.close()
        for peer in (client, server):
            peer.connection.transport.end_input()
        spin(4)
    del client, server, stream, peer
    spin(20)
    assert count() <= before + 5
