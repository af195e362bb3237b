"""Endpoints that count what they hold at once, all of them together: connections, and requests not answered yet.

One thread, which sees what has happened in the order in which it did: of a connection that has come, and of one that
was closed before that, it counts one.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

from tests.integration.http_rig import OK
from tests.rig import free_port

TURN_S = 0.0005


class Holding:
    """`delay`: how long it takes to answer; None: until `let_go`."""

    def __init__(self, ips: list[str], port: int) -> None:
        self.ips, self.port = ips, port
        self.delay: float | None = 0.0
        self.connections: dict[socket.socket, bytes] = {}
        self.accepted = 0
        self.most_connections = self.most_requests = self.answered = 0
        self._due: list[tuple[float, socket.socket]] = []
        self._listeners = [self._listener(ip) for ip in ips]
        self._ended = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def held(self) -> int:
        """Requests that wait for their answer."""
        return len(self._due)

    def let_go(self) -> None:
        """Answers what it has, and all that comes at once."""
        self.delay = 0.0
        self._due = [(0.0, sock) for _, sock in self._due]

    def stop(self) -> None:
        self._ended = True
        self._thread.join()
        for sock in (*self._listeners, *self.connections):
            sock.close()

    def _listener(self, ip: str) -> socket.socket:
        listener = socket.create_server((ip, self.port), backlog=512)
        listener.setblocking(False)
        return listener

    def _run(self) -> None:
        while not self._ended:
            for listener in self._listeners:
                with contextlib.suppress(BlockingIOError):
                    while True:
                        self._accept(listener)
            for sock in list(self.connections):
                self._read(sock)
            self.most_connections = max(self.most_connections, len(self.connections))
            self.most_requests = max(self.most_requests, len(self._due))
            self._answer()
            time.sleep(TURN_S)

    def _accept(self, listener: socket.socket) -> None:
        sock, _ = listener.accept()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.accepted += 1
        self.connections[sock] = b""

    def _read(self, sock: socket.socket) -> None:
        try:
            data = sock.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            del self.connections[sock]
            self._due = [each for each in self._due if each[1] is not sock]
            sock.close()
            return
        *heads, self.connections[sock] = (self.connections[sock] + data).split(b"\r\n\r\n")
        wait = 1e9 if self.delay is None else self.delay
        self._due += [(time.monotonic() + wait, sock) for _ in heads]

    def _answer(self) -> None:
        now = time.monotonic()
        for due, sock in list(self._due):
            if due <= now:
                self._due.remove((due, sock))
                self.answered += 1
                with contextlib.suppress(OSError):
                    sock.sendall(OK)


@contextlib.contextmanager
def holding(count: int = 1) -> Iterator[Holding]:
    """So many of them, on loopback addresses of their own."""
    network = f"127.{free_port() % 190 + 30}.7"
    made = Holding([f"{network}.{number + 1}" for number in range(count)], free_port(f"{network}.1"))
    try:
        yield made
    finally:
        made.stop()
