"""WebSocket to endpoints that are sent HTTP/2 (RFC 8441), from clients of either version."""

import contextlib
from collections.abc import Iterator

import pytest

from tests.hbone.stream import Stream
from tests.integration.captured import Captured, captured, h2_app
from tests.integration.http_rig import Client, Scripted, unique
from tests.integration.test_endpoints_http2 import h2_client
from tests.integration.test_websockets import (
    EXTENDED,
    KEY,
    accept_of,
    connect,
    exactly,
    nothing_is_left,
    opened,
    upgrade,
)


def granting(stream: Stream, _: Scripted) -> None:
    """The same, of extended CONNECTs."""
    stream.connection.respond(stream, [(":status", "200"), ("x", "y")])
    with contextlib.suppress(OSError):
        stream.sendall(b"hi")
        while data := stream.recv(1 << 16):
            stream.sendall(data[::-1])
        stream.sendall(b"bye")
        stream.finish()


@pytest.fixture(scope="module", params=[False, True], ids=["tcp", "hbone"])
def new(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Captured]:
    """Its endpoint is sent HTTP/2."""
    made = tmp_path_factory.mktemp("ws2")
    with captured(made, 1, hbone=request.param, port_name="http2", consecutive5xxErrors=1) as one:
        yield one


def test_to_an_endpoint_of_HTTP_2(new: Captured) -> None:
    member, path = new.members[0], unique()
    member.play(h2_app(granting, EXTENDED))
    with Client(new.replica.port) as client:
        client.request("web", path, *upgrade(), "sec-websocket-protocol: chat")
        head = client.head()
        assert head.status == 101 and head["upgrade"] == "websocket" and head["connection"].lower() == "upgrade"
        assert head["sec-websocket-accept"] == accept_of(KEY) and head["x"] == "y"
        assert client.exactly(2) == b"hi"
        for index in range(20):
            client.send(b"%06d" % index)
            assert client.exactly(6) == (b"%06d" % index)[::-1]
        client.finish()
        assert client.rest() == b"bye"
    (stream,) = member.connections[-1].streams.values()
    assert stream.headers | dict(connect(path)) == stream.headers
    assert stream.headers["sec-websocket-protocol"] == "chat"
    assert not {"sec-websocket-key", "upgrade", "connection"} & stream.headers.keys()
    line = new.line(path)
    assert (line["method"], line["status"], line["received"], line["sent"]) == ("GET", "101", "120", "125")


def test_HTTP_2_at_both_ends(new: Captured) -> None:
    member, path = new.members[0], unique()
    member.play(h2_app(granting, EXTENDED))
    with contextlib.closing(h2_client(new)) as client:
        stream = opened(client, path)
        assert exactly(stream, 2) == b"hi"
        stream.sendall(b"abc")
        assert exactly(stream, 3) == b"cba"
        stream.finish()
        assert exactly(stream, 3) == b"bye" and stream.recv(1) == b"" and stream.reset_code is None
    assert new.line(path)["status"] == "101"


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/2"])
def test_an_endpoint_that_takes_none_is_not_blamed(new: Captured, version: str) -> None:
    asked: list[str] = []

    def serve(stream: Stream, _: Scripted) -> None:
        asked.append(stream.headers[":method"])
        stream.connection.respond(stream, [(":status", "200")], end=True)

    member, path = new.members[0], unique()
    member.play(h2_app(serve))
    if version == "HTTP/1.1":
        with Client(new.replica.port) as client:
            head, body = client.ask("web", path, *upgrade())
            assert (head.status, body) == (501, b"upgrade failed: the endpoint takes no WebSocket over HTTP/2")
            assert client.ask("web", "/")[0].status == 200  # and the connection goes on
    else:
        with contextlib.closing(h2_client(new)) as other:
            assert other.request(connect(path)).answered()[":status"] == "501"
            assert other.request([*connect("/")[2:5], (":method", "GET")], end=True).answered()[":status"] == "200"
    assert asked == ["GET"]
    assert "takes_no_WebSocket" in new.line(path)["details"]
    assert new.row(member)["ejected_left_ms"] <= 0


def test_an_endpoint_of_HTTP_2_refuses(new: Captured) -> None:
    def refuse(stream: Stream, _: Scripted) -> None:
        stream.connection.respond(stream, [(":status", "403"), ("content-length", "2")])
        stream.sendall(b"no")
        stream.finish()

    new.members[0].play(h2_app(refuse, EXTENDED))
    with Client(new.replica.port) as client:
        head, body = client.ask("web", "/", *upgrade())
        assert (head.status, body) == (403, b"no") and "sec-websocket-accept" not in head
        assert client.ask("web", "/", *upgrade())[0].status == 403


@pytest.mark.parametrize("method", ["POST", "OPTIONS", "get"])
def test_with_another_method_it_is_none(new: Captured, method: str) -> None:
    """In an extended CONNECT the method would be lost that access rules have gone by."""
    asked: list[str] = []

    def serve(stream: Stream, _: Scripted) -> None:
        asked.append(stream.headers[":method"])
        stream.connection.respond(stream, [(":status", "200")], end=True)

    new.members[0].play(h2_app(serve, EXTENDED))
    with Client(new.replica.port) as client:
        assert client.ask("web", "/", *upgrade(), method=method)[0].status == 200
    assert asked == [method]


@pytest.mark.parametrize("key", ["", "x", "dGhl", KEY + "\r\nsec-websocket-key: " + KEY])
def test_a_key_that_nobody_could_answer(new: Captured, key: str) -> None:
    member = new.members[0]
    member.play(h2_app(granting, EXTENDED))
    member.connections.clear()
    with Client(new.replica.port) as client:
        assert client.ask("web", "/", *upgrade(key))[0].status == 400
    assert not any(connection.streams for connection in member.connections)


def test_a_reset_of_the_endpoints_stream_is_one_of_the_clients(new: Captured) -> None:
    def reset(stream: Stream, _: Scripted) -> None:
        stream.connection.respond(stream, [(":status", "200")])
        stream.cancel()

    new.members[0].play(h2_app(reset, EXTENDED))
    with Client(new.replica.port) as client:
        client.request("web", "/", *upgrade())
        assert client.head().status == 101
        with pytest.raises(ConnectionResetError):
            client.rest()


def test_nothing_is_left_of_many_to_an_endpoint_of_HTTP_2(new: Captured) -> None:
    new.members[0].play(h2_app(granting, EXTENDED))
    nothing_is_left(new)
