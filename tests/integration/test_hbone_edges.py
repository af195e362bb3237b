"""What peers seldom do: how tunnels end, padding, windows that change, peers that do not read."""

import contextlib
import socket
import time
from collections.abc import Iterator

import pytest
from h2.settings import SettingCodes

from tests.hbone.http2 import Connection
from tests.hbone.stream import Stream
from tests.integration.hbone_rig import HboneBench, Served, echo, h2_app, h2_client, h2_headers, hbone_bench, serve_name
from tests.integration.http_rig import OK, Peer, memory_kib, serve_ok, unique
from tests.patience import within
from tests.rig import steady, wait_until

MIB = 1 << 20


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HboneBench]:
    served = [
        Served("web"),
        Served("plain", hbone=False),
        Served("duo", count=2),
        Served("raw", port=9000, port_name="tcp"),
        Served("rawplain", port=9000, port_name="tcp", hbone=False),
        Served("grpc", port=5000, port_name="grpc"),
    ]
    with hbone_bench(tmp_path_factory.mktemp("edges"), *served) as running:
        yield running


# -- how tunnels end --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["web", "plain"])
def test_a_client_that_is_done_gets_a_clean_end(proxy: HboneBench, name: str) -> None:
    """END_STREAM for END_STREAM, not a reset."""
    proxy.play(name, serve_ok)
    with proxy.client(name) as client:
        assert client.ask("any")[1] == b"ok"
        client.finish()
        assert client.ended()
        assert client.stream.ended and client.stream.reset_code is None


@pytest.mark.parametrize("name", ["web", "plain"])
def test_the_last_answer_is_whole(proxy: HboneBench, name: str) -> None:
    """After `connection: close` the tunnel ends, and whatever code ends it reads as an end."""
    size = 2 * MIB

    def handler(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + b"c" * size)

    proxy.play(name, handler)
    with proxy.client(name) as client:
        client.request("any", "/", "connection: close")
        head, body = client.answer()
        assert head.status == 200 and len(body) == size
        assert client.ended()


def test_tunnels_and_connections_are_let_go_of(proxy: HboneBench) -> None:
    """Nothing is left of a few hundred tunnels that ended in every way."""
    proxy.play("plain", serve_ok)
    proxy.play("raw", echo)
    with proxy.mesh.ztunnel(proxy.address) as ztunnel:
        for number in range(200):
            stream = ztunnel.tunnel(proxy.authority("raw" if number % 3 == 0 else "plain"))
            if number % 4 == 0:
                stream.cancel()
            elif number % 4 == 1:
                stream.finish()
            elif number % 4 == 2:
                stream.close()
        for connection in ztunnel.connections:
            for stream in list(connection.streams.values()):
                stream.finish()
            wait_until(lambda connection=connection: connection.open_streams() == 0, 5, "no stream is left open")
    wait_until(lambda: proxy.replica.info()["workers"][0]["connections"] <= 2, 5, "no connection either")
    proxy.settled()
    destination = proxy.destination(proxy.services["raw"][0])
    wait_until(lambda: sum(one.open_streams() for one in destination.alive()) == 0, 5, "nor towards the endpoint")


def test_expect_100_continue(proxy: HboneBench) -> None:
    def handler(peer: Peer) -> None:
        head = peer.head()
        peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert peer.body(head) == b"body"
        peer.send(OK)

    for name in ("web", "plain"):
        proxy.play(name, handler)
        with proxy.client(name) as client:
            client.send("POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n")
            assert client.head().status == 100
            client.send(b"body")
            assert client.answer()[1] == b"ok"


# -- frames -----------------------------------------------------------------------------------------------------------


def test_padding_is_no_data_but_takes_window(proxy: HboneBench) -> None:
    proxy.play("rawplain", echo)
    stream = proxy.tunnel("rawplain")
    connection = stream.connection
    total = 0
    for number in range(400):
        with connection.lock:
            stream.wait(lambda: connection.h2.local_flow_control_window(stream.number) > 20_000)
            connection.h2.send_data(stream.number, b"%08d" % number, pad_length=255)
            connection.flush()
        total += 8
    stream.finish()
    got = b""
    while data := stream.recv(MIB):
        got += data
    assert got == b"".join(b"%08d" % number for number in range(400)) + b"END"
    connection.wait_until(lambda one: one.h2.outbound_flow_control_window > 16 * MIB - 200_000, 3)
    assert connection.h2.outbound_flow_control_window > 15 * MIB, "given back"


def test_windows_that_grow_and_shrink_on_the_way(proxy: HboneBench) -> None:
    size = 3 * MIB

    def source(peer: Peer) -> None:
        peer.send(b"w" * size)

    proxy.play("rawplain", source)
    with proxy.mesh.ztunnel(proxy.address) as ztunnel:
        connection = ztunnel.connect()
        settings(connection, 1000)
        stream = ztunnel.tunnel(proxy.authority("rawplain"), over=connection)
        wait_until(lambda: stream.received, 2)
        time.sleep(0.1)
        assert stream.received == 1000, "no byte beyond its window"
        settings(connection, 100_000)
        wait_until(lambda: stream.received == 100_000, 2, "it grew")
        settings(connection, 10)  # below what is out: negative
        left = size
        while left:
            left -= len(stream.recv(MIB))
            if left == size - 100_000:
                settings(connection, 1 << 20)


def settings(connection: Connection, window: int) -> None:
    with connection.lock:
        connection.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: window})
        connection.flush()
    connection.ping()


def test_one_byte_frames(proxy: HboneBench) -> None:
    proxy.play("plain", serve_ok)
    with proxy.client("plain") as client:
        for byte in b"GET / HTTP/1.1\r\nhost: a\r\n\r\n":
            client.send(bytes((byte,)))
        assert client.answer()[1] == b"ok"


# -- peers that do not do their part ----------------------------------------------------------------------------------


def test_a_connection_that_nobody_reads_holds_no_more_than_its_buffers(proxy: HboneBench) -> None:
    def source(peer: Peer) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer.send(b"s" * MIB)

    proxy.play("rawplain", source)
    proxy.play("plain", serve_name)
    before = memory_kib(proxy.worker_pid())
    with proxy.mesh.ztunnel(proxy.address) as ztunnel:
        connection = ztunnel.connect()
        connection.reads.clear()
        for _ in range(60):
            ztunnel.ask(proxy.authority("rawplain"), over=connection)
        time.sleep(1)
        assert proxy.ask("plain", count=5) == ["plain-1"] * 5
        grown = memory_kib(proxy.worker_pid()) - before
    assert grown < 25_000
    assert proxy.ask("plain") == ["plain-1"]


def test_an_endpoint_that_takes_connections_and_never_shakes_hands(proxy: HboneBench) -> None:
    victim, _ = proxy.services["duo"]
    proxy.play("duo", serve_name)
    destination = proxy.destination(victim)
    destination.stop()
    rule = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": {"name": "duo", "namespace": "httpbin"},
        "spec": {"host": "duo", "trafficPolicy": {"connectionPool": {"tcp": {"connectTimeout": "300ms"}}}},
    }
    proxy.replica.serve(lambda: proxy.manifests.put("rule-duo", rule))
    with socket.create_server((victim.ip, 15008)), within(3):
        assert proxy.ask("duo", count=4) == ["duo-2"] * 4
    destination.start()


def test_a_grpc_client_that_does_not_read_holds_the_app_back(proxy: HboneBench) -> None:
    sent = [0]

    def serve(stream: Stream) -> None:
        stream.connection.respond(stream, [(":status", "200"), ("content-type", "application/grpc")])
        with contextlib.suppress(OSError):
            for _ in range(64):
                stream.sendall(b"g" * MIB)
                sent[0] += 1
            stream.finish([("grpc-status", "0")])

    proxy.play("grpc", h2_app(serve))
    before = memory_kib(proxy.worker_pid())
    inner = h2_client(proxy.tunnel("grpc"))
    stream, other = (inner.request(h2_headers(unique(), "grpc", "POST"), end=True) for _ in range(2))
    stream.answered()
    wait_until(lambda: len(stream.unread) == MIB, 5, "its window is full")
    assert steady(lambda: sent[0]) < 20
    assert memory_kib(proxy.worker_pid()) - before < 16_000
    got = 0
    while data := stream.recv(MIB):
        got += len(data)
    assert got == 64 * MIB and stream.trailers == {"grpc-status": "0"}
    other.cancel()
    inner.close()
