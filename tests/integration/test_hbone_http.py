"""HTTP inside of tunnels: messages, log lines, both versions and their translation, WebSocket, bursts, half closes."""

import contextlib
import re
import threading
import time
from collections.abc import Iterator

import pytest

from tests.hbone.stream import Stream
from tests.integration.hbone_rig import (
    H2,
    HboneBench,
    Served,
    h2_app,
    h2_client,
    h2_headers,
    h2_name,
    hbone_bench,
    serve_name,
)
from tests.integration.http_rig import OK, Peer, serve_ok, unique
from tests.rig import wait_until

MIB = 1 << 20


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HboneBench]:
    served = [
        Served("web"),
        Served("plain", hbone=False),
        Served("grpc", port=5000, port_name="grpc-api"),
        Served("grpcplain", port=5000, port_name="web", app_protocol="kubernetes.io/h2c", hbone=False),
        Served("any", port=7000, port_name="", count=1),
        Served("trio", count=3),
    ]
    with hbone_bench(tmp_path_factory.mktemp("http"), *served, http=True) as running:
        yield running


# -- HTTP/1.1 ---------------------------------------------------------------------------------------------------------


def test_what_the_app_and_the_client_get(proxy: HboneBench) -> None:
    endpoint = proxy.play("web", serve_ok)
    with proxy.client("web") as client:
        head, body = client.ask(
            "any.host", "/a?b", "x-forwarded-for: 1.2.3.4", "x-envoy-retry-on: 5xx", "user-agent: me"
        )
        again, _ = client.ask("any.host", "/b", "x-request-id: mine", "x-forwarded-proto: https")
    assert (head.status, body) == (200, b"ok")
    assert head["server"] == "waypointd" and head["x-envoy-upstream-service-time"].isdigit() and "date" in head
    first, second = endpoint.heads
    assert (first.first, first["host"], first["user-agent"]) == ("GET /a?b HTTP/1.1", "any.host", "me")
    assert first["x-forwarded-proto"] == "http" and first["x-forwarded-for"] == "1.2.3.4"
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", first["x-request-id"])
    assert not any(name.startswith(("x-envoy", "forwarded", "baggage", "traceparent")) for name in first)
    assert (second["x-request-id"], second["x-forwarded-proto"]) == ("mine", "https")
    assert again.status == 200


@pytest.mark.parametrize("name", ["web", "plain"])
def test_the_line_of_a_request(proxy: HboneBench, name: str) -> None:
    endpoint = proxy.play(name, serve_ok)
    path = unique()
    with proxy.client(name) as client:
        client.ask("ignored:1", path, "user-agent: me", "x-request-id: some-id", method="POST", body=b"12345")
    line = proxy.line(path)
    assert (line["method"], line["protocol"], line["status"], line["flags"]) == ("POST", "HTTP/1.1", "200", "-")
    assert (line["details"], line["received"], line["sent"]) == ("via_upstream", "5", "2")
    assert (line["agent"], line["id"]) == ("me", "some-id")
    assert line["authority"] == f"{proxy.host(name)}:8000"
    assert line["host"] == endpoint.address
    assert line["cluster"] == f"inbound-vip|8000|http|{proxy.host(name)}"
    assert line["downstream"] == proxy.authority(name)
    ip, _, port = line["remote"].rpartition(":")
    assert ip == proxy.ztunnel.pod and int(port) > 0
    assert re.fullmatch(r"127\.[0-9.]+:\d+", line["local"]), "where our connection to the endpoint or its ztunnel ends"


def test_the_remote_port_is_that_of_the_hbone_connection(proxy: HboneBench) -> None:
    proxy.play("web", serve_ok)
    paths = [unique(), unique()]
    remotes = []
    for path in paths:
        with proxy.client("web") as client:
            client.ask("any", path)
            remotes.append(client.stream.connection.sock.getsockname()[1])
    assert remotes[0] == remotes[1]
    assert [proxy.line(path)["remote"].rpartition(":")[2] for path in paths] == [str(remotes[0])] * 2


def test_H_I_an_empty_host_is_no_matter_in_a_tunnel(proxy: HboneBench) -> None:
    """Health checks send it (RFC 9112 3.2); what the tunnel was opened to says where it goes."""
    endpoint = proxy.play("web", serve_ok)
    with proxy.client("web") as client:
        client.send("GET /x HTTP/1.1\r\nhost:\r\n\r\n")
        assert client.answer()[1] == b"ok"
    assert endpoint.heads[-1]["host"] == ""


def test_a_tunnel_carries_many_requests_and_their_endpoints_take_turns(proxy: HboneBench) -> None:
    proxy.play("trio", serve_name)
    with proxy.client("trio") as client:
        names = [client.ask("any")[1] for _ in range(6)]
    assert names[:3] == names[3:] and len(set(names)) == 3
    destination = proxy.destination(proxy.services["trio"][0])
    assert len(destination.alive()) == 1, "one connection"
    authority = proxy.services["trio"][0].address
    assert {connect.authority for connect in destination.connects} == {authority}
    assert 'for="' + proxy.ztunnel.pod in destination.connects[-1].headers["forwarded"]
    assert destination.connects[-1].headers["forwarded"].endswith(f";host={proxy.host('trio')}")
    assert destination.connects[-1].identity.endswith("/sa/httpbin-waypoint")


def test_one_connection_and_a_stream_each_for_requests_at_once(proxy: HboneBench) -> None:
    gate = threading.Barrier(10, timeout=5)

    def handler(peer: Peer) -> None:
        peer.request()
        gate.wait()
        peer.send(OK)

    endpoint = proxy.play("web", handler)
    destination = proxy.destination(endpoint)
    destination.forget()
    clients = [proxy.client("web") for _ in range(10)]
    for client in clients:
        client.request("any")
    assert [client.answer()[0].status for client in clients] == [200] * 10
    for client in clients:
        client.close()
    assert len(destination.alive()) == 1
    assert len(destination.connects) >= 10


def test_pipelined_requests_are_answered_in_turn(proxy: HboneBench) -> None:
    def handler(peer: Peer) -> None:
        while True:
            head, _ = peer.request()
            path = head.first.split()[1].encode()
            peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(path), path))

    proxy.play("web", handler)
    requests = b"".join(b"GET /%d HTTP/1.1\r\nhost: a\r\n\r\n" % i for i in range(50))
    with proxy.client("web") as client:
        client.send(requests)
        assert [client.answer()[1] for _ in range(50)] == [b"/%d" % i for i in range(50)]


def test_a_request_and_end_stream_in_one_burst_are_answered_in_full(proxy: HboneBench) -> None:
    size = 3 * MIB

    def handler(peer: Peer) -> None:
        peer.request()
        time.sleep(0.05)
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + b"a" * size)

    for name in ("web", "plain"):
        proxy.play(name, handler)
        with proxy.client(name) as client:
            client.stream.send_and_finish(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            head, body = client.answer()
            assert (head.status, len(body)) == (200, size)
            assert client.ended()


def test_a_body_and_end_stream_that_come_before_the_endpoint_has_answered_its_connect(proxy: HboneBench) -> None:
    endpoint = proxy.play("web", serve_ok)
    destination = proxy.destination(endpoint)
    destination.drop()
    destination.hold.clear()
    try:
        with proxy.client("web") as client:
            body = b"b" * (200 << 10)
            client.request("any", method="POST", body=body)
            client.stream.finish()
            wait_until(lambda: destination.connects and not destination.connects[-1].status, 5, "a CONNECT that waits")
            time.sleep(0.1)
            destination.hold.set()
            assert client.answer()[1] == b"ok"
            assert endpoint.bodies[-1] == body
    finally:
        destination.hold.set()


def test_bodies_both_ways(proxy: HboneBench) -> None:
    def handler(peer: Peer) -> None:
        while True:
            _, body = peer.request()
            peer.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))

    for name in ("web", "plain"):
        proxy.play(name, handler)
        body = bytes(range(256)) * 20_000
        with proxy.client(name) as client:
            assert client.ask("any", method="POST", body=body)[1] == body
            assert client.ask("any", method="POST", body=body)[1] == body


def test_a_websocket(proxy: HboneBench) -> None:
    def handler(peer: Peer) -> None:
        head = peer.head()
        assert head["upgrade"] == "websocket" and head["connection"].lower() == "upgrade"
        peer.send("HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n\x81\x02hi")
        while peer.more():
            data, peer.buffer = peer.buffer, b""
            peer.send(data[::-1])
        peer.send(b"closed")

    for name in ("web", "plain"):
        proxy.play(name, handler)
        path = unique()
        with proxy.client(name) as client:
            client.request("any", path, "upgrade: websocket", "connection: upgrade", "sec-websocket-key: dGhl")
            assert client.head().status == 101
            assert client.exactly(4) == b"\x81\x02hi"
            for i in range(20):
                client.send(b"%06d" % i)
                assert client.exactly(6) == (b"%06d" % i)[::-1]
            client.finish()
            assert client.rest() == b"closed"
        line = proxy.line(path)
        assert (line["status"], line["received"], line["sent"]) == ("101", "120", "130")


def test_a_client_that_leaves(proxy: HboneBench) -> None:
    ended = threading.Event()
    asked: list[str] = []

    def handler(peer: Peer) -> None:
        asked.append(peer.head().first)
        with contextlib.suppress(OSError):
            peer.rest()
        ended.set()

    proxy.play("web", handler)
    for how in ("reset", "kill"):
        ended.clear()
        path = unique()
        ztunnel = proxy.mesh.ztunnel(proxy.address, pod=proxy.ztunnel.pod)
        stream = ztunnel.tunnel(proxy.authority("web"))
        stream.sendall(f"GET {path} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
        wait_until(lambda path=path: any(path in first for first in asked), 5, "it is with the app")
        if how == "reset":
            stream.cancel()
        else:
            ztunnel.close()
        assert ended.wait(3), how
        line = proxy.line(path)
        assert (line["status"], line["flags"], line["details"]) == ("0", "DC", "downstream_remote_disconnect")
        ztunnel.close()
    proxy.settled()


def test_local_answers(proxy: HboneBench) -> None:
    def cut(peer: Peer) -> None:
        peer.request()

    proxy.play("web", cut)
    path = unique()
    with proxy.client("web") as client:
        head, body = client.ask("any", path, method="POST", body=b"x")
        assert head.status == 503 and body.startswith(b"upstream connect error or disconnect/reset before headers")
        assert (head["content-type"], head["server"]) == ("text/plain", "waypointd")
    assert proxy.line(path)["flags"] == "UC"
    with proxy.client("web") as client:
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        assert client.answer()[0].status == 426
    with proxy.client("web") as client:
        client.send(b"nonsense\r\n\r\n")
        assert client.answer()[0].status == 400


def test_host_selects_nothing(proxy: HboneBench) -> None:
    proxy.play("plain", serve_name)
    proxy.play("web", serve_name)
    with proxy.client("plain") as client:
        assert client.ask("web.httpbin.svc.cluster.local:8000")[1] == b"plain-1"
        assert client.ask("unknown")[1] == b"plain-1"


# -- HTTP/2 -----------------------------------------------------------------------------------------------------------


def test_h2_to_an_http_port_becomes_http1(proxy: HboneBench) -> None:
    for name in ("web", "plain"):
        endpoint = proxy.play(name, serve_ok)
        inner = h2_client(proxy.tunnel(name))
        path = unique()
        streams = [inner.request(h2_headers(path, "some.host", "POST", x_mine="1")) for _ in range(3)]
        for stream in streams:
            stream.sendall(b"abc")
            stream.finish()
            assert stream.answered()[":status"] == "200"
            assert stream.recv(10) == b"ok" and stream.recv(10) == b""
        head = endpoint.heads[0]
        assert (head.first, head["host"], head["x-mine"]) == (f"POST {path} HTTP/1.1", "some.host", "1")
        assert endpoint.bodies == [b"abc"] * 3
        lines = wait_until(lambda path=path: len(proxy.waypoint.lines(path)) == 3 and proxy.waypoint.lines(path), 2)
        assert all(f'"POST {path} HTTP/2" 200 - via_upstream' in line for line in lines)
        inner.close()


@pytest.mark.parametrize("name", ["grpc", "grpcplain"])
def test_http1_to_an_h2_port_becomes_h2(proxy: HboneBench, name: str) -> None:
    endpoint = proxy.play(name, h2_app(h2_name))
    path = unique()
    with proxy.client(name) as client:
        for _ in range(3):
            head, body = client.ask("some.host", path, method="POST", body=b"xyz")
            assert (head.status, body, head["x-protocol"]) == (200, path.encode(), "h2")
    assert endpoint.peers, "the app was asked"


@pytest.mark.parametrize("name", ["grpc", "grpcplain"])
def test_h2_to_an_h2_port_stays_h2_trailers_and_all(proxy: HboneBench, name: str) -> None:
    seen = []

    def serve(stream: Stream) -> None:
        seen.append(stream.headers)
        while data := stream.recv(1 << 16):
            if not stream.connection.streams[stream.number].trailers and len(data) == 3:
                stream.connection.respond(stream, [(":status", "200"), ("content-type", "application/grpc")])
            stream.sendall(data)
        stream.finish([("grpc-status", "5"), ("grpc-message", "none")])

    proxy.play(name, h2_app(serve))
    inner = h2_client(proxy.tunnel(name))
    path = unique()
    stream = inner.request(h2_headers(path, "some.host", "POST", te="trailers", grpc_timeout="5S"))
    stream.sendall(b"one")
    assert stream.answered()[":status"] == "200", "before the request ends"
    assert stream.recv(10) == b"one"
    stream.sendall(b"twoo")
    assert stream.recv(10) == b"twoo"
    stream.finish()
    assert stream.recv(10) == b""
    assert stream.trailers == {"grpc-status": "5", "grpc-message": "none"}
    assert (seen[0]["te"], seen[0]["grpc-timeout"], seen[0][":authority"]) == ("trailers", "5S", "some.host")
    inner.close()
    assert proxy.line(path)["protocol"] == "HTTP/2"


def test_an_undeclared_port_gets_what_the_client_speaks(proxy: HboneBench) -> None:
    proxy.play("any", serve_ok)
    with proxy.client("any") as client:
        assert client.ask("a")[1] == b"ok"
    proxy.play("any", h2_app(h2_name))
    inner = h2_client(proxy.tunnel("any"))
    stream = inner.request(h2_headers("/sniffed"), end=True)
    assert stream.answered()["x-protocol"] == "h2"
    assert stream.recv(100) == b"/sniffed"
    inner.close()


def test_a_cancelled_h2_stream_cancels_at_the_app(proxy: HboneBench) -> None:
    there, gone = threading.Event(), threading.Event()

    def serve(stream: Stream) -> None:
        there.set()
        with contextlib.suppress(OSError):
            while stream.recv(100):
                pass
        if stream.reset_code is not None:
            gone.set()

    proxy.play("grpc", h2_app(serve))
    inner = h2_client(proxy.tunnel("grpc"))
    path = unique()
    stream, other = inner.request(h2_headers(path)), inner.request(h2_headers("/other"))
    assert there.wait(3)
    stream.cancel()
    assert gone.wait(3)
    assert proxy.line(path)["flags"] == "DC"
    assert other.reset_code is None
    inner.close()


def test_h2c_on_the_plain_listener(proxy: HboneBench) -> None:
    import socket

    proxy.play("plain", serve_name)
    with socket.create_connection(("127.0.0.1", proxy.http)) as sock:
        inner = h2_client(sock)
        streams = [inner.request(h2_headers(f"/{i}", "plain"), end=True) for i in range(30)]
        assert [stream.answered()[":status"] for stream in streams] == ["200"] * 30
        assert streams[0].recv(100) == b"plain-1"
        inner.close()
    assert H2[3] == 1000
