"""Requests that come to a stop because nobody reads, and others beside them: for tests and tests.bench.stalled."""

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.hbone.http2 import Connection
from tests.hbone.stream import Stream
from tests.integration.hbone_rig import HboneBench, Served, TunnelClient, h2_app
from tests.integration.http_rig import Peer

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
    path, taken = stream.headers[":path"], 0
    with contextlib.suppress(OSError):
        while "/stall" not in path or ("/late" in path and taken < READ):
            if not (got := len(stream.recv(MIB))):
                break
            taken += got
        if "/stall" in path:
            return
        stream.connection.respond(stream, [(":status", "200")])
        for _ in range(64 * MIB // 20_000 if "/download" in path else 1):
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


def served(proxy: HboneBench, name: str, over: Connection) -> list[int]:
    """Lengths of the answers to other requests, each in a tunnel of its own, all at once."""

    def ask(_: int) -> int:
        with proxy.client(name, 20, over=over) as client:
            return len(client.ask("any")[1])

    with ThreadPoolExecutor(OTHERS) as pool:
        return list(pool.map(ask, range(OTHERS)))


def play(bench: HboneBench) -> None:
    """The apps of SERVED."""
    for name in ("web", "plain"):
        bench.play(name, app)
    bench.play("grpc", h2_app(h2_serve))
