"""HTTP/2's rules of life at the listener: flow control, pings, GOAWAY, floods, many tunnels."""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
)

from tests.hbone.http2 import Connection
from tests.hbone.ztunnel import connect_headers
from tests.integration.hbone_rig import HboneBench, Served, TunnelClient, echo, hbone_bench, serve_name
from tests.integration.http_rig import Peer, memory_kib
from tests.patience import within
from tests.rig import steady, wait_until

MIB = 1 << 20
SERVED = (
    Served("web"),
    Served("plain", hbone=False),
    Served("raw", port=9000, port_name="tcp"),
    Served("rawplain", port=9000, port_name="tcp", hbone=False),
)


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HboneBench]:
    with hbone_bench(tmp_path_factory.mktemp("life"), *SERVED) as running:
        yield running


def source(peer: Peer) -> None:
    """Sends for ever."""
    with contextlib.suppress(OSError):
        while True:
            peer.send(b"s" * MIB)


def sink(peer: Peer) -> None:
    """Reads to the end, then says how much it was."""
    total = 0
    while data := peer.sock.recv(MIB):
        total += len(data)
    peer.send(b"%d" % total)


# -- flow control -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["", "plain"])
def test_one_stopped_reader_of_a_hundred(proxy: HboneBench, kind: str) -> None:
    """The other 99 go on at full speed, and nothing grows past its window."""
    proxy.play("raw" + kind, source)
    proxy.play("web" if not kind else "plain", serve_name)
    ztunnel = proxy.mesh.ztunnel(proxy.address)
    connection = ztunnel.connect()
    others = [
        TunnelClient(ztunnel.tunnel(proxy.authority("plain" if kind else "web"), over=connection)) for _ in range(99)
    ]
    for client in others:
        assert client.ask("any")[0].status == 200
    began = time.monotonic()
    for client in others:
        client.ask("any")
    alone = time.monotonic() - began
    before = memory_kib(proxy.worker_pid())
    stopped = ztunnel.tunnel(proxy.authority("raw" + kind), over=connection)
    assert stopped.recv(10) == b"s" * 10
    wait_until(lambda: len(stopped.unread) > 3 * MIB, 5, "its window is full")
    held = steady(lambda: len(stopped.unread))
    began = time.monotonic()
    for _ in range(3):
        for client in others:
            assert client.ask("any")[0].status == 200
    assert (time.monotonic() - began) / 3 < 3 * alone + 0.2
    assert len(stopped.unread) == held <= 4 * MIB
    assert memory_kib(proxy.worker_pid()) - before < 12_000
    ztunnel.close()


@pytest.mark.parametrize("name", ["raw", "rawplain"])
def test_an_app_that_does_not_read_stops_its_client_alone(proxy: HboneBench, name: str) -> None:
    go = threading.Event()

    def handler(peer: Peer) -> None:
        go.wait(20)
        sink(peer)

    proxy.play(name, handler)
    before = memory_kib(proxy.worker_pid())
    stream = proxy.tunnel(name)
    stream.settimeout(20)
    sent = [0]

    def upload() -> None:
        for _ in range(96):
            stream.sendall(b"u" * MIB)
            sent[0] += MIB
        stream.finish()

    sender = threading.Thread(target=upload)
    sender.start()
    reached = steady(lambda: sent[0])
    assert reached < 60 * MIB, "buffers of kernels and windows, no more"
    proxy.play("plain", serve_name)
    assert proxy.ask("plain", count=3) == ["plain-1"] * 3
    grown = memory_kib(proxy.worker_pid()) - before
    go.set()
    assert stream.recv(100) == b"%d" % (96 * MIB)
    sender.join()
    assert grown < 22_000, "at most the stream's window"


def carry(proxy: HboneBench, name: str, size: int) -> None:
    """So much up, so much down, with flat memory."""
    piece = b"p" * MIB
    proxy.play(name, sink)
    stream = proxy.tunnel(name)
    stream.settimeout(60)
    stream.sendall(piece)
    before = memory_kib(proxy.worker_pid())
    peak = 0
    for number in range(size // MIB - 1):
        stream.sendall(piece)
        if number % 32 == 0:
            peak = max(peak, memory_kib(proxy.worker_pid()))
    stream.finish()
    assert stream.recv(100) == b"%d" % size

    def down(peer: Peer) -> None:
        for _ in range(size // MIB):
            peer.send(piece)

    proxy.play(name, down)
    stream = proxy.tunnel(name)
    stream.settimeout(60)
    left, count = size, 0
    while data := stream.recv(MIB):
        left -= len(data)
        count += 1
        if count % 64 == 0:
            peak = max(peak, memory_kib(proxy.worker_pid()))
    assert left == 0
    assert peak - before < 24_000


@pytest.mark.parametrize("name", ["raw", "rawplain"])
def test_much_each_way(proxy: HboneBench, name: str) -> None:
    carry(proxy, name, 96 * MIB)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["raw", "rawplain"])
def test_two_gibibytes_each_way(proxy: HboneBench, name: str) -> None:
    carry(proxy, name, 2048 * MIB)


# -- pings ------------------------------------------------------------------------------------------------------------


def test_pings_are_answered_at_once_under_load(proxy: HboneBench) -> None:
    proxy.play("plain", serve_name)
    proxy.play("rawplain", source)
    stop, loaded = threading.Event(), set[int]()

    def load() -> None:
        with proxy.mesh.ztunnel(proxy.address) as ztunnel:
            client = TunnelClient(ztunnel.tunnel(proxy.authority("plain")))
            while not stop.is_set():
                client.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n" * 50)
                for _ in range(50):
                    client.answer()
                loaded.add(threading.get_ident())

    def download() -> None:
        with proxy.mesh.ztunnel(proxy.address) as ztunnel, contextlib.suppress(OSError):
            stream = ztunnel.tunnel(proxy.authority("rawplain"))
            while not stop.is_set() and stream.recv(MIB):
                loaded.add(threading.get_ident())

    threads = [threading.Thread(target=run) for run in (load, load, load, download)]
    for thread in threads:
        thread.start()
    with proxy.mesh.ztunnel(proxy.address) as ztunnel:
        wait_until(lambda: len(loaded) == len(threads), 5, "all of them are at it")
        connection = ztunnel.connect()
        for _ in range(20):
            with within(1, "a PING is answered between the others' bytes"):
                connection.ping()
    stop.set()
    for thread in threads:
        thread.join()


@pytest.mark.slow
def test_idle_connections_are_pinged_and_dead_ones_dropped(proxy: HboneBench) -> None:
    with proxy.mesh.ztunnel(proxy.address) as ztunnel:
        answering, mute = ztunnel.connect(), ztunnel.connect()
        mute.answers_pings = False
        with within(50, at_least=15):
            assert mute.wait_until(lambda one: one.closed, 60), "dropped"
        assert not answering.closed
        assert answering.pings


# -- floods -----------------------------------------------------------------------------------------------------------


def rapid_resets(connection: Connection, authority: str) -> bytes:
    out = b""
    for _ in range(500):
        with connection.lock:
            number = connection.h2.get_next_available_stream_id()
            connection.h2.send_headers(number, connect_headers(authority, "1.2.3.4:5"))
            connection.h2.reset_stream(number, 8)
            out += connection.h2.data_to_send()
    return out


def open_stream(connection: Connection, authority: str) -> int:
    with contextlib.suppress(OSError):
        stream = connection.request(connect_headers(authority, "1.2.3.4:5"))
        stream.settimeout(2)
        stream.answered()
        return stream.number
    return 1


FLOODS: dict[str, Callable[[Connection, str], bytes]] = {
    "rapid reset": rapid_resets,
    "settings": lambda connection, _: SettingsFrame(0, settings={4: 1 << 20}).serialize() * 3000,
    "ping": lambda connection, _: PingFrame(0, b"12345678").serialize() * 3000,
    "empty data": lambda connection, authority: DataFrame(open_stream(connection, authority)).serialize() * 5000,
    "continuation": lambda connection, authority: (
        HeadersFrame(99, b"\x82").serialize() + ContinuationFrame(99, b"\x00\x01a\x01b" * 2000).serialize() * 500
    ),
    "priority": lambda connection, _: PriorityFrame(1, depends_on=0, stream_weight=1).serialize() * 5000,
    "reset of idle": lambda connection, _: RstStreamFrame(101, 8).serialize() * 1000,
    "noise": lambda connection, _: os.urandom(200_000),
}


@pytest.mark.parametrize("kind", FLOODS)
def test_floods_do_not_harm_others(proxy: HboneBench, kind: str) -> None:
    proxy.play("plain", serve_name)
    with proxy.client("plain") as client:
        assert client.ask("any")[1] == b"plain-1"
        pid, before = proxy.worker_pid(), memory_kib(proxy.worker_pid())
        with proxy.mesh.ztunnel(proxy.address, pod="127.0.0.91") as attacker:
            connection = attacker.connect()
            data = FLOODS[kind](connection, proxy.authority("plain"))
            until = time.monotonic() + 0.7
            while time.monotonic() < until and not connection.closed:
                connection.raw(data)
                with within(1):
                    assert client.ask("any")[1] == b"plain-1"
                time.sleep(0.05)
            if kind in ("continuation", "noise", "rapid reset", "reset of idle", "empty data"):
                assert connection.wait_until(lambda one: one.closed, 5), "cut off"
        assert proxy.worker_pid() == pid
        assert memory_kib(pid) - before < 12_000
        assert client.ask("any")[1] == b"plain-1"


def test_connections_that_never_shake_hands(proxy: HboneBench) -> None:
    proxy.play("plain", serve_name)
    sockets = [socket.create_connection(proxy.address) for _ in range(200)]
    for sock in sockets[:100]:
        sock.sendall(b"\x16\x03\x01\x02\x00")
    assert proxy.ask("plain", count=3) == ["plain-1"] * 3
    for sock in sockets:
        sock.close()
    wait_until(lambda: proxy.replica.info()["workers"][0]["connections"] < 20, 5, "forgotten")


def test_a_thousand_tunnels_over_ten_connections(proxy: HboneBench) -> None:
    proxy.play("plain", serve_name)
    with proxy.mesh.ztunnel(proxy.address) as ztunnel:
        streams = [ztunnel.ask(proxy.authority("plain")) for _ in range(1000)]
        assert len(ztunnel.connections) == 10
        for stream in streams:
            assert stream.answered()[":status"] == "200"
        for first in range(0, 1000, 50):  # not all at once, for the sake of a listener in Python
            for stream in streams[first : first + 50]:
                stream.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            for stream in streams[first : first + 50]:
                assert stream.recv(1000).startswith(b"HTTP/1.1 200")


def test_a_client_that_says_goaway_gets_its_streams_finished(proxy: HboneBench) -> None:
    proxy.play("raw", echo)
    with proxy.mesh.ztunnel(proxy.address) as ztunnel:
        client = TunnelClient(ztunnel.tunnel(proxy.authority("raw")))
        client.stream.connection.goaway()
        client.send(b"abc")
        assert client.exactly(3) == b"abc"
        client.finish()
        assert client.rest() == b"END"
        assert client.stream.connection.wait_until(lambda one: one.closed, 3), "closed when empty"
