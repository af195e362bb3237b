"""Requests to HTTP/2 endpoints, and their answers as HTTP/1.1 text (RFC 9113 8)."""

from collections.abc import Iterator

import gevent
import pytest
from hyperframe.frame import DataFrame, GoAwayFrame, HeadersFrame, RstStreamFrame, SettingsFrame, WindowUpdateFrame

from tests.instruments import inspect
from tests.wire.http2_rig import (
    CANCEL,
    NO_ERROR,
    OK,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    Fields,
    Server,
    data,
    raw,
    spin,
    window,
)

GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
NAMED: Fields = [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/")]


@pytest.fixture(params=["whole", "byte by byte"])
def server(request: pytest.FixtureRequest) -> Server:
    return Server(request.param == "whole")


# -- requests ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "named", "content"),
    [
        (b"GET /a?b=c HTTP/1.1\r\nhost: a:80\r\n\r\n",
         [(":method", "GET"), (":scheme", "http"), (":authority", "a:80"), (":path", "/a?b=c")], None),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX-Mixed: Case\r\nAccept: */*\r\n\r\n",
         [*NAMED, ("x-mixed", "Case"), ("accept", "*/*")], None),
        (b"GET http://b/x HTTP/1.1\r\nhost: a\r\n\r\n",
         [(":method", "GET"), (":scheme", "http"), (":authority", "b"), (":path", "/x")], None),
        (b"GET https://b/x HTTP/1.1\r\nhost: a\r\n\r\n",
         [(":method", "GET"), (":scheme", "https"), (":authority", "b"), (":path", "/x")], None),
        (b"OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n",
         [(":method", "OPTIONS"), (":scheme", "http"), (":authority", "a"), (":path", "*")], None),
        (b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade, x\r\nupgrade: websocket\r\nx: 1\r\nkeep-alive: 1\r\n"
         b"proxy-connection: y\r\nhttp2-settings: z\r\n\r\n", NAMED, None),
        (b"GET / HTTP/1.1\r\nhost: a\r\nte: gzip, trailers\r\n\r\n", [*NAMED, ("te", "trailers")], None),
        (b"GET / HTTP/1.1\r\nhost: a\r\nte: gzip\r\n\r\n", NAMED, None),
        (b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc",
         [(":method", "POST"), *NAMED[1:], ("content-length", "3")], b"abc"),
        (b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n",
         [(":method", "POST"), *NAMED[1:], ("content-length", "0")], None),
        (POST + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", [(":method", "POST"), *NAMED[1:]], b"abcde"),
    ],
)  # fmt: skip
def test_requests(server: Server, text: bytes, named: Fields, content: bytes | None) -> None:
    """`content` None: END_STREAM comes with the HEADERS."""
    server.request(text)
    assert server.fields[1] == [list(named)] and server.ended(1) and server.data(1) == (content or b"")
    assert bool(server.of(DataFrame)) == (content is not None)


def test_trailers_of_a_request(server: Server) -> None:
    server.request(POST + b"3\r\nabc\r\n0\r\nx: 1\r\n\r\n")
    assert server.data(1) == b"abc" and server.fields[1][1:] == [[("x", "1")]] and server.ended(1)


def test_a_large_head_with_what_was_added_to_it(server: Server) -> None:
    """What was accepted from a client at the limit is larger by a few fields when it goes to the endpoint."""
    many = b"".join(b"x%d: 1\r\n" % index for index in range(98))
    text = b"GET / HTTP/1.1\r\nhost: a\r\n" + many + b"y: " + b"y" * 59000 + b"\r\n\r\n"
    ours = b"".join(b"z%d: %s\r\n" % (index, b"z" * 200) for index in range(70))
    assert server.connection.new_stream().ask(text, ours) == "ok"
    server.look()
    (named,) = server.fields[1]
    assert len(named) == 4 + 99 + 70 and named[102:104] == [("y", "y" * 59000), ("z0", "z" * 200)]


def test_text_opens_nothing(server: Server) -> None:
    """A request's head is put as a table; nothing else is sent before it."""
    stream = server.connection.new_stream()
    assert stream.put(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n") == "failed" and stream.id == 0
    server.look()
    assert not server.of(HeadersFrame)


# -- answers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("named", "flags", "text"),
    [
        (OK, ["END_STREAM"], b"HTTP/1.1 200 \r\ncontent-length: 0\r\n\r\n"),
        ([(":status", "204")], ["END_STREAM"], b"HTTP/1.1 204 \r\n\r\n"),
        ([(":status", "304"), ("content-length", "7")], ["END_STREAM"],
         b"HTTP/1.1 304 \r\ncontent-length: 7\r\n\r\n"),
        ([(":status", "404"), ("x", "1"), ("set-cookie", "a"), ("set-cookie", "b"), ("content-length", "0")],
         ["END_STREAM"],
         b"HTTP/1.1 404 \r\nx: 1\r\nset-cookie: a\r\nset-cookie: b\r\ncontent-length: 0\r\n\r\n"),
        ([*OK, ("grpc-status", "5")], ["END_STREAM"],
         b"HTTP/1.1 200 \r\ngrpc-status: 5\r\ncontent-length: 0\r\n\r\n"),
    ],
)  # fmt: skip
def test_answers_without_a_body(server: Server, named: Fields, flags: list[str], text: bytes) -> None:
    stream = server.request(GET)
    server.send(server.headers(1, named, *flags))
    assert stream.read() == (text, "end")
    stream.close()
    server.look()
    assert not server.of(RstStreamFrame) and server.connection.streams == 0


def test_an_answer_to_head(server: Server) -> None:
    stream = server.request(b"HEAD / HTTP/1.1\r\nhost: a\r\n\r\n")
    server.send(server.headers(1, [*OK, ("content-length", "99")], "END_STREAM"))
    assert stream.read() == (b"HTTP/1.1 200 \r\ncontent-length: 99\r\n\r\n", "end")


def test_an_answer_with_a_length(server: Server) -> None:
    stream = server.request(GET)
    server.send(server.headers(1, [*OK, ("content-length", "4")]), data(1, b"ab"), data(1, b"cd", "END_STREAM"))
    assert stream.read() == (b"HTTP/1.1 200 \r\ncontent-length: 4\r\n\r\nabcd", "end")


def test_an_answer_in_chunks_with_trailers(server: Server) -> None:
    stream = server.request(GET)
    interim = server.headers(1, [(":status", "103"), ("link", "x")])
    trailers = server.headers(1, [("grpc-status", "0"), ("content-encoding", "x")], "END_STREAM")
    server.send(interim, server.headers(1, OK), data(1, b"hello"), data(1, b""), trailers)
    text, end = stream.read()
    head = b"HTTP/1.1 103 \r\nlink: x\r\n\r\nHTTP/1.1 200 \r\ntransfer-encoding: chunked\r\n\r\n"
    assert end == "end" and text.startswith(head) and text.endswith(b"\r\n0\r\ngrpc-status: 0\r\n\r\n")
    body = inspect.BodyReader("chunked")
    body.feed(text[len(head) :])
    assert body.done and body.data_bytes == 5


@pytest.mark.parametrize("why", [("content-type", "application/grpc+proto"), ("trailer", "grpc-status")])
def test_trailers_are_not_lost_for_a_length(server: Server, why: tuple[str, str]) -> None:
    """HTTP/2 may have both; HTTP/1.1 has trailers in chunks alone, and the length is a note for HTTP/2 clients."""
    stream = server.request(GET)
    head = server.headers(1, [*OK, ("content-length", "5"), why])
    server.send(head, data(1, b"hello"), server.headers(1, [("grpc-status", "0")], "END_STREAM"))
    text, end = stream.read()
    assert end == "end" and b"content-length: 5\r\n" in text and text.endswith(b"\r\n0\r\ngrpc-status: 0\r\n\r\n")


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param([], id="no status"),
        pytest.param([("x", "1")], id="no status but a field"),
        pytest.param([(":status", "20")], id="two digits"),
        pytest.param([(":status", "20x")], id="no number"),
        pytest.param([(":status", "200"), (":status", "200")], id="two"),
        pytest.param([(":status", "101")], id="101"),
        pytest.param([(":status", "099")], id="no class of statuses"),
        pytest.param([*OK, (":path", "/")], id="pseudo-field of requests"),
        pytest.param([("x", "1"), *OK], id="pseudo-field after a field"),
        pytest.param([*OK, ("x", "1\r\ny: 2")], id="lines in a value"),
        pytest.param([*OK, ("x", "\0")], id="NUL in a value"),
        pytest.param([*OK, ("x\r\n", "1")], id="lines in a name"),
        pytest.param([*OK, ("X", "1")], id="upper case"),
        pytest.param([*OK, ("connection", "close")], id="connection"),
        pytest.param([*OK, ("transfer-encoding", "chunked")], id="transfer-encoding"),
        pytest.param([*OK, ("content-length", "1"), ("content-length", "1")], id="two lengths"),
        pytest.param([*OK, ("content-length", "x")], id="a length that is none"),
    ],
)
def test_malformed_answers_are_malformed_to_whoever_reads(server: Server, bad: Fields) -> None:
    """Not only cut, which whoever reads them tells the one from the other by."""
    stream = server.request(GET)
    server.send(server.headers(1, bad))
    if stream.fill() != "bad":
        with pytest.raises(inspect.Refused):
            inspect.response(stream.take())
    stream.close()
    other = server.request(GET)
    server.send(server.headers(other.id, OK, "END_STREAM"))
    assert other.read()[1] == "end"


def test_malformed_trailers_make_a_malformed_body(server: Server) -> None:
    stream = server.request(GET)
    server.send(server.headers(1, OK), data(1, b"hello"))
    server.send(server.headers(1, [("x", "1\r\n\r\n")], "END_STREAM"))
    text, end = stream.read()
    body = inspect.BodyReader("chunked")
    body.feed(text.partition(b"\r\n\r\n")[2])
    assert end == "bad" and body.data_bytes == 5 and not body.done


@pytest.mark.parametrize("sent", [b"12345678", b"123456"])
def test_a_body_of_another_length_fails(server: Server, sent: bytes) -> None:
    stream = server.request(GET)
    server.send(server.headers(1, [*OK, ("content-length", "7")]))
    server.send(data(1, sent, "END_STREAM"))
    text, end = stream.read()
    assert end == "failed" and len(text.partition(b"\r\n\r\n")[2]) <= 7 and server.reset(1) == PROTOCOL_ERROR


def test_too_many_interim_answers_are_malformed(server: Server) -> None:
    stream = server.request(GET)
    for _ in range(70):
        server.send(server.headers(1, [(":status", "103"), ("link", "x" * 1000)]))
    assert stream.waiting_bytes < 70_000 and server.reset(1) == PROTOCOL_ERROR


# -- the ends of streams ----------------------------------------------------------------------------------------------


def test_a_cut_answer_fails(server: Server) -> None:
    stream = server.request(GET)
    server.send(server.headers(1, OK), data(1, b"hello"))
    server.send(RstStreamFrame(1, CANCEL))
    text, end = stream.read()
    assert end == "failed" and not text.endswith(b"\r\n0\r\n\r\n")


def test_a_lost_connection_fails_every_answer(server: Server) -> None:
    streams = [server.request(GET) for _ in range(3)]
    server.connection.transport.end_input()
    spin()
    assert [stream.fill() for stream in streams] == ["failed"] * 3
    assert [stream.written > 0 for stream in streams] == [True] * 3 and server.connection.done
    assert not server.connection.has_room and server.connection.new_stream().ask(GET) == "failed"


def test_an_answer_before_the_request_is_whole(server: Server) -> None:
    """8.1: RST_STREAM NO_ERROR behind a whole answer is no failure of it."""
    stream = server.request(POST + b"5\r\nhello\r\n")
    server.send(server.headers(1, OK, "END_STREAM"), RstStreamFrame(1, NO_ERROR))
    assert stream.read()[0] == b"HTTP/1.1 200 \r\ncontent-length: 0\r\n\r\n"
    assert stream.put(b"5\r\nhello\r\n") == "failed"


def test_a_request_that_was_not_looked_at_was_ignored(server: Server) -> None:
    """8.7"""
    refused, body, gone, served = (server.request(text) for text in (GET, POST + b"1\r\na\r\n", GET, GET))
    assert not (refused.was_ignored or body.was_ignored or gone.was_ignored or served.was_ignored)
    server.send(RstStreamFrame(refused.id, REFUSED_STREAM), RstStreamFrame(body.id, REFUSED_STREAM))
    goaway = GoAwayFrame(0)
    goaway.last_stream_id = gone.id
    server.send(server.headers(gone.id, OK, "END_STREAM"), goaway)
    assert [stream.fill() for stream in (refused, body, served)] == ["failed"] * 3
    assert refused.was_ignored and body.was_ignored and served.was_ignored
    assert gone.read()[1] == "end" and not gone.was_ignored
    assert not server.connection.has_room
    spin()
    assert server.connection.done, "nothing is left on it"


def test_closing_early_cancels(server: Server) -> None:
    stream = server.request(GET)
    server.send(server.headers(1, OK), data(1, b"hello"))
    stream.close()
    server.look()
    assert server.reset(1) == CANCEL and stream.fill() == "failed" and stream.put(b"x") == "failed"
    server.send(data(1, b"late"))
    assert server.connection.streams == 0 and not server.connection.done


def test_an_unused_stream_may_be_closed(server: Server) -> None:
    stream = server.connection.new_stream()
    assert stream.is_alive
    stream.close()
    assert not stream.is_alive and stream.ask(GET) == "failed"
    server.look()
    assert not server.of(HeadersFrame) and not server.of(RstStreamFrame)


# -- limits of the endpoint -------------------------------------------------------------------------------------------


def test_no_more_streams_than_the_endpoint_allows(server: Server) -> None:
    server.send(SettingsFrame(0, {SettingsFrame.MAX_CONCURRENT_STREAMS: 2}))
    assert server.connection.has_room
    first, _ = server.request(GET), server.request(GET)
    assert not server.connection.has_room
    third = server.connection.new_stream()
    assert not third.is_alive and third.ask(GET) == "failed" and third.written == 0
    server.send(server.headers(first.id, OK, "END_STREAM"))
    assert server.connection.has_room
    server.request(GET)


def test_a_body_waits_for_the_window(server: Server) -> None:
    server.send(SettingsFrame(0, {SettingsFrame.INITIAL_WINDOW_SIZE: 10}))
    done: list[str] = []
    stream = server.connection.new_stream()
    body = b"1e\r\n" + b"x" * 30 + b"\r\n0\r\ny: 1\r\n\r\n"
    sender = gevent.spawn(lambda: done.append(stream.ask(POST + body)))
    server.look()
    assert server.data(1) == b"x" * 10 and not done
    server.send(window(1, 15))
    assert server.data(1) == b"x" * 25 and not done
    server.send(window(1, 5))
    assert server.data(1) == b"x" * 30
    server.send(window(1, 5))
    assert done == ["ok"] and server.fields[1][1:] == [[("y", "1")]] and server.ended(1)
    sender.join()


def test_what_waits_is_what_was_sent() -> None:
    """However small the pieces are."""
    server = Server()
    stream = server.request(GET)
    head = server.headers(1, OK)
    server.send(head)
    assert stream.fill() != "end" and stream.take()
    sent = b""
    for size in [1] * 20 + [7] * 60 + [200] * 30 + [16384] * 10 + [1] * 5:
        piece = bytes([97 + len(sent) % 26]) * size
        server.connection.transport.feed(data(1, piece).serialize())
        sent += piece
    server.look()
    assert stream.waiting_bytes == len(sent)
    server.send(data(1, b"more"), data(1, b"", "END_STREAM"))
    chunks, end = stream.read()
    assert end == "end" and b"".join(unchunked(chunks)) == sent + b"more"


def unchunked(chunks: bytes) -> Iterator[bytes]:
    while chunks:
        size, _, chunks = chunks.partition(b"\r\n")
        yield chunks[: int(size, 16)]
        chunks = chunks[int(size, 16) + 2 :]


def test_the_window_of_a_stream_that_is_read_is_opened_again() -> None:
    """Exactly what came in DATA is credited, whatever the text around it."""
    server = Server()
    stream = server.request(GET)
    server.send(server.headers(1, OK))
    sent = 0
    for _ in range(600):
        server.send(data(1, b"x" * 16384))
        sent += 16384
        gevent.spawn(stream.fill).join()
        stream.take()
    credit = {0: 0, 1: 0}
    for frame in server.frames:
        if isinstance(frame, WindowUpdateFrame):
            credit[frame.stream_id] += frame.window_increment
    first = 16777216 - 65535
    assert sent - 1048576 // 2 - 16384 <= credit[1] <= sent
    assert credit[0] - first <= sent
    server.send(raw(6, 0, 0, b"12345678"))
    assert not server.connection.fault
