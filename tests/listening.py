"""A server in threads: what listens on an address and gives each connection to a thread of its own. Loopback only."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path

_ESTABLISHED, _CLOSE_WAIT = "01", "08"  # as /proc/net/tcp has them


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


def connected_to(ip: str, port: int) -> int:
    """How many sockets on this machine are connected to the address and not closed yet on their side."""
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    words = struct.unpack(f"={'IIII' if family == socket.AF_INET6 else 'I'}", socket.inet_pton(family, ip))
    wanted = "".join(f"{word:08X}" for word in words) + f":{port:04X}"
    table = Path("/proc/self/net/tcp6" if family == socket.AF_INET6 else "/proc/self/net/tcp").read_text()
    rows = (line.split() for line in table.splitlines()[1:])
    return sum(row[2] == wanted and row[3] in (_ESTABLISHED, _CLOSE_WAIT) for row in rows)
