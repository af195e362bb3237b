"""Who is connected to a port of ours beside the data path, and who has to go when all places are taken.

A peer gets its place before it has said anything, so places alone would be held by whoever comes first and stays. Here
the newest always gets one: the oldest connection of the address that has most loses its own. Whoever asks at once, as a
probe does, is answered whatever others hold open. No clock, and of a connection nothing but its address and its end.
"""

import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Guests:
    """The connections of one port, at most `places` of them."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._hosts: dict[socket.socket, str] = {}  # in the order in which they came

    @contextmanager
    def welcome(self, sock: socket.socket, host: str) -> Iterator[None]:
        """A place for `sock`, as long as that lasts; a connection that loses it finds it ended."""
        if len(self._hosts) >= self._places:
            self._send_away()
        self._hosts[sock] = host
        try:
            yield
        finally:
            self._hosts.pop(sock, None)

    def _send_away(self) -> None:
        most = max(Counter(self._hosts.values()).items(), key=lambda pair: pair[1])[0]
        oldest = next(sock for sock, host in self._hosts.items() if host == most)
        del self._hosts[oldest]
        with suppress(OSError):  # it has gone by itself
            oldest.shutdown(socket.SHUT_RDWR)
