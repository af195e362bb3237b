"""What costs an HTTP/2 peer less than us is bounded (RFC 9113 10.5)."""

import pytest
from hyperframe.frame import (
    DataFrame,
    Frame,
    HeadersFrame,
    PriorityFrame,
    RstStreamFrame,
    WindowUpdateFrame,
)

from tests.wire.http2_rig import (
    BLOCK,
    CONTINUATION,
    DATA,
    ENHANCE_YOUR_CALM,
    HEADERS,
    PING,
    POST,
    PROTOCOL_ERROR,
    SETTINGS,
    WINDOW_UPDATE,
    Client,
    data,
    raw,
    setting,
    spin,
)

# A field of 4,000 bytes that goes into the table, where it is index 62 (0xbe).
LARGE = b"\x40\x01x\x7f\xa1\x1e" + b"1" * 4000
CALM = {ENHANCE_YOUR_CALM, PROTOCOL_ERROR}


def flood(client: Client, *frames: bytes | Frame, times: int = 3000) -> None:
    """In pieces, so that everybody has turns in between."""
    piece = b"".join(frame.serialize() if isinstance(frame, Frame) else frame for frame in frames)
    for _ in range(times // 100):
        if client.connection.done:
            break
        client.connection.transport.feed(piece * 100)
        spin(3)
    client.look()


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param([raw(SETTINGS, 0, 0, setting(3, 100))], id="SETTINGS"),
        pytest.param([raw(SETTINGS, 0, 0)], id="empty SETTINGS"),
        pytest.param([raw(DATA, 0, 1)], id="empty DATA"),
        pytest.param([raw(DATA, 8, 1, b"\x05" + bytes(5))], id="DATA of padding"),
        pytest.param([PriorityFrame(1, depends_on=3)], id="PRIORITY"),
    ],
)
def test_floods(frames: list[bytes | Frame]) -> None:
    client = Client()
    client.send(client.headers(1, POST))
    flood(client, *frames)
    assert client.goaway() in CALM and client.connection.done and client.connection.transport.is_closed
    assert client.connection.running == 0


def test_rapid_resets() -> None:
    """CVE-2023-44487"""
    client = Client()
    for stream in range(1, 8001, 2):
        if client.connection.done:
            break
        client.connection.transport.feed(client.get(stream).serialize() + RstStreamFrame(stream, 8).serialize())
        if stream % 100 == 1:
            spin(3)
    client.look()
    assert client.goaway() == ENHANCE_YOUR_CALM and client.connection.done and client.connection.running == 0
    assert len(client.requests) == 0


def test_requests_that_make_us_reset() -> None:
    """CVE-2025-8671: malformed frames on streams, so that it is we who reset them."""
    client = Client()
    client.answer = None
    for stream in range(1, 8001, 2):
        if client.connection.done:
            break
        client.connection.transport.feed(client.get(stream).serialize() + raw(WINDOW_UPDATE, 0, stream, bytes(4)))
        if stream % 100 == 1:
            spin(3)
            client.held.set()
            client.held.clear()
    client.look()
    assert client.goaway() in CALM and client.connection.done


def test_pings_to_a_connection_that_is_not_read() -> None:
    client = Client()
    client.connection.transport.room = len(client.connection.transport.output)
    for _ in range(200):
        client.connection.transport.feed(raw(PING, 0, 0, b"12345678") * 100)
        spin(3)
    assert client.connection.fault or client.connection.done, "answers would pile up"


def test_a_head_without_an_end() -> None:
    """CVE-2024-27316"""
    client = Client()
    client.send(raw(HEADERS, 1, 1, BLOCK))
    flood(client, raw(CONTINUATION, 0, 1, b"\x00\x01x\x7e" + b"1" * 126))
    assert client.goaway() in CALM and client.connection.done and not client.requests


def test_a_head_that_unpacks_to_much() -> None:
    """An index of one byte for a field of four thousand: the text stops growing at its limit."""
    client = Client()
    client.send(raw(HEADERS, 5, 1, BLOCK + LARGE + b"\xbe" * 40))
    ((text, _),) = client.requests
    assert len(text) < 70_000 and client.lives()


def test_a_head_that_unpacks_to_far_too_much() -> None:
    """Megabytes are not even unpacked: the stream is reset as soon as it is certain, and such streams are counted."""
    client = Client()
    client.send(raw(HEADERS, 5, 1, BLOCK + LARGE + b"\xbe" * 12000))
    assert not client.requests and client.lives()
    assert [frame.stream_id for frame in client.of(RstStreamFrame)] == [1]
    client = Client()
    for stream in range(1, 8001, 2):
        if client.connection.done:
            break
        client.connection.transport.feed(raw(HEADERS, 5, stream, BLOCK + LARGE + b"\xbe" * 100))
        spin(3)
    client.look()
    assert client.goaway() in CALM and client.connection.done


def test_crumbs_that_never_end() -> None:
    client = Client()
    crumb = b"\x60\x01a"  # cookie: a, put into the table
    client.send(raw(HEADERS, 5, 1, BLOCK + crumb + b"\xbe" * 16000))
    ((text, _),) = client.requests
    assert text.count(b"a; a") > 1000 and b"\r\ncookie: a; a" in text


def test_requests_in_vain_are_forgotten() -> None:
    client = Client()
    client.send(HeadersFrame(1, client.encoder.encode([("X", "1")]), flags=["END_HEADERS", "END_STREAM"]))
    assert client.connection.streams == 0 and client.connection.running == 0
    assert isinstance(client.frames[-1], RstStreamFrame) and not client.of(DataFrame)


@pytest.mark.parametrize("read", [True, False], ids=["read", "unread"])
def test_streams_reset_in_their_bodies_leave_the_connection_its_window(read: bool) -> None:
    """50 MiB in a window of 16."""
    client = Client()
    client.answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
    sent = 0
    for number in range(800):
        stream = 2 * number + 1
        body = [data(stream, b"x" * 16384) for _ in range(4)]
        sent += 4 * 16384
        client.send(client.headers(stream, POST), *body[:2])
        if not read:
            client.connection.transport.feed(b"".join(each.serialize() for each in body[2:]))
            client.connection.transport.feed(RstStreamFrame(stream, 8).serialize())
        else:
            client.send(*body[2:], RstStreamFrame(stream, 8))
    client.look()
    granted = sum(frame.window_increment for frame in client.of(WindowUpdateFrame, 0))
    assert granted + 65535 - sent > (16 << 20) // 2 and client.connection.streams == 0
    assert client.connection.running == 0 and client.goaway() is None
