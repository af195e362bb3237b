"""Peers that do not read hold nobody else's traffic (Z1): uploads that an app does not take, downloads that a client
does not, on connections they share with others. The stand-ins have a ztunnel's windows, 4 MiB and 16 MiB. Every other
one is read for a while first."""

import contextlib
import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.hbone.http2 import Connection
from tests.hbone.stream import Stream
from tests.integration.hbone_rig import (
    HboneBench,
    Served,
    TunnelClient,
    echo,
    h2_app,
    h2_client,
    h2_headers,
    hbone_bench,
)
from tests.integration.http_rig import Handler, Peer, Scripted
from tests.rig import free_port, steady

MIB = 1 << 20
STALLED = (1, 2, 4, 8, 16)
OTHERS = 6
READ = 3 * MIB  # of one that is read for a while; more than its receiver acknowledges at
SERVED = (Served("web"), Served("plain", hbone=False), Served("grpc", port_name="grpc", hbone=False))


def app(peer: Peer) -> None:
    """Takes no body of /stall, some of one of /stall/late; sends 64 MiB for /download, and 20 kB for anything else."""
    while True:
        head = peer.head()
        if "/stall" in head.first:
            if "/late" in head.first:
                peer.exactly(READ)
            threading.Event().wait()
        size = 64 * MIB if "/download" in head.first else 20_000
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        with contextlib.suppress(OSError):
            for _ in range(size // 20_000):
                peer.send(b"b" * 20_000)


def h2_serve(stream: Stream) -> None:
    """The same over HTTP/2."""
    if "/stall" in stream.headers[":path"]:
        taken = 0
        while "/late" in stream.headers[":path"] and taken < READ:
            taken += len(stream.recv(MIB))
        return
    while stream.recv(MIB):
        pass
    stream.connection.respond(stream, [(":status", "200")])
    with contextlib.suppress(OSError):
        for _ in range(64 * MIB // 20_000 if "/download" in stream.headers[":path"] else 1):
            stream.sendall(b"b" * 20_000)
        stream.finish()


class Stalled:
    """Requests that come to a stop because nobody reads: uploads here, downloads there."""

    def __init__(self, bench: HboneBench, name: str, over: Callable[[], Connection]) -> None:
        self.bench, self.name, self.over = bench, name, over
        self.sent = 0
        self.clients: list[TunnelClient] = []

    def begin(self, kind: str) -> None:
        client = self.bench.client(self.name, over=self.over())
        client.sock.settimeout(None)
        self.clients.append(client)
        late = len(self.clients) % 2 == 1
        if kind == "download":
            client.request("any", "/download")
            work = self._read if late else None
        else:
            path = "/stall/late" if late else "/stall"
            client.send(f"POST {path} HTTP/1.1\r\nhost: any\r\ncontent-length: {64 * MIB}\r\n\r\n")
            work = self._upload
        if work:
            threading.Thread(target=work, args=(client,), daemon=True).start()

    def _upload(self, client: TunnelClient) -> None:
        with contextlib.suppress(OSError):
            for _ in range(64 * MIB // 65536):
                client.send(b"u" * 65536)
                self.sent += 65536

    def _read(self, client: TunnelClient) -> None:
        with contextlib.suppress(OSError):
            client.exactly(READ)

    def moved(self) -> int:
        return self.sent + sum(client.stream.received for client in self.clients)


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[HboneBench]:
    with hbone_bench(tmp_path, *SERVED) as running:
        for name in ("web", "plain"):
            running.play(name, app)
        running.play("grpc", h2_app(h2_serve))
        yield running


def served(proxy: HboneBench, name: str, over: Connection) -> list[int]:
    """Lengths of the answers to other requests, each in a tunnel of its own, all at once."""

    def ask(_: int) -> int:
        with proxy.client(name, 20, over=over) as client:
            return len(client.ask("any")[1])

    with ThreadPoolExecutor(OTHERS) as pool:
        return list(pool.map(ask, range(OTHERS)))


@pytest.mark.parametrize("kind", ["upload", "download"])
@pytest.mark.parametrize("name", ["web", "plain", "grpc"])
def test_Z1_requests_that_stall_hold_no_other_of_their_client(proxy: HboneBench, kind: str, name: str) -> None:
    """All on one connection of the client's; nor those of another client to the same endpoint."""
    mine = proxy.ztunnel.connect()
    with proxy.mesh.ztunnel(proxy.address) as ztunnel:
        theirs = ztunnel.connect()
        stalled = Stalled(proxy, name, lambda: mine)
        for count in STALLED:
            while len(stalled.clients) < count:
                stalled.begin(kind)
            steady(stalled.moved, 0.5, 30)
            for connection in (mine, theirs):
                assert served(proxy, name, connection) == [20_000] * OTHERS, f"with {count} stalled"
            assert served(proxy, "plain", mine) == [20_000] * OTHERS, f"another Service, with {count} stalled"


def beside(proxy: HboneBench, stack: contextlib.ExitStack, name: str, port: int, handler: Handler) -> None:
    """A Service of TCP or HTTP/2 on another port of the pod of `web`."""
    pod = proxy.services["web"][0]
    other = Scripted(pod.name, pod.ip, free_port(pod.ip))
    other.handler = handler
    other.start()
    stack.callback(other.stop)
    proxy.served[name], proxy.vips[name] = Served(name, port, name), [f"10.96.9.{port % 100}", f"fd00:96::{port}"]
    proxy.replica.serve(lambda: proxy.put(proxy.served[name], [other]))


def test_Z1_c_a_connection_to_a_pod_that_is_used_up_counts_as_full(proxy: HboneBench) -> None:
    """Uploads of two clients; a third's requests and TCP connections to the pod go over another connection, those too for
    which there would be a tunnel on the first."""
    with contextlib.ExitStack() as stack:
        beside(proxy, stack, "tcp", 9001, echo)
        beside(proxy, stack, "http2", 9002, h2_app(h2_serve))
        door = proxy.destination(proxy.services["web"][0])
        first, second, third = (stack.enter_context(proxy.mesh.ztunnel(proxy.address)) for _ in range(3))
        for name in ("web", "http2"):
            assert served(proxy, name, third.pooled()) == [20_000] * OTHERS
        turns = itertools.cycle((first, second))
        stalled = Stalled(proxy, "web", lambda: next(turns).pooled())
        for _ in range(8):
            stalled.begin("upload")
        steady(stalled.moved, 0.5, 30)
        for name in ("web", "http2"):
            assert served(proxy, name, third.pooled()) == [20_000] * OTHERS
        with TunnelClient(third.tunnel(proxy.authority("tcp"))) as raw:
            raw.send(b"r" * 300_000)
            raw.finish()
            assert raw.rest() == b"r" * 300_000 + b"END"
        assert 2 <= len(door.alive()) <= 9
        before = len(door.alive())
        assert served(proxy, "web", third.pooled()) == [20_000] * OTHERS
        assert len(door.alive()) == before, "no more than are needed"


def test_Z1_b_a_client_whose_connection_is_used_up_is_told_to_open_another(proxy: HboneBench) -> None:
    """What it opens there all the same is served, and so is what has been there, however much it was sent before."""
    connection = proxy.ztunnel.pooled()
    old = proxy.client("web", over=connection)
    for _ in range(40):
        assert len(old.ask("any")[1]) == 20_000
    stalled = Stalled(proxy, "web", lambda: connection)
    for _ in range(4):
        stalled.begin("download")
    steady(stalled.moved, 1.2, 30)
    assert not connection.goaways
    assert len(old.ask("any")[1]) == 20_000
    assert served(proxy, "web", connection) == [20_000] * OTHERS
    assert connection.wait_until(lambda one: one.goaways)
    assert connection.goaways == [(0, (1 << 31) - 1)], "nothing is refused"
    assert served(proxy, "web", connection) == [20_000] * OTHERS
    assert proxy.ztunnel.pooled() is not connection
    assert proxy.ask("web") == ["b" * 20_000]


def test_Z1_streams_of_a_plain_http2_client_that_stall_hold_no_other(tmp_path: Path) -> None:
    with hbone_bench(tmp_path, SERVED[1], http=True) as proxy:
        proxy.play("plain", app)
        with contextlib.closing(h2_client(socket.create_connection(("127.0.0.1", proxy.http)))) as client:
            for count in STALLED:
                while len(client.streams) < count:
                    client.request(h2_headers("/download", "plain"), end=True)
                steady(lambda: sum(stream.received for stream in client.streams.values()), 0.5, 30)
                others = [client.request(h2_headers("/", "plain"), end=True) for _ in range(OTHERS)]
                for other in others:
                    got = 0
                    while data := other.recv(MIB):
                        got += len(data)
                    assert got == 20_000
                    del client.streams[other.number]
