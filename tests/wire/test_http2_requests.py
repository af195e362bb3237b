"""Requests of HTTP/2 clients as HTTP/1.1 text (RFC 9113 8)."""

from typing import cast

import gevent
import pytest
from hyperframe.frame import DataFrame

from tests.instruments import inspect
from tests.wire.http2_rig import (
    GET,
    POST,
    PROTOCOL_ERROR,
    Client,
    Fields,
    Peer,
    continuation,
    data,
    raw,
)

FIRST_LINES = b"GET / HTTP/1.1\r\nhost: a\r\n"


@pytest.fixture(params=["whole", "byte by byte"])
def client(request: pytest.FixtureRequest) -> Client:
    return Client(request.param == "whole")


def fields(*more: tuple[str, str], method: str = "GET", path: str = "/", authority: str | None = "a") -> Fields:
    named = [(":method", method), (":scheme", "http"), (":path", path)]
    return [*named, *([(":authority", authority)] if authority is not None else []), *more]


# -- heads ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        (fields(), FIRST_LINES),
        (fields(path="/a/b?c=d%20e"), b"GET /a/b?c=d%20e HTTP/1.1\r\nhost: a\r\n"),
        (fields(("x", "1"), ("y", "")), FIRST_LINES + b"x: 1\r\ny: \r\n"),
        (fields(("host", "b")), FIRST_LINES),
        (fields(("host", "b"), authority=None), b"GET / HTTP/1.1\r\nhost: b\r\n"),
        (fields(authority="a:8000"), b"GET / HTTP/1.1\r\nhost: a:8000\r\n"),
        (fields(method="OPTIONS", path="*"), b"OPTIONS * HTTP/1.1\r\nhost: a\r\n"),
        (fields(method="PURGE"), b"PURGE / HTTP/1.1\r\nhost: a\r\n"),
        (fields(("te", "trailers")), FIRST_LINES + b"te: trailers\r\n"),
        (fields(("grpc-timeout", "1S")), FIRST_LINES + b"grpc-timeout: 1S\r\n"),
        (fields(("content-length", "0")), FIRST_LINES + b"content-length: 0\r\n"),
        (fields(("x", "a\tb \u00ff")), FIRST_LINES + b"x: a\tb \xc3\xbf\r\n"),
    ],
)
def test_heads(client: Client, sent: Fields, text: bytes) -> None:
    client.send(client.headers(1, sent, "END_STREAM"))
    assert client.requests == [(text + b"\r\n", "end")]
    assert client.fields[1] == [[(":status", "200"), ("content-length", "2")]]
    assert client.data(1) == b"ok" and client.ended(1)


@pytest.mark.parametrize(
    ("crumbs", "text"),
    [
        ([("cookie", "a=1")], b"cookie: a=1\r\n"),
        ([("cookie", "a=1"), ("cookie", "b=2"), ("cookie", "c")], b"cookie: a=1; b=2; c\r\n"),
        ([("cookie", "a=1"), ("x", "1"), ("cookie", "b=2")], b"x: 1\r\ncookie: a=1; b=2\r\n"),
        (
            [("cookie", "a"), ("x", "1"), ("cookie", "b"), ("y", "2"), ("z", ""), ("cookie", "c"), ("cookie", "")],
            b"x: 1\r\ny: 2\r\nz: \r\ncookie: a; b; c; \r\n",
        ),
    ],
)
def test_cookie_crumbs_are_joined(client: Client, crumbs: Fields, text: bytes) -> None:
    """8.2.3, wherever they came."""
    client.send(client.headers(1, [*GET, *crumbs], "END_STREAM"))
    assert client.requests == [(FIRST_LINES + text + b"\r\n", "end")]


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param([(":method", "GET"), (":scheme", "http")], id="no path"),
        pytest.param([(":scheme", "http"), (":path", "/")], id="no method"),
        pytest.param([(":method", "GET"), (":path", "/"), (":authority", "a")], id="no scheme"),
        pytest.param([*GET, (":path", "/b")], id="path twice"),
        pytest.param([*GET, (":method", "PUT")], id="method twice"),
        pytest.param([*GET, (":authority", "b")], id="authority twice"),
        pytest.param([*GET, (":status", "200")], id="pseudo-field of responses"),
        pytest.param([*GET, (":protocol", "websocket")], id="extended CONNECT, not offered"),
        pytest.param([*GET, (":x", "1")], id="unknown pseudo-field"),
        pytest.param([*GET[:3], ("x", "1"), GET[3]], id="pseudo-field after a field"),
        pytest.param(fields(authority=None), id="neither authority nor host"),
        pytest.param(fields(path=""), id="empty path"),
        pytest.param(fields(path="a"), id="path without slash"),
        pytest.param(fields(path="*"), id="star without OPTIONS"),
        pytest.param(fields(path="/a b"), id="blank in the path"),
        pytest.param(fields(path="/ HTTP/1.1\r\nx: y"), id="lines in the path"),
        pytest.param(fields(path="http://b/"), id="absolute path"),
        pytest.param(
            [(":method", "GET"), (":scheme", "x"), (":authority", "a"), (":path", "http://b/")],
            id="absolute path of another scheme",
        ),
        pytest.param(fields(method="GET /x HTTP/1.1\r\nx: y\r\n\r\nGET"), id="lines in the method"),
        pytest.param(fields(method="G T"), id="blank in the method"),
        pytest.param(fields(method=""), id="empty method"),
        pytest.param(fields(authority="a\r\nx: y"), id="lines in the authority"),
        pytest.param(fields(authority="a b"), id="blank in the authority"),
        pytest.param([*GET, ("X", "1")], id="upper case"),
        pytest.param([*GET, ("x y", "1")], id="blank in a name"),
        pytest.param([*GET, ("x:y", "1")], id="colon in a name"),
        pytest.param([*GET, ("x\r\ny", "1")], id="lines in a name"),
        pytest.param([*GET, ("", "1")], id="empty name"),
        pytest.param([*GET, ("x", "1\r\ny: 2")], id="lines in a value"),
        pytest.param([*GET, ("x", "1\n")], id="LF in a value"),
        pytest.param([*GET, ("x", "1\r")], id="CR in a value"),
        pytest.param([*GET, ("x", "1\0")], id="NUL in a value"),
        pytest.param([*GET, ("x", " 1")], id="leading blank in a value"),
        pytest.param([*GET, ("x", "1 ")], id="trailing blank in a value"),
        pytest.param([*GET, ("cookie", "a\r\nb")], id="lines in a cookie"),
        pytest.param([*GET, ("connection", "close")], id="connection"),
        pytest.param([*GET, ("keep-alive", "1")], id="keep-alive"),
        pytest.param([*GET, ("proxy-connection", "close")], id="proxy-connection"),
        pytest.param([*GET, ("upgrade", "h2c")], id="upgrade"),
        pytest.param([*GET, ("transfer-encoding", "chunked")], id="transfer-encoding"),
        pytest.param([*GET, ("te", "gzip")], id="te other than trailers"),
        pytest.param([*GET, ("content-length", "1"), ("content-length", "2")], id="two content-lengths"),
        pytest.param([*GET, ("content-length", "x")], id="content-length that is no number"),
        pytest.param([*GET, ("content-length", "-1")], id="negative content-length"),
        pytest.param([*GET, ("content-length", "5")], id="content-length of a body that is not there"),
        pytest.param(
            [(":method", "CONNECT"), (":authority", "a"), (":path", "/"), (":scheme", "http")], id="CONNECT with a path"
        ),
        pytest.param([(":method", "CONNECT")], id="CONNECT to nowhere"),
    ],
)
def test_malformed_requests_are_reset_and_never_seen(client: Client, bad: Fields) -> None:
    """8.1.1: a stream error; the connection goes on."""
    client.send(client.headers(1, bad, "END_STREAM"))
    assert client.requests == [] and client.reset(1) == PROTOCOL_ERROR and not client.fields.get(1)
    assert client.lives()


def test_nothing_that_passes_is_two_lines() -> None:
    """Every octet in every part of a head: what the parser of HTTP/1.1 is given has the lines that were meant."""
    client = Client()
    stream = 1
    for octet in range(256):
        for at in range(5):
            parts = ["GET", "/p", "auth", "name", "value"]
            parts[at] = parts[at][:1] + chr(octet) + parts[at][1:]
            method, path, authority, name, value = (part.encode("latin-1") for part in parts)
            block = b"".join(
                b"\x00" + bytes([len(n)]) + n + bytes([len(v)]) + v
                for n, v in [
                    (b":method", method),
                    (b":scheme", b"http"),
                    (b":path", path),
                    (b":authority", authority),
                    (name, value),
                ]
            )
            client.requests.clear()
            client.send(raw(1, 5, stream, block))
            for text, _ in client.requests:
                assert text.count(b"\r\n") == text.count(b"\n") == text.count(b"\r") == 4, (octet, at)
                assert b"\0" not in text
                lines = [b"%s %s HTTP/1.1" % (method, path), b"host: " + authority, name + b": " + value, b"", b""]
                assert text.split(b"\r\n") == lines
            stream += 2
            if stream > 150:  # waste allowed
                client, stream = Client(), 1


@pytest.mark.parametrize(("scheme", "kept"), [("http", False), ("https", True), ("HTTPS", True), ("x", False)])
def test_the_scheme_is_kept(client: Client, scheme: str, kept: bool) -> None:
    """For endpoints over HTTP/2, which are told the same."""
    named = [(":method", "GET"), (":path", "/"), (":scheme", scheme), (":authority", "a")]
    client.send(client.headers(1, named, "END_STREAM"))
    assert [stream.https for stream in client.streams] == [kept]


def test_connect_is_left_to_the_relay_to_refuse(client: Client) -> None:
    client.send(client.headers(1, [(":method", "CONNECT"), (":authority", "a:1")]), data(1, b"x"))
    assert client.requests == [(b"CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n", "end")]


def test_the_largest_head_and_one_that_is_larger(client: Client) -> None:
    room = 61440 - len(FIRST_LINES + b"x: \r\ny: \r\n\r\n")
    client.send(*blocks(client, 1, [*GET, ("x", "1" * 40000), ("y", "2" * (room - 40000))]))
    ((text, _),) = client.requests
    assert len(text) == 61440 and inspect.request(text)["size"] == 61440
    client.send(*blocks(client, 3, [*GET, ("x", "1" * 40000), ("y", "2" * (room - 40000 + 1)), ("z", "3" * 9000)]))
    with pytest.raises(inspect.Refused) as refused:
        inspect.request(client.requests[1][0])
    assert refused.value.result == "too large" and len(client.requests[1][0]) < 71000
    assert client.lives()


def test_a_huge_target_is_too_large(client: Client) -> None:
    client.send(*blocks(client, 1, fields(path="/" + "x" * 62000)))
    with pytest.raises(inspect.Refused) as refused:
        inspect.request(client.requests[0][0])
    assert refused.value.result == "too large"


def test_more_than_a_hundred_fields_are_too_many(client: Client) -> None:
    client.send(*blocks(client, 1, [*GET, *((f"x{index}", "1") for index in range(100))]))
    with pytest.raises(inspect.Refused) as refused:
        inspect.request(client.requests[0][0])
    assert refused.value.result == "too many fields"


def blocks(peer: Peer, stream: int, named: Fields) -> list[bytes]:
    """A header block in as many frames as it takes."""
    block = peer.encoder.encode(list(named), huffman=False)
    pieces = [block[at : at + 16384] for at in range(0, len(block), 16384)]
    first = raw(1, 1 | (4 if len(pieces) == 1 else 0), stream, pieces[0])
    rest = [continuation(stream, piece, *(["END_HEADERS"] if piece is pieces[-1] else [])) for piece in pieces[1:]]
    return [first, *(frame.serialize() for frame in rest)]


# -- bodies -----------------------------------------------------------------------------------------------------------


def test_a_body_without_length_comes_in_chunks(client: Client) -> None:
    client.send(client.headers(1, POST), data(1, b"hello"), data(1, b"w" * 20, "END_STREAM"))
    head = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
    ((text, end),) = client.requests
    assert end == "end" and text.startswith(head)
    body = inspect.BodyReader("chunked")
    body.feed(text[len(head) :])
    assert body.done and body.data_bytes == 25 and text[len(head) :].endswith(b"\r\n0\r\n\r\n")
    if client.whole:
        assert text[len(head) :] == b"19\r\nhello" + b"w" * 20 + b"\r\n0\r\n\r\n"


def test_a_body_with_a_length_comes_as_it_is(client: Client) -> None:
    client.send(client.headers(1, [*POST, ("content-length", "7")]), data(1, b"abc"), data(1, b"defg", "END_STREAM"))
    assert client.requests == [(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 7\r\n\r\nabcdefg", "end")]


def test_padding_is_no_body(client: Client) -> None:
    padded = DataFrame(1, b"abc", pad_length=50)
    padded.flags |= {"PADDED", "END_STREAM"}
    client.send(client.headers(1, [*POST, ("content-length", "3")]), padded)
    assert client.requests[0][0].endswith(b"\r\n\r\nabc")


@pytest.mark.parametrize("ends", [("END_STREAM",), ()])
def test_a_body_without_bytes(client: Client, ends: tuple[str, ...]) -> None:
    client.send(client.headers(1, POST, *ends))
    if not ends:
        client.send(data(1, b"", "END_STREAM"))
    framing = b"" if ends else b"transfer-encoding: chunked\r\n\r\n0\r\n"
    assert client.requests == [(b"POST / HTTP/1.1\r\nhost: a\r\n" + framing + b"\r\n", "end")]


@pytest.mark.parametrize("sent", [b"12345678", b"123456"])
def test_a_body_of_another_length_than_it_says(client: Client, sent: bytes) -> None:
    """8.1.1"""
    client.send(client.headers(1, [*POST, ("content-length", "7")]))
    client.send(data(1, sent, "END_STREAM"))
    ((text, end),) = client.requests
    assert end == "failed" and client.reset(1) == PROTOCOL_ERROR and len(text.partition(b"\r\n\r\n")[2]) <= 7
    assert client.lives()


def test_trailers_come_behind_the_last_chunk(client: Client) -> None:
    named = [("x", "1"), ("grpc-status", "0"), ("y", "")]
    client.send(client.headers(1, POST), data(1, b"hello"), client.headers(1, named, "END_STREAM"))
    assert client.requests[0][0].endswith(b"\r\n0\r\nx: 1\r\ngrpc-status: 0\r\ny: \r\n\r\n")


def test_trailers_that_may_not_be_are_left_out(client: Client) -> None:
    """RFC 9110 6.5.1: what frames, routes or authenticates; the message goes on without."""
    named = [("host", "b"), ("x", "1"), ("authorization", "me"), ("x-forwarded-for", "9"), ("cookie", "a")]
    client.send(client.headers(1, POST), data(1, b"hello"), client.headers(1, named, "END_STREAM"))
    text, end = client.requests[0]
    assert end == "end" and text.endswith(b"\r\n0\r\nx: 1\r\n\r\n")


def test_H_L_trailers_of_a_body_with_a_length_are_no_part_of_it(client: Client) -> None:
    """They are kept beside it, for endpoints that take them."""
    head = client.headers(1, [*POST, ("content-length", "1")])
    client.send(head, data(1, b"a"), client.headers(1, [("x", "1")], "END_STREAM"))
    assert client.requests == [(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\na", "end")]


def test_H_L_trailers_are_no_part_of_a_body_that_stopped_short(client: Client) -> None:
    client.send(client.headers(1, [*POST, ("content-length", "9")]))
    client.send(data(1, b"a"), client.headers(1, [("x", "1")], "END_STREAM"))
    assert client.requests == [(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\na", "failed")]
    assert client.reset(1) == PROTOCOL_ERROR and client.lives()


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param([("x", "1\r\ny: 2")], id="lines in a value"),
        pytest.param([("X", "1")], id="upper case"),
        pytest.param([(":path", "/")], id="pseudo-field"),
        pytest.param([("transfer-encoding", "chunked")], id="transfer-encoding"),
        pytest.param([("connection", "x")], id="connection"),
    ],
)
def test_malformed_trailers_break_the_request(client: Client, bad: Fields) -> None:
    client.send(client.headers(1, POST), data(1, b"hello"))
    client.send(client.headers(1, bad, "END_STREAM"))
    ((text, end),) = client.requests
    assert end == "failed" and not text.endswith(b"\r\n\r\n") and client.reset(1) == PROTOCOL_ERROR
    assert client.lives()


def test_trailers_without_end_stream_are_malformed(client: Client) -> None:
    client.send(client.headers(1, POST), data(1, b"hello"))
    client.send(client.headers(1, [("x", "1")]))
    assert client.requests[0][1] == "failed" and client.reset(1) == PROTOCOL_ERROR


def test_a_request_whose_serving_fails_takes_nothing_else_with_it(capfd: pytest.CaptureFixture[str]) -> None:
    client = Client()
    client.answer = cast(bytes, 17)  # put() takes no number
    client.send(client.get(1))
    gevent.sleep(0.01)  # the hub would have raised it here
    assert client.reset(1) == 2 and client.connection.running == 0
    assert "TypeError" in capfd.readouterr().err
    assert client.lives()
