"""HTTP/2 connections: frames, streams, settings, windows, and what is answered to those who break the rules (RFC 9113
3 to 7)."""

import pytest
from hyperframe.frame import (
    PingFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from tests.wire.http2_rig import (
    BLOCK,
    COMPRESSION_ERROR,
    CONTINUATION,
    DATA,
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    GOAWAY,
    HEADERS,
    PING,
    POST,
    PREFACE,
    PRIORITY,
    PROTOCOL_ERROR,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    STREAM_CLOSED,
    WINDOW_UPDATE,
    Client,
    Server,
    continuation,
    data,
    raw,
    setting,
    spin,
)


@pytest.fixture(params=["whole", "byte by byte"])
def client(request: pytest.FixtureRequest) -> Client:
    return Client(request.param == "whole")


# -- 3.4: the beginning -----------------------------------------------------------------------------------------------


def test_what_we_say_first(client: Client) -> None:
    first, second, third = client.frames[:3]
    assert isinstance(first, SettingsFrame) and "ACK" not in first.flags
    assert first.settings == {
        SettingsFrame.MAX_CONCURRENT_STREAMS: 1000,
        SettingsFrame.INITIAL_WINDOW_SIZE: 262144,
        SettingsFrame.MAX_HEADER_LIST_SIZE: 61440,
        SettingsFrame.ENABLE_CONNECT_PROTOCOL: 1,
    }
    assert isinstance(second, WindowUpdateFrame) and second.stream_id == 0
    assert second.window_increment == 16777216 - 65535
    assert isinstance(third, SettingsFrame) and "ACK" in third.flags


def test_what_we_say_first_to_endpoints() -> None:
    server = Server()
    assert bytes(server.connection.transport.output[:24]) == PREFACE
    first = server.frames[0]
    assert isinstance(first, SettingsFrame) and first.settings[SettingsFrame.ENABLE_PUSH] == 0
    assert first.settings[SettingsFrame.INITIAL_WINDOW_SIZE] == 1048576


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(
    "opening",
    [
        pytest.param(PREFACE.replace(b"SM", b"MS") + raw(SETTINGS, 0, 0), id="another preface"),
        pytest.param(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", id="HTTP/1.1"),
        pytest.param(PREFACE + raw(PING, 0, 0, b"12345678"), id="no SETTINGS first"),
        pytest.param(PREFACE + raw(SETTINGS, 1, 0), id="an acknowledgement first"),
        pytest.param(PREFACE + raw(HEADERS, 5, 1, BLOCK), id="a request first"),
    ],
)
def test_bad_openings(whole: bool, opening: bytes) -> None:
    client = Client(whole, greet=False)
    client.send(opening)
    assert client.goaway() == PROTOCOL_ERROR and client.connection.done and not client.requests
    assert client.connection.transport.is_closed


@pytest.mark.parametrize("size", [0, 1, 23, 24, 30])
def test_an_opening_that_stops(size: int) -> None:
    client = Client(greet=False)
    client.send((PREFACE + raw(SETTINGS, 0, 0))[:size])
    client.connection.transport.end_input()
    spin()
    assert client.connection.done and client.connection.transport.is_closed


# -- 4 to 6: frames ---------------------------------------------------------------------------------------------------

OPEN = raw(HEADERS, 4, 1, BLOCK)  # a stream that the client has not ended
ENDED = raw(HEADERS, 5, 1, BLOCK)


@pytest.mark.parametrize(
    ("sent", "codes"),
    [
        pytest.param(raw(DATA, 0, 0, b"x"), {PROTOCOL_ERROR}, id="DATA on stream 0"),
        pytest.param(raw(DATA, 0, 1, b"x"), {PROTOCOL_ERROR}, id="DATA on an idle stream"),
        pytest.param(OPEN + raw(DATA, 8, 1, b"\x05abc"), {PROTOCOL_ERROR}, id="padding longer than the frame"),
        pytest.param(OPEN + raw(DATA, 8, 1, b""), {PROTOCOL_ERROR, FRAME_SIZE_ERROR}, id="padding without a length"),
        pytest.param(raw(HEADERS, 5, 0, BLOCK), {PROTOCOL_ERROR}, id="HEADERS on stream 0"),
        pytest.param(raw(HEADERS, 5, 2, BLOCK), {PROTOCOL_ERROR}, id="HEADERS on an even stream"),
        pytest.param(raw(HEADERS, 5, 5, BLOCK) + raw(HEADERS, 5, 3, BLOCK), {PROTOCOL_ERROR},
                     id="HEADERS on a lower stream"),
        pytest.param(raw(HEADERS, 0x2D, 1, b"\x09\0\0\0\0\x10"), {PROTOCOL_ERROR, FRAME_SIZE_ERROR},
                     id="padding longer than the head"),
        pytest.param(raw(HEADERS, 5, 1, b"\x82\xff\xff\xff\xff\xff\xff"), {COMPRESSION_ERROR}, id="no HPACK"),
        pytest.param(raw(HEADERS, 5, 1, b"\x82\xbf"), {COMPRESSION_ERROR}, id="an index that is not there"),
        pytest.param(raw(HEADERS, 5, 1, BLOCK + b"\x3f\xff\xff\x7f"), {COMPRESSION_ERROR}, id="a table too large"),
        pytest.param(raw(PRIORITY, 0, 0, b"\0\0\0\1\x10"), {PROTOCOL_ERROR}, id="PRIORITY on stream 0"),
        pytest.param(raw(RST_STREAM, 0, 0, b"\0\0\0\x08"), {PROTOCOL_ERROR}, id="RST_STREAM on stream 0"),
        pytest.param(raw(RST_STREAM, 0, 1, b"\0\0\0\x08"), {PROTOCOL_ERROR}, id="RST_STREAM on an idle stream"),
        pytest.param(OPEN + raw(RST_STREAM, 0, 1, b"\0\0\x08"), {FRAME_SIZE_ERROR}, id="a short RST_STREAM"),
        pytest.param(raw(SETTINGS, 0, 1), {PROTOCOL_ERROR}, id="SETTINGS on a stream"),
        pytest.param(raw(SETTINGS, 0, 0, b"12345"), {FRAME_SIZE_ERROR}, id="SETTINGS of five bytes"),
        pytest.param(raw(SETTINGS, 1, 0, setting(3, 1)), {FRAME_SIZE_ERROR}, id="an acknowledgement that says more"),
        pytest.param(raw(SETTINGS, 1, 0), {PROTOCOL_ERROR, None}, id="an acknowledgement of nothing"),
        pytest.param(raw(SETTINGS, 0, 0, setting(2, 2)), {PROTOCOL_ERROR}, id="ENABLE_PUSH 2"),
        pytest.param(raw(SETTINGS, 0, 0, setting(4, 1 << 31)), {FLOW_CONTROL_ERROR}, id="a window of 2^31"),
        pytest.param(raw(SETTINGS, 0, 0, setting(5, 16383)), {PROTOCOL_ERROR}, id="frames of 16383"),
        pytest.param(raw(SETTINGS, 0, 0, setting(5, 1 << 24)), {PROTOCOL_ERROR}, id="frames of 2^24"),
        pytest.param(raw(PUSH_PROMISE, 4, 1, b"\0\0\0\2" + BLOCK), {PROTOCOL_ERROR}, id="a client that pushes"),
        pytest.param(raw(PING, 0, 0, b"1234567"), {FRAME_SIZE_ERROR}, id="a short PING"),
        pytest.param(raw(PING, 0, 0, b"123456789"), {FRAME_SIZE_ERROR}, id="a long PING"),
        pytest.param(raw(PING, 0, 1, b"12345678"), {PROTOCOL_ERROR}, id="PING on a stream"),
        pytest.param(raw(GOAWAY, 0, 1, bytes(8)), {PROTOCOL_ERROR}, id="GOAWAY on a stream"),
        pytest.param(raw(GOAWAY, 0, 0, bytes(7)), {FRAME_SIZE_ERROR}, id="a short GOAWAY"),
        pytest.param(raw(WINDOW_UPDATE, 0, 0, bytes(4)), {PROTOCOL_ERROR}, id="a window opened by 0"),
        pytest.param(raw(WINDOW_UPDATE, 0, 0, b"\0\0\1"), {FRAME_SIZE_ERROR}, id="a short WINDOW_UPDATE"),
        pytest.param(raw(WINDOW_UPDATE, 0, 1, b"\0\0\0\1"), {PROTOCOL_ERROR}, id="the window of an idle stream"),
        pytest.param(raw(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"), {FLOW_CONTROL_ERROR}, id="a window over 2^31-1"),
        pytest.param(raw(CONTINUATION, 4, 1, BLOCK), {PROTOCOL_ERROR}, id="CONTINUATION of nothing"),
        pytest.param(ENDED + raw(CONTINUATION, 4, 1, BLOCK), {PROTOCOL_ERROR}, id="CONTINUATION of a whole head"),
        pytest.param(raw(HEADERS, 1, 1, BLOCK[:2]) + raw(CONTINUATION, 4, 3, BLOCK[2:]), {PROTOCOL_ERROR},
                     id="CONTINUATION on another stream"),
        pytest.param(raw(HEADERS, 1, 1, BLOCK[:2]) + raw(PING, 0, 0, b"12345678"), {PROTOCOL_ERROR},
                     id="a PING inside a head"),
        pytest.param(raw(HEADERS, 1, 1, BLOCK[:2]) + raw(0x99, 0, 0), {PROTOCOL_ERROR},
                     id="an unknown frame inside a head"),
        pytest.param(raw(HEADERS, 1, 1, BLOCK[:2]) + raw(HEADERS, 5, 3, BLOCK), {PROTOCOL_ERROR},
                     id="a head inside a head"),
        pytest.param(raw(DATA, 0, 1, b"", length=16385), {FRAME_SIZE_ERROR}, id="a frame of 16385"),
        pytest.param(raw(0x99, 0, 0, b"", length=16385), {FRAME_SIZE_ERROR}, id="an unknown frame of 16385"),
    ],
)  # fmt: skip
def test_connection_errors(client: Client, sent: bytes, codes: set[int | None]) -> None:
    client.answer = None
    client.send(sent)
    assert client.goaway() in codes
    if client.goaway() is not None:
        assert client.connection.done and client.connection.transport.is_closed


@pytest.mark.parametrize(
    ("sent", "codes"),
    [
        pytest.param(ENDED + raw(DATA, 0, 1, b"x"), {STREAM_CLOSED}, id="DATA after the end"),
        pytest.param(ENDED + raw(HEADERS, 5, 1, BLOCK), {STREAM_CLOSED, PROTOCOL_ERROR}, id="HEADERS after the end"),
        pytest.param(OPEN + raw(WINDOW_UPDATE, 0, 1, bytes(4)), {PROTOCOL_ERROR}, id="a window opened by 0"),
        pytest.param(OPEN + raw(WINDOW_UPDATE, 0, 1, b"\x7f\xff\xff\xff"), {FLOW_CONTROL_ERROR},
                     id="a window over 2^31-1"),
        pytest.param(raw(HEADERS, 0x25, 1, b"\0\0\0\1\x10" + BLOCK), {PROTOCOL_ERROR, None}, id="depends on itself"),
        pytest.param(OPEN + raw(PRIORITY, 0, 1, b"\0\0\0\1"), {FRAME_SIZE_ERROR, PROTOCOL_ERROR}, id="short PRIORITY"),
    ],
)  # fmt: skip
def test_stream_errors(client: Client, sent: bytes, codes: set[int | None]) -> None:
    """Answered on the stream, or (5.4.1 lets us) on the connection."""
    client.answer = None
    client.send(sent)
    assert (client.reset(1) if client.reset(1) is not None else client.goaway()) in codes


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(raw(0x99, 0xFF, 0, b"anything"), id="unknown type"),
        pytest.param(raw(0x99, 0xFF, 7, b"anything"), id="unknown type on a stream"),
        pytest.param(raw(10, 0, 0, b"\0\x01ah=x"), id="ALTSVC"),
        pytest.param(raw(16, 0, 0, b"\0\0\0\1u=1"), id="PRIORITY_UPDATE"),
        pytest.param(raw(SETTINGS, 0, 0, setting(0x99, 1)), id="unknown setting"),
        pytest.param(raw(SETTINGS, 0, 0, setting(4, 1) + setting(4, 65535)), id="a setting twice"),
        pytest.param(raw(PING, 0xFE, 0, b"12345678"), id="unknown flags"),
        pytest.param(raw(PING, 0, 1 << 31, b"12345678"), id="reserved bit"),
        pytest.param(raw(PING, 1, 0, b"12345678"), id="an answer to no PING"),
        pytest.param(raw(PRIORITY, 0, 9, b"\0\0\0\3\x10"), id="PRIORITY of an idle stream"),
        pytest.param(ENDED + raw(WINDOW_UPDATE, 0, 1, b"\0\0\0\1"), id="the window of a closed stream"),
        pytest.param(ENDED + raw(RST_STREAM, 0, 1, b"\0\0\0\x08"), id="RST_STREAM of a closed stream"),
        pytest.param(ENDED + raw(PRIORITY, 0, 1, b"\0\0\0\3\x10"), id="PRIORITY of a closed stream"),
        pytest.param(raw(HEADERS, 0x0D, 1, b"\3" + BLOCK + bytes(3)), id="a padded head"),
        pytest.param(raw(HEADERS, 0x25, 1, b"\0\0\0\0\x10" + BLOCK), id="a head with a priority"),
        pytest.param(raw(HEADERS, 1, 1, b"") + raw(CONTINUATION, 0, 1, b"") + raw(CONTINUATION, 4, 1, BLOCK),
                     id="empty pieces of a head"),
        pytest.param(raw(GOAWAY, 0, 0, bytes(8)), id="GOAWAY"),
    ],
)  # fmt: skip
def test_what_is_fine_or_ignored(sent: bytes) -> None:
    client = Client()
    client.send(sent)
    assert client.goaway() is None and client.reset(1) is None
    client.send(client.get(11))
    assert client.ended(11) or (client.frames and sent == raw(GOAWAY, 0, 0, bytes(8)))
    assert client.goaway() is None


def test_a_head_in_pieces_of_one_byte(client: Client) -> None:
    pieces = [continuation(1, BLOCK[at : at + 1]) for at in range(1, len(BLOCK))]
    pieces[-1].flags |= {"END_HEADERS"}
    client.send(raw(HEADERS, 1, 1, BLOCK[:1]), *pieces)
    assert client.requests == [(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", "end")]


def test_a_frame_of_the_largest_size(client: Client) -> None:
    client.send(client.headers(1, [*POST, ("content-length", "16384")]), data(1, b"x" * 16384, "END_STREAM"))
    ((text, end),) = client.requests
    assert end == "end" and text.endswith(b"x" * 16384) and client.ended(1)


def test_pings_are_answered(client: Client) -> None:
    client.send(raw(PING, 0, 0, b"12345678"), raw(PING, 0, 0, b"abcdefgh"))
    answers = client.of(PingFrame)
    assert [(frame.opaque_data, "ACK" in frame.flags) for frame in answers] == [
        (b"12345678", True), (b"abcdefgh", True),
    ]  # fmt: skip


def test_the_dynamic_table_may_be_switched_off(client: Client) -> None:
    client.send(SettingsFrame(0, {SettingsFrame.HEADER_TABLE_SIZE: 0}))
    client.decoder.max_allowed_table_size = 4096
    for stream in (1, 3, 5):
        client.send(client.get(stream, ("x", "1")))
    assert len(client.requests) == 3 and all(client.ended(stream) for stream in (1, 3, 5))


def test_a_connection_that_ends_inside_a_frame(client: Client) -> None:
    client.send(raw(PING, 0, 0, b"1234", length=8))
    client.connection.transport.end_input()
    spin()
    assert client.connection.done
