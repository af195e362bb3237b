"""A server in threads: what listens on an address and gives each connection to a thread of its own. Loopback only."""

import contextlib
import socket
import threading
from collections.abc import Callable


class Listening:
    """May be stopped and started again; `accepted` has each connection in a thread of its own, and closes it."""

    def __init__(self, ip: str, port: int, accepted: Callable[[socket.socket], None]) -> None:
        self._address, self._accepted = (ip, port), accepted
        self._listener: socket.socket | None = None

    def start(self) -> None:
        """Listens when it returns."""
        family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
        self._listener = socket.create_server(self._address, family=family, backlog=128)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def stop(self) -> None:
        """Nobody listens any more; connections stay."""
        if self._listener is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._accepted, args=(sock,), daemon=True).start()
