"""Extended CONNECT (RFC 8441): a WebSocket on a stream of HTTP/2, from clients and towards endpoints."""

import pytest
from hyperframe.frame import SettingsFrame

from tests.wire.http2_rig import (
    CANCEL,
    NO_ERROR,
    PREFACE,
    PROTOCOL_ERROR,
    SETTINGS,
    Client,
    Fields,
    Server,
    data,
    raw,
)

ENABLE_CONNECT_PROTOCOL = 8
FIRST_LINES = b"GET /chat?x=1 HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
SWITCHED = b"HTTP/1.1 200 OK\r\n\r\n"  # a 101, as it is told to such a client


@pytest.fixture(params=["whole", "byte by byte"])
def client(request: pytest.FixtureRequest) -> Client:
    made = Client(request.param == "whole")
    made.answer = None
    return made


def connect(*more: tuple[str, str], without: str = "", **changed: str) -> Fields:
    named = {"method": "CONNECT", "protocol": "websocket", "scheme": "http", "path": "/chat?x=1", "authority": "a"}
    kept = [(f":{name}", value) for name, value in (named | changed).items() if name != without]
    return [*kept, *more]


def granted(client: Client, *more: tuple[str, str]) -> None:
    client.send(client.headers(1, connect(*more)))
    (stream,) = client.streams
    assert stream.answer(SWITCHED) == "ok"
    client.look()


# -- from clients -----------------------------------------------------------------------------------------------------


def test_clients_are_told_that_they_may() -> None:
    client = Client(greet=False)
    client.look()
    (first,) = client.of(SettingsFrame)
    assert first.settings[ENABLE_CONNECT_PROTOCOL] == 1


def test_it_reads_as_the_upgrade_that_it_stands_for(client: Client) -> None:
    client.send(client.headers(1, connect(("sec-websocket-version", "13"), ("cookie", "a"), ("cookie", "b"))))
    ((head, _),) = client.requests
    assert head == FIRST_LINES + b"sec-websocket-version: 13\r\ncookie: a; b\r\n\r\n"


@pytest.mark.parametrize("name", ["sec-websocket-key", "sec-websocket-accept"])
def test_a_handshake_that_HTTP_2_does_not_have_is_left_out(client: Client, name: str) -> None:
    client.send(client.headers(1, connect((name, "dGhlIHNhbXBsZSBub25jZQ=="))))
    assert client.requests[0][0] == FIRST_LINES + b"\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(connect(method="GET"), id="another method"),
        pytest.param(connect(method="CONNEC"), id="a method that is nearly it"),
        pytest.param(connect(method="connect"), id="in lower case"),
        pytest.param(connect(without="path"), id="no :path"),
        pytest.param(connect(without="scheme"), id="no :scheme"),
        pytest.param(connect(without="authority"), id="no :authority"),
        pytest.param(connect(("host", "a"), without="authority"), id="Host alone"),
        pytest.param(connect(without="method"), id="no :method"),
        pytest.param(connect(without="protocol"), id="no :protocol"),
        pytest.param(connect(protocol=""), id="an empty :protocol"),
        pytest.param(connect(protocol="web socket"), id="a :protocol that is no token"),
        pytest.param([*connect(), (":protocol", "websocket")], id="two of them"),
        pytest.param([*connect(without="protocol"), ("x", "y"), (":protocol", "websocket")], id="behind a field"),
        pytest.param(connect(path="chat"), id="a path that is none"),
        pytest.param(connect(path="*"), id="all of the server"),
        pytest.param(connect(("content-length", "0")), id="a content-length"),
        pytest.param(connect(("content-length", "5")), id="a body"),
        pytest.param(connect(("upgrade", "websocket")), id="upgrade"),
        pytest.param(connect(("connection", "upgrade")), id="connection"),
        pytest.param(connect(("transfer-encoding", "chunked")), id="chunks"),
    ],
)
def test_what_is_none_reaches_nobody(client: Client, sent: Fields) -> None:
    client.send(client.headers(1, sent))
    assert client.requests == [] and client.reset(1) == PROTOCOL_ERROR
    client.answer = b"HTTP/1.1 204 No Content\r\n\r\n"
    assert client.lives()


def test_one_before_our_settings_were_read_is_none_the_less_served() -> None:
    client = Client(greet=False)
    client.answer = None
    client.send(PREFACE, SettingsFrame(0), client.headers(1, connect()))
    assert client.requests[0][0] == FIRST_LINES + b"\r\n"


def test_bytes_both_ways_and_their_ends(client: Client) -> None:
    granted(client)
    (stream,) = client.streams
    assert client.fields[1] == [[(":status", "200")]]
    client.send(data(1, b"0\r\n\r\n"), data(1, b"forth"))
    got = b""
    while len(got) < 10:
        stream.fill()
        got += stream.take()
    assert got == b"0\r\n\r\nforth"
    assert stream.put(b"HTTP/1.1 200 OK\r\n\r\n") == "ok" and stream.put(b"back") == "ok"
    client.send(data(1, b"", "END_STREAM"))
    assert stream.fill() == "end" and not client.ended(1)
    assert stream.put(b"!") == "ok"
    stream.finish()
    client.look()
    assert client.data(1) == b"HTTP/1.1 200 OK\r\n\r\nback!" and client.ended(1) and client.reset(1) is None


def test_the_answers_end_leaves_the_other_way_open(client: Client) -> None:
    granted(client)
    (stream,) = client.streams
    stream.finish()
    client.look()
    assert client.ended(1) and client.reset(1) is None
    client.send(data(1, b"still"))
    assert stream.fill() == 5 and stream.take() == b"still"


def test_a_refusal_is_an_answer_like_any(client: Client) -> None:
    client.send(client.headers(1, connect()))
    assert client.streams[0].answer(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno") == "ok"
    client.look()
    assert client.fields[1] == [[(":status", "403"), ("content-length", "2")]]
    assert client.data(1) == b"no" and client.ended(1)
    client.held.set()
    client.look()
    assert client.reset(1) == NO_ERROR


def test_no_answer_of_our_own_grants_it(client: Client) -> None:
    client.send(client.headers(1, connect()))
    assert client.streams[0].put(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n") == "failed"
    assert 1 not in client.fields


def test_trailers_end_it(client: Client) -> None:
    """RFC 9113 8.5: DATA only."""
    granted(client)
    client.send(client.headers(1, [("x", "y")], "END_STREAM"))
    assert client.reset(1) == PROTOCOL_ERROR


def test_one_that_is_closed_with_our_end_unsent_ends_in_order(client: Client) -> None:
    granted(client)
    client.streams[0].close()
    client.look()
    assert client.ended(1) and client.reset(1) == NO_ERROR


# -- towards endpoints ------------------------------------------------------------------------------------------------

ASKED = (
    b"GET /chat HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n\r\n"
)


@pytest.mark.parametrize(
    ("settings", "said"),
    [({ENABLE_CONNECT_PROTOCOL: 1}, "ready"), ({ENABLE_CONNECT_PROTOCOL: 0}, "end"), ({}, "end")],
)
def test_an_endpoint_says_whether_it_takes_them(settings: dict[int, int], said: str) -> None:
    server = Server(greet=False)
    assert server.connection.takes_extended(0.01) == "timed out"
    server.send(SettingsFrame(0, settings=settings), raw(SETTINGS, 1, 0))
    assert server.connection.takes_extended(0.01) == said


def test_what_an_endpoint_is_sent() -> None:
    server = Server()
    stream = server.connection.new_stream()
    stream.extend()
    assert stream.ask(ASKED) == "ok"
    server.look()
    assert server.fields[1] == [
        [
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            (":scheme", "http"),
            (":authority", "a"),
            (":path", "/chat"),
            ("sec-websocket-version", "13"),
        ]
    ]
    assert not server.ended(1)


def test_an_endpoint_grants_it() -> None:
    server = Server()
    stream = server.connection.new_stream()
    stream.extend()
    stream.ask(ASKED)
    server.send(server.headers(1, [(":status", "200"), ("content-length", "7"), ("x", "y")]), data(1, b"\x81\x02hi"))
    assert isinstance(stream.fill(), int)
    head, _, rest = stream.take().partition(b"\r\n\r\n")
    assert head == b"HTTP/1.1 200 \r\nx: y"
    if not rest:
        assert stream.fill() == 4
        rest = stream.take()
    assert rest == b"\x81\x02hi"
    assert stream.put(b"mine") == "ok"
    stream.finish()
    server.send(data(1, b"", "END_STREAM"))
    assert stream.fill() == "end"
    server.look()
    assert server.data(1) == b"mine" and server.ended(1) and server.reset(1) is None


def test_an_endpoint_refuses_it() -> None:
    server = Server()
    stream = server.connection.new_stream()
    stream.extend()
    stream.ask(ASKED)
    server.send(server.headers(1, [(":status", "404"), ("content-length", "2")]), data(1, b"no", "END_STREAM"))
    text, end = stream.read()
    assert (text, end) == (b"HTTP/1.1 404 \r\ncontent-length: 2\r\n\r\nno", "end")
    stream.close()
    server.look()
    assert server.reset(1) == CANCEL
