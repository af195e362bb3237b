"""Frames on streams that are closed (RFC 9113 5.1, 5.1.1): an error is told from what was only on its way."""

import pytest
from hyperframe.frame import DataFrame, Frame, HeadersFrame, RstStreamFrame, SettingsFrame

from tests.wire.http2_rig import (
    BLOCK,
    CANCEL,
    ENHANCE_YOUR_CALM,
    FLOW_CONTROL_ERROR,
    HEADERS,
    NO_ERROR,
    OK,
    POST,
    PREFACE,
    PROTOCOL_ERROR,
    PUSH_PROMISE,
    REFUSED_STREAM,
    RST_STREAM,
    STREAM_CLOSED,
    WINDOW_UPDATE,
    Client,
    Server,
    comes,
    data,
    raw,
    spin,
)

WINDOW = 256 << 10  # of a stream, at first
EARLY = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@pytest.fixture(params=[True, False], ids=["whole", "bytes"])
def client(request: pytest.FixtureRequest) -> Client:
    """What it sends comes in one piece, or byte by byte."""
    return Client(whole=request.param)


def trailers(client: Client, stream: int) -> HeadersFrame:
    return client.headers(stream, [("x-late", "1")], "END_STREAM")


def resets(client: Client, stream: int) -> list[int]:
    return [frame.error_code for frame in client.of(RstStreamFrame, stream)]


def cut_short(client: Client, stream: int = 1) -> None:
    """A request that is answered, and reset by us, before its client has ended it."""
    served = len(client.streams)
    client.send(client.headers(stream, POST))
    comes(lambda: len(client.streams) > served)  # at once, unless a hundred others are served that have not answered
    client.streams[-1].put(EARLY)
    client.streams[-1].close()
    client.look()
    assert resets(client, stream) == [NO_ERROR]


# -- what its client has ended ----------------------------------------------------------------------------------------


def test_P3_data_after_its_own_reset(client: Client) -> None:
    """An error of that stream (RFC 7540 5.1; RFC 9113 leaves it to us): the others go on."""
    client.answer = None
    client.send(client.headers(1, POST), client.headers(3, POST), RstStreamFrame(1, CANCEL), data(1, b"late"))
    assert resets(client, 1) == [STREAM_CLOSED] and client.reset(3) is None
    client.send(data(3, b"x", "END_STREAM"))
    assert client.goaway() is None and client.connection.streams == 1


def test_P3_a_head_after_its_own_reset(client: Client) -> None:
    client.answer = None
    client.send(client.headers(1, POST), RstStreamFrame(1, CANCEL), trailers(client, 1))
    assert client.goaway() == STREAM_CLOSED and client.connection.done
    assert client.connection.fault == "HEADERS on a closed stream"


@pytest.mark.parametrize("ends", ["HEADERS", "DATA", "trailers"])
def test_P3_data_after_both_ends(client: Client, ends: str) -> None:
    if ends == "HEADERS":
        client.send(client.get(1))
    elif ends == "DATA":
        client.send(client.headers(1, POST), data(1, b"x", "END_STREAM"))
    else:
        client.send(client.headers(1, POST), data(1, b"x"), trailers(client, 1))
    assert client.ended(1)
    client.send(data(1, b"late"))
    assert resets(client, 1) == [STREAM_CLOSED] and client.lives()


def test_P3_a_head_after_both_ends(client: Client) -> None:
    client.send(client.get(1))
    assert client.ended(1)
    client.send(client.get(1))
    assert client.goaway() == STREAM_CLOSED and client.connection.done


@pytest.mark.parametrize(("first", "skipped"), [(5, 3), (5, 1), (3, 1)])
def test_P3_an_id_below_the_newest(client: Client, first: int, skipped: int) -> None:
    """It never was a stream, and cannot be any more."""
    client.send(client.get(first), client.get(first + 2), client.get(skipped))
    assert client.goaway() == PROTOCOL_ERROR
    assert client.connection.fault == "a stream opened below a newer one"


def test_P3_data_on_an_id_that_was_left_out(client: Client) -> None:
    client.send(client.get(5), data(3, b"x"))
    assert resets(client, 3) == [STREAM_CLOSED] and client.lives()


def test_P3_a_closed_stream_long_ago() -> None:
    """However many came after it: nothing is kept of those that their clients ended."""
    client = Client()
    client.send(*(client.get(stream) for stream in range(1, 2001, 2)))
    client.send(data(1, b"late"))
    assert resets(client, 1) == [STREAM_CLOSED] and client.goaway() is None


def test_P3_frames_on_closed_streams_are_counted() -> None:
    client = Client()
    client.send(client.get(1))
    for _ in range(30):
        client.connection.transport.feed(data(1, b"late").serialize() * 100)
        spin(3)
    client.look()
    assert client.goaway() == ENHANCE_YOUR_CALM and len(resets(client, 1)) < 1000


# -- what we have ended -----------------------------------------------------------------------------------------------


def test_P3_what_was_on_its_way_is_borne(client: Client) -> None:
    """5.1: the peer might have sent these before it processed the RST_STREAM. They are worth their window (6.9)."""
    client.answer = None
    cut_short(client)
    client.send(data(1, b"x" * 20), data(1, b"y"), trailers(client, 1))
    assert resets(client, 1) == [NO_ERROR] and client.lives()


@pytest.mark.parametrize("end", ["DATA", "trailers", "RST_STREAM"])
def test_P3_but_nothing_behind_its_end(client: Client, end: str) -> None:
    """Late as it is, the client's end says that there is no more."""
    client.answer = None
    cut_short(client)
    last: Frame = RstStreamFrame(1, CANCEL)
    if end == "DATA":
        last = data(1, b"x", "END_STREAM")
    elif end == "trailers":
        last = trailers(client, 1)
    client.send(data(1, b"x"), last)
    assert resets(client, 1) == [NO_ERROR]
    client.send(data(1, b"x"))
    assert resets(client, 1) == [NO_ERROR, STREAM_CLOSED] and client.lives()


def test_P3_more_than_can_have_been_on_its_way() -> None:
    client = Client()
    client.answer = None
    cut_short(client)
    piece = data(1, b"x" * 16384)
    client.send(*[piece] * (WINDOW // 16384))
    assert client.goaway() is None
    client.send(piece)
    assert client.goaway() == FLOW_CONTROL_ERROR


@pytest.mark.parametrize("kind", [DataFrame, HeadersFrame])
def test_P3_late_frames_that_cost_nothing_are_counted(kind: type[Frame]) -> None:
    client = Client()
    client.answer = None
    cut_short(client)
    for _ in range(30):
        late = data(1, b"") if kind is DataFrame else client.headers(1, [("x", "1")])
        client.connection.transport.feed(late.serialize() * 100)
        spin(3)
    client.look()
    assert client.goaway() == ENHANCE_YOUR_CALM and client.connection.done


def test_P3_more_streams_than_are_remembered_are_borne_with() -> None:
    client = Client()
    client.answer = None
    for stream in range(1, 201, 2):
        cut_short(client, stream)
    client.send(*(data(stream, b"x") for stream in range(1, 201, 2)))
    client.send(*(trailers(client, stream) for stream in (1, 199)))
    assert all(resets(client, stream) == [NO_ERROR] for stream in range(1, 201, 2)) and client.lives()


def test_P3_refused_streams_go_on_for_a_while() -> None:
    """Those that we have no room for, and those that nghttp2 refuses before the limit is known."""
    client = Client(greet=False)
    client.answer = None
    client.send(PREFACE, SettingsFrame(0))
    client.send(*(client.get(stream) for stream in range(1, 2001, 2)))
    client.send(client.headers(2001, POST), data(2001, b"x"))
    client.send(data(2001, b"x"), trailers(client, 2001))
    assert resets(client, 2001) == [REFUSED_STREAM] and client.goaway() is None


def test_P3_after_the_last_goaway_whatever_comes_is_passed_over(client: Client) -> None:
    """6.8: frames on streams that the GOAWAY leaves out are discarded."""
    client.answer = None
    client.send(client.headers(1, POST))
    client.connection.shutdown()
    client.connection.refuse_new()
    client.look()
    client.send(client.headers(3, POST), data(3, b"x"), data(1, b"x"), data(3, b"y"), trailers(client, 3))
    assert client.goaway() == NO_ERROR and client.reset(3) is None and not client.connection.done
    client.send(data(1, b"", "END_STREAM"))
    client.streams[0].put(EARLY)
    client.look()
    assert client.data(1) == b"ok" and client.goaway() == NO_ERROR


def test_P3_many_uploads_at_once(client: Client) -> None:
    streams = range(1, 41, 2)
    client.send(*(client.headers(stream, POST) for stream in streams))
    for _ in range(3):
        client.send(*(data(stream, b"x" * stream) for stream in streams))
    client.send(*(data(stream, b"", "END_STREAM") for stream in streams))
    assert sorted(text.count(b"x") for text, _ in client.requests) == [3 * stream for stream in streams]
    assert all(client.ended(stream) for stream in streams) and client.goaway() is None


# -- what endpoints send ----------------------------------------------------------------------------------------------

LATE = ("DATA", "HEADERS", "trailers", "WINDOW_UPDATE", "RST_STREAM")


def late(server: Server, kind: str, stream: int) -> bytes | Frame:
    if kind == "DATA":
        return data(stream, b"late")
    if kind == "HEADERS":
        return server.headers(stream, OK)
    if kind == "trailers":
        return server.headers(stream, [("x", "1")], "END_STREAM")
    return raw(WINDOW_UPDATE if kind == "WINDOW_UPDATE" else RST_STREAM, 0, stream, b"\0\0\0\x08")


@pytest.mark.parametrize("kind", LATE)
@pytest.mark.parametrize("closed", ["it ended", "we reset"])
def test_P3_an_endpoints_late_frames_harm_nobody(kind: str, closed: str) -> None:
    """5.1 lets us bear them on any closed stream, and many clients share the connection."""
    server = Server()
    first, other = server.request(), server.request()
    if closed == "it ended":
        server.send(server.headers(1, OK), data(1, b"", "END_STREAM"))
        assert first.read()[1] == "end"
    first.close()
    server.look()
    for _ in range(3):
        server.send(late(server, kind, 1))
    server.send(server.headers(3, OK), data(3, b"whole", "END_STREAM"))
    text, end = other.read()
    assert b"whole" in text and end == "end"
    assert server.goaway() is None and server.connection.has_room


@pytest.mark.parametrize("stream", [2, 99])
@pytest.mark.parametrize("kind", LATE)
def test_P3_an_endpoints_frames_on_idle_streams_end_its_connection(kind: str, stream: int) -> None:
    server = Server()
    request = server.request()
    server.send(late(server, kind, stream))
    assert server.goaway() == PROTOCOL_ERROR and server.connection.done and server.connection.fault
    assert request.read()[1] == "failed"


@pytest.mark.parametrize("stream", [1, 3])
def test_P3_an_endpoint_that_pushes(stream: int) -> None:
    """We have said that it may not (8.4), on a stream that is open as on one that was."""
    server = Server()
    server.request()
    server.request().close()
    server.send(raw(PUSH_PROMISE, 4, stream, b"\0\0\0\2" + BLOCK))
    assert server.goaway() == PROTOCOL_ERROR and server.connection.done


def test_P3_a_request_of_an_endpoint() -> None:
    server = Server()
    server.request()
    server.send(raw(HEADERS, 5, 2, BLOCK))
    assert server.goaway() == PROTOCOL_ERROR and server.connection.done
