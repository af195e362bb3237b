"""One HTTP/2 stream that blocks like a socket; `http_rig.Wire` and with it HTTP/1.1 run on it.

Its receive window is given back as its reader takes bytes, as ztunnel does: who does not read stops its sender.
"""

import socket
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from h2.errors import ErrorCodes

if TYPE_CHECKING:
    from tests.hbone.http2 import Connection

Headers = list[tuple[str, str]]
CLEAN = (ErrorCodes.NO_ERROR, ErrorCodes.CANCEL)


class Stream:
    """One HTTP/2 stream with the methods of a socket; `http_rig.Wire` runs on it."""

    def __init__(self, connection: "Connection", number: int) -> None:
        self.connection, self.number = connection, number
        self.headers: dict[str, str] = {}
        self.trailers: dict[str, str] = {}
        self.ended = self.gone = False
        self.reset_code: int | None = None
        self.unread = bytearray()
        self.received = 0
        self._timeout: float | None = 10.0
        self._lingers = self.finished = False
        self.changed = threading.Condition(connection.lock)

    @property
    def status(self) -> int:
        return int(self.headers[":status"])

    def wait(self, condition: Callable[[], object]) -> None:
        """With the connection's lock held. Raises TimeoutError, ConnectionResetError if the connection is gone."""
        deadline = None if self._timeout is None else time.monotonic() + self._timeout
        while not condition():
            if self.connection.closed:
                raise ConnectionResetError(f"connection lost: {self.connection.error!r}")
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise TimeoutError("timed out")
            self.changed.wait(left)

    def answered(self) -> dict[str, str]:
        """The peer's header section, once it is there; ConnectionResetError if there is none."""
        with self.connection.lock:
            self.wait(lambda: self.headers or self.reset_code is not None)
            if not self.headers:
                raise ConnectionResetError(f"stream reset, code {self.reset_code}")
            return self.headers

    def recv(self, count: int) -> bytes:
        with self.connection.lock:
            self.wait(lambda: self.unread or self.ended or self.reset_code is not None)
            if not self.unread and not self.ended and self.reset_code not in CLEAN:
                raise ConnectionResetError(f"stream reset, code {self.reset_code}")
            data = bytes(self.unread[:count])
            del self.unread[:count]
            self.connection.consumed(self, len(data))
        return data

    def sendall(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            sent = self.connection.send_some(self, view)
            view = view[sent:]

    def finish(self, trailers: Headers | None = None) -> None:
        """END_STREAM, with trailers if there are any."""
        with self.connection.lock:
            if not self.finished and not self.connection.closed and self.reset_code is None:
                self.finished = True
                self.connection.end(self, trailers)

    def send_and_finish(self, data: bytes) -> None:
        """One DATA frame with END_STREAM; it must fit the window."""
        with self.connection.lock:
            self.finished = True
            self.connection.h2.send_data(self.number, data, end_stream=True)
            self.connection.flush()

    def cancel(self, code: int = ErrorCodes.CANCEL) -> None:
        """RST_STREAM, unless both sides have ended."""
        with self.connection.lock:
            if not (self.ended and self.finished):
                self.connection.reset(self, code)

    # the methods of a socket that Wire uses

    def settimeout(self, seconds: float | None) -> None:
        self._timeout = seconds

    def setsockopt(self, _level: int, option: int, _value: object) -> None:
        self._lingers = self._lingers or option == socket.SO_LINGER

    def shutdown(self, how: int) -> None:
        """As ztunnel for its app: a FIN is END_STREAM; nobody reads on after SHUT_RDWR."""
        self.gone = self.gone or how == socket.SHUT_RDWR
        self.finish()

    def close(self) -> None:
        """An app's close: END_STREAM, and what still comes is answered with a reset."""
        if self._lingers:
            self.cancel()
        else:
            self.shutdown(socket.SHUT_RDWR)
