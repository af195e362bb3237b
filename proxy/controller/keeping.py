"""The last good snapshot for the controller after this one: a full body and, behind it, what changed since.

They lie in a memfd that the arbiter holds too, so that it outlives us; a change costs what it changes. Once more has
been added than a full body has, a new one begins. A snapshot is kept before any worker is sent it; one that is half
written when we die was sent to none, and is not read (`proxy.ipc.snapshot.unpack_all`).
"""

import os
from collections.abc import Callable

from proxy.controller.snapshots import Snapshots
from proxy.ipc.channel import Message, open_body, write_at

SLACK = 64 * 1024
"""So much may be added to the smallest body."""


class Keeping:
    """`say` sends a message to the arbiter."""

    def __init__(self, snapshots: Snapshots, say: Callable[[Message, tuple[int, ...]], None]) -> None:
        self._snapshots = snapshots
        self._say = say
        self._file = -1
        self._size = self._most = 0

    def keep(self) -> None:
        """There is a new snapshot."""
        if self._file >= 0:
            news = self._snapshots.body(self._snapshots.number - 1)
            if self._size + len(news) <= self._most:
                self._add(news)
                return
            os.close(self._file)
        self._file, self._size = open_body(), 0
        self._add(self._snapshots.body(0))
        self._most = 2 * self._size + SLACK
        self._say({"op": "keep"}, (self._file,))

    def _add(self, body: bytes) -> None:
        write_at(self._file, self._size, body)
        self._size += len(body)
