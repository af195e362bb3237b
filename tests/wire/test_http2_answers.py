"""Answers to HTTP/2 clients: HTTP/1.1, as text or as a table, as frames (RFC 9113 8)."""

import pytest
from hyperframe.frame import DataFrame, HeadersFrame, RstStreamFrame

from tests.wire.http2_rig import (
    INTERNAL_ERROR,
    NO_ERROR,
    OK,
    POST,
    Client,
    Fields,
    data,
    spin,
)


@pytest.fixture(params=["whole", "byte by byte", "as a table"])
def client(request: pytest.FixtureRequest) -> Client:
    """Answers are as an endpoint's, or our own."""
    return Client(request.param != "byte by byte", as_text=request.param != "as a table")


def fields(*more: tuple[str, str], method: str = "GET", path: str = "/", authority: str | None = "a") -> Fields:
    named = [(":method", method), (":scheme", "http"), (":path", path)]
    return [*named, *([(":authority", authority)] if authority is not None else []), *more]


# -- answers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "named", "content"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", [("content-length", "0")], None),
        (b"HTTP/1.1 204 No Content\r\n\r\n", [], None),
        (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", [("content-length", "9")], None),
        (b"HTTP/1.1 404 \r\ncontent-length: 1\r\n\r\nx", [("content-length", "1")], b"x"),
        (b"HTTP/1.1 599 Odd\r\nX-Mixed: Case\r\ncontent-length: 0\r\n\r\n", [("x-mixed", "Case"),
                                                                            ("content-length", "0")], None),
        (b"HTTP/1.1 200 OK\r\nConnection: close, x\r\nx: 1\r\nKeep-Alive: 1\r\nUpgrade: h2c\r\nProxy-Connection: y\r\n"
         b"TE: trailers\r\ncontent-length: 0\r\n\r\n", [("content-length", "0")], None),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", [], b""),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\nA\r\n0123456789\r\n"
         b"1\r\n!\r\n0\r\n\r\n", [], b"hello world0123456789!"),
        (b"HTTP/1.1 200 OK\r\nset-cookie: a\r\nset-cookie: b\r\ncontent-length: 0\r\n\r\n",
         [("set-cookie", "a"), ("set-cookie", "b"), ("content-length", "0")], None),
        (b"HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ngrpc-status: 5\r\ncontent-length: 0\r\n\r\n",
         [("content-type", "application/grpc"), ("grpc-status", "5")], None),
    ],
)  # fmt: skip
def test_answers(client: Client, answer: bytes, named: Fields, content: bytes | None) -> None:
    """`content` None: END_STREAM comes with the HEADERS."""
    client.answer = answer
    client.send(client.get(1))
    assert client.fields[1] == [[(":status", answer[9:12].decode()), *named]]
    assert client.ended(1) and client.data(1) == (content or b"")
    assert bool(client.of(DataFrame, 1)) == (content is not None)
    assert not client.of(RstStreamFrame)


def test_an_answer_to_head_has_no_body(client: Client) -> None:
    client.answer = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n"
    client.send(client.headers(1, fields(method="HEAD"), "END_STREAM"))
    assert client.fields[1] == [[(":status", "200"), ("content-length", "1000")]] and client.ended(1)
    assert not client.of(DataFrame)


def test_interim_answers_and_trailers(client: Client) -> None:
    client.answer = None
    client.send(client.headers(1, [*POST, ("expect", "100-continue")]))
    (stream,) = client.streams
    assert stream.put_two(b"HTTP/1.1 100 Continue\r\n\r\n", b"") == "ok"
    assert stream.put_two(b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n", b"") == "ok"
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    assert stream.put_two(head, b"3\r\nabc\r\n0\r\nx: 1\r\ny:\t2\t\r\n\r\n") == "ok"
    client.look()
    assert client.fields[1] == [
        [(":status", "100")], [(":status", "103"), ("link", "x")], OK, [("x", "1"), ("y", "2")],
    ]  # fmt: skip
    assert client.data(1) == b"abc" and client.ended(1)


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
def test_a_chunked_answer_may_be_put_in_any_pieces(step: int) -> None:
    client = Client()
    client.answer = None
    client.send(client.headers(1, POST))
    (stream,) = client.streams
    assert stream.put(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n") == "ok"
    body = b"5\r\nhello\r\n00a\r\n0123456789\r\n1\r\n!\r\n0\r\nx: 1\r\ngrpc-status: 13\r\n\r\n"
    for at in range(0, len(body), step):
        if at % 2:
            assert stream.put(body[at : at + step]) == "ok"
        else:
            assert stream.put_two(body[at : at + step // 2 + 1], body[at + step // 2 + 1 : at + step]) == "ok"
    client.look()
    assert client.data(1) == b"hello0123456789!" and client.ended(1)
    assert client.fields[1] == [OK, [("x", "1"), ("grpc-status", "13")]]


def test_an_answer_before_the_request_is_whole(client: Client) -> None:
    """8.1: then NO_ERROR; it is no error of the client's that it still sends."""
    client.answer = None
    client.send(client.headers(1, POST), data(1, b"hello"))
    (stream,) = client.streams
    assert stream.put(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok") == "ok"
    assert stream.fill() == "cancelled"
    stream.close()
    client.send(data(1, b"more"), data(1, b"", "END_STREAM"))
    assert client.data(1) == b"ok" and client.ended(1) and client.reset(1) == NO_ERROR
    assert client.lives()


@pytest.mark.parametrize("put", [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc"])
def test_an_answer_that_stops_short_is_reset(client: Client, put: bytes) -> None:
    client.answer = put
    client.send(client.get(1))
    assert client.reset(1) == INTERNAL_ERROR and not client.ended(1)
    assert client.lives()


def test_an_answer_that_is_no_http_is_not_sent(client: Client) -> None:
    client.answer = b"HTTP/1.1 200 OK\r\nx\r\n\r\n"
    client.send(client.get(1))
    assert client.reset(1) == INTERNAL_ERROR and 1 not in client.fields


def test_a_reset_is_told_and_an_end_is_not(client: Client) -> None:
    client.answer = None
    client.send(client.headers(1, POST))
    (stream,) = client.streams
    stream.listen()
    client.send(data(1, b"", "END_STREAM"))
    assert stream.events == []
    client.send(RstStreamFrame(1, 8))
    assert stream.events == ["reset"]
    assert stream.put(b"HTTP/1.1 200 OK\r\n\r\n") == "failed"


def test_a_reset_before_anybody_looked_is_not_served() -> None:
    client = Client()
    client.send(*(frame for stream in range(1, 100, 2) for frame in (client.get(stream), RstStreamFrame(stream, 8))))
    assert client.requests == [] and client.connection.running == 0 and client.connection.streams == 0
    assert client.lives()


def test_a_lost_connection_ends_its_requests(client: Client) -> None:
    client.send(client.headers(1, POST), data(1, b"hello"))
    client.connection.transport.end_input()
    spin()
    assert client.requests[0][1] == "failed" and client.connection.done and client.connection.running == 0
    assert isinstance(client.frames[0], object) and not [each for each in client.frames if type(each) is HeadersFrame]


def test_a_large_head_with_what_was_added_to_it(client: Client) -> None:
    """What was accepted from an endpoint at the limit is larger by a few fields when it goes to the client."""
    many = b"".join(b"x%d: 1\r\n" % index for index in range(98))
    ours = b"".join(b"z%d: %s\r\n" % (index, b"z" * 200) for index in range(70))
    client.answer = None
    client.send(client.get(1))
    (stream,) = client.streams
    head = b"HTTP/1.1 200 OK\r\n" + many + b"y: " + b"y" * 59000 + b"\r\ncontent-length: 0\r\n\r\n"
    assert stream.answer(head, ours) == "ok"
    client.held.set()
    client.look()
    (named,) = client.fields[1]
    assert named[99:102] == [("y", "y" * 59000), ("content-length", "0"), ("z0", "z" * 200)]
    assert len(named) == 1 + 100 + 70 and client.reset(1) is None and client.connection.streams == 0
