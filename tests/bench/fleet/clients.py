"""Clients of a fleet, as a Service would spread them: each request, or each connection, to the next replica."""

import itertools
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import Self

from tests.rig import Background

Address = tuple[str, int]
REQUEST = b"GET /hostname HTTP/1.1\r\nHost: in-ambient\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Connection:
    """To one replica, opened when needed."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._socket: socket.socket | None = None

    def get(self) -> int:
        """The status of one request, 0 if there was no answer."""
        try:
            if self._socket is None:
                self._socket = socket.create_connection(self._address, 10)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.sendall(REQUEST)
            return self._status(self._socket)
        except OSError:
            self.close()
            return 0

    def _status(self, sock: socket.socket) -> int:
        data = b""
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += self._more(sock)
        length = _LENGTH.search(data[: end + 2])
        left = int(length[1]) - (len(data) - end - 4) if length else 0
        while left > 0:
            left -= len(self._more(sock))
        return int(data[9:12])

    def _more(self, sock: socket.socket) -> bytes:
        data = sock.recv(65536)
        if not data:
            raise ConnectionResetError("closed before the answer's end")
        return data

    def close(self) -> None:
        """The next request opens another one."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def once(address: Address) -> int:
    """One request on a connection of its own."""
    with Connection(address) as connection:
        return connection.get()


def in_turn(addresses: Sequence[Address], count: int, concurrency: int = 1) -> Counter[int]:
    """Statuses of so many requests, `concurrency` of them under way at a time, each to the replica after the last."""
    targets = itertools.islice(itertools.cycle(addresses), count)
    lock, statuses = threading.Lock(), Counter[int]()

    def run() -> None:
        while True:
            with lock:
                address = next(targets, None)
            if address is None:
                return
            status = once(address)
            with lock:
                statuses[status] += 1

    threads = [threading.Thread(target=run) for _ in range(concurrency)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


class Load(Background):
    """`rate` requests a second over kept connections, `each` to every replica, until the end of the block."""

    def __init__(self, addresses: Sequence[Address], rate: float, each: int = 4) -> None:
        self.statuses: Counter[int] = Counter()
        self._pace = len(addresses) * each / rate
        self._lock = threading.Lock()
        super().__init__(*[lambda address=address: self._run(address) for address in list(addresses) * each])

    def _run(self, address: Address) -> None:
        with Connection(address) as connection:
            due = time.monotonic()
            while not self.stopping.is_set():
                status = connection.get()
                with self._lock:
                    self.statuses[status] += 1
                due = max(due + self._pace, time.monotonic() - self._pace)
                time.sleep(max(0.0, due - time.monotonic()))
