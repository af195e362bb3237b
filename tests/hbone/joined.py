"""A stream and a socket joined, half close and all, as in ztunnel's src/copy.rs; and local ports that tunnel."""

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Self

from tests.hbone.stream import Stream
from tests.hbone.ztunnel import Refused


class Joined:
    """A stream and a socket as one: bytes and ends of both directions, as Z:src/copy.rs has it."""

    def __init__(self, stream: Stream, sock: socket.socket) -> None:
        self._stream, self._sock = stream, sock
        stream.settimeout(None)

    def run(self) -> None:
        """Returns when both directions are done."""
        up = threading.Thread(target=self._up, daemon=True)
        up.start()
        self._down()
        up.join()
        self._sock.close()

    def _up(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._stream.recv(1 << 18):
                self._sock.sendall(data)
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)
        if self._stream.reset_code is not None or self._stream.connection.closed:
            with contextlib.suppress(OSError):
                self._sock.shutdown(socket.SHUT_RDWR)

    def _down(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._sock.recv(1 << 18):
                self._stream.sendall(data)
        self._stream.finish()


class Forwarder:
    """A plain TCP port whose connections go through a tunnel each: for programs that only dial."""

    def __init__(self, tunnel: Callable[[], Stream]) -> None:
        self._tunnel = tunnel
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = int(self._listener.getsockname()[1])
        self.failed: list[str] = []
        self.opened = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._forward, args=(sock,), daemon=True).start()

    def _forward(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            stream = self._tunnel()
        except (OSError, Refused) as error:
            self.failed.append(repr(error))
            sock.close()
            return
        self.opened += 1
        Joined(stream, sock).run()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
