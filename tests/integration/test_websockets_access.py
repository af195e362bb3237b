"""Access rules stand before WebSockets of HTTP/2, inside of tunnels, as before any request: an extended CONNECT is seen
as the GET with `upgrade` that it stands for, once, and reaches no endpoint where a rule says no."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.hbone.http2 import Connection
from tests.integration.captured import h2_app
from tests.integration.hbone_rig import HboneBench, Served, h2_client, hbone_bench
from tests.integration.http_rig import unique
from tests.integration.test_access import DENIED, in_force, policy
from tests.integration.test_websockets import (
    ENABLE_CONNECT_PROTOCOL,
    EXTENDED,
    accept_of,
    connect,
    exactly,
    switching,
)

Json = dict[str, Any]


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HboneBench]:
    with hbone_bench(tmp_path_factory.mktemp("ws"), Served("web"), Served("grpc", port=5000, port_name="grpc")) as it:
        yield it


@pytest.fixture
def client(proxy: HboneBench) -> Iterator[Connection]:
    with contextlib.closing(h2_client(proxy.tunnel("web"))) as made:
        yield made


def to(**operation: list[str]) -> Json:
    return {"to": [{"operation": operation}]}


def when(key: str, *values: str) -> Json:
    return {"when": [{"key": key, "values": list(values)}]}


DENY = [
    pytest.param(to(paths=["/admin*"]), {"path": "/admin/x"}, id="path"),
    pytest.param(to(paths=["/admin*"]), {"path": "/x/../admin"}, id="a path that becomes it"),
    pytest.param(to(paths=["/admin*"]), {"path": "/%61dmin"}, id="a path in disguise"),
    pytest.param(to(paths=["/admin*"]), {"path": "/admin?x=/"}, id="a path with a query"),
    pytest.param(to(methods=["GET"]), {}, id="method"),
    pytest.param(to(notMethods=["POST"]), {}, id="no other method"),
    pytest.param(to(hosts=["inner*"]), {"host": "INNER.example:1"}, id="host"),
    pytest.param(to(notHosts=["web"]), {"host": "inner"}, id="no other host"),
    pytest.param(when("request.headers[upgrade]", "websocket"), {}, id="the protocol"),
    pytest.param(when("request.headers[X-A]", "b"), {"field": ("x-a", "b")}, id="a header"),
]


@pytest.mark.parametrize(("rule", "sent"), DENY)
def test_who_is_denied_reaches_no_endpoint(proxy: HboneBench, client: Connection, rule: Json, sent: Json) -> None:
    endpoint, path = proxy.play("web", switching()), unique(sent.get("path", "/chat") + "?")
    more = [sent["field"]] if "field" in sent else []
    with in_force(proxy, policy("web", rule, action="DENY")):
        stream = client.request(connect(path, *more, host=sent.get("host", "web")))
        assert stream.answered()[":status"] == "403"
        assert exactly(stream, len(DENIED)) == DENIED and stream.recv(1) == b""
        assert not endpoint.heads


@pytest.mark.parametrize("kind", [to(methods=["CONNECT"]), to(methods=["POST"]), to(paths=["/other"])])
def test_who_is_not_allowed_reaches_no_endpoint(proxy: HboneBench, client: Connection, kind: Json) -> None:
    endpoint = proxy.play("web", switching())
    with in_force(proxy, policy("web", kind)):
        assert client.request(connect("/chat")).answered()[":status"] == "403"
        assert not endpoint.heads


def test_who_is_allowed_gets_through_and_is_looked_at_once(proxy: HboneBench, client: Connection) -> None:
    endpoint, path = proxy.play("web", switching()), unique()
    with in_force(proxy, policy("web", to(methods=["GET"], paths=[f"{path}*"]))):
        stream = client.request(connect(path))
        assert stream.answered()[":status"] == "200" and exactly(stream, 2) == b"hi"
        looks = b"GET /smuggled HTTP/1.1\r\nhost: web\r\n\r\n"
        stream.sendall(looks)  # bytes of the WebSocket, whatever they look like
        assert sorted(exactly(stream, len(looks))) == sorted(looks)
        stream.finish()
        assert exactly(stream, 3) == b"bye"
    assert [head.first for head in endpoint.heads] == [f"GET {path} HTTP/1.1"]
    assert len(proxy.replica.waypoint.lines(f" {path} ")) == 1


def test_bytes_that_come_before_the_answer_are_no_request(proxy: HboneBench, client: Connection) -> None:
    """Neither here nor at the endpoint, where they would be one if it refused."""
    endpoint = proxy.play("web", switching())
    with in_force(proxy, policy("web", to(paths=["/admin*"]), action="DENY")):
        stream = client.request(connect("/admin"))
        stream.sendall(b"GET /admin HTTP/1.1\r\nhost: web\r\n\r\n")
        assert stream.answered()[":status"] == "403"
        assert client.ping() < 5 and not endpoint.heads


def test_bytes_wait_until_the_endpoint_has_switched(proxy: HboneBench, client: Connection) -> None:
    seen: list[bytes] = []

    def refuse(peer: Any) -> None:
        peer.request()
        peer.sock.settimeout(0.3)
        with contextlib.suppress(TimeoutError):
            peer.more()
        seen.append(peer.buffer)
        peer.send(b"HTTP/1.1 403 No\r\ncontent-length: 0\r\n\r\n")

    proxy.play("web", refuse)
    stream = client.request(connect("/"))
    stream.sendall(b"GET /admin HTTP/1.1\r\nhost: web\r\n\r\n")
    assert stream.answered()[":status"] == "403"
    assert seen == [b""]


def test_to_a_captured_endpoint_of_HTTP_2(proxy: HboneBench) -> None:
    """h2c in a tunnel, at both ends; a gRPC port takes them like any."""

    def grant(stream: Any, *_: object) -> None:
        stream.connection.respond(stream, [(":status", "200")])
        while data := stream.recv(1 << 16):
            stream.sendall(data)
        stream.finish()

    proxy.play("grpc", h2_app(grant, EXTENDED))
    with contextlib.closing(h2_client(proxy.tunnel("grpc"))) as client:
        stream = client.request(connect("/"))
        assert stream.answered()[":status"] == "200"
        stream.sendall(b"abc")
        assert exactly(stream, 3) == b"abc"
        stream.finish()
        assert stream.recv(1) == b""


def test_the_tunnel_itself_takes_none(proxy: HboneBench) -> None:
    """HBONE is plain CONNECT: what is announced inside is not announced outside, and one that is sent there is none."""
    outer = proxy.tunnel("web").connection
    assert ENABLE_CONNECT_PROTOCOL not in outer.peer_settings
    stream = outer.request([*connect("/")[:3], (":authority", "10.96.0.1:8000"), (":path", "/")])
    with pytest.raises(ConnectionResetError):
        stream.answered()


def test_the_keys_of_these_tests_are_RFC_6455s() -> None:
    assert accept_of("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
