"""Connections that one worker accepted and another one, with fewer of its own, shall serve.

A packet is the listener's address and the process the connection was counted for; the descriptor travels beside it. One
without either is a nudge: somebody waits for what the worker may have (relay/endpoints/breaker.pyx). The sockets belong
to the slot, not to the process: what waits for a worker that died is there for its successor. Plain non-blocking
sockets, not gevent's: giving never waits, and taking happens between two events.
"""

import _socket
import contextlib
import os
import socket
from collections.abc import Callable, Mapping

import gevent
import msgpack

from proxy.ipc.channel import descriptors_in, rights
from proxy.scoreboard.scoreboard import Scoreboard

_PACKET = 4096
_CONTROL = socket.CMSG_SPACE(16 * 4)
_NUDGE = msgpack.packb(None)


class Handed:
    """One worker's end. `outgoing` maps other workers' slots to the descriptors that lead to them."""

    def __init__(self, board: Scoreboard, slot: int, incoming: int, outgoing: Mapping[int, int]) -> None:
        self._board = board
        self._slot = slot
        self._incoming = _plain(incoming)
        self._outgoing = {other: _plain(fd) for other, fd in outgoing.items()}
        self._watcher = gevent.get_hub().loop.io(incoming, 1)
        self._nudged: Callable[[], None] = lambda: None

    def give(self, fd: int, slot: int, address: str) -> bool:
        """Passes a connection counted as worker `slot`'s on to it. False: it cannot; then it is this worker's again."""
        packet = msgpack.packb([address, self._board.workers.row(slot).pid])
        try:
            self._outgoing[slot].sendmsg([packet], rights([fd]), socket.MSG_DONTWAIT)
        except OSError:
            self._board.workers.add_connections(slot, -1)
            self._board.workers.add_connections(self._slot, 1)
            return False
        os.close(fd)
        return True

    def nudge(self, slot: int) -> None:
        """Tells worker `slot` that there is something for it to see on the scoreboard. It may not hear of it."""
        with contextlib.suppress(OSError):
            self._outgoing[slot].send(_NUDGE, socket.MSG_DONTWAIT)

    def start(self, take: Callable[[str, int], None], nudged: Callable[[], None]) -> None:
        """From now on `take(address, fd)` is called for each connection that comes, `nudged` for each nudge."""
        self._nudged = nudged
        self._watcher.start(self.take_waiting, take)

    def take_waiting(self, take: Callable[[str, int], None]) -> None:
        """Takes what waits now."""
        while True:
            try:
                packet, control, _, _ = self._incoming.recvmsg(
                    _PACKET, _CONTROL, socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC
                )
            except BlockingIOError:
                return
            if packet == _NUDGE:
                self._nudged()
                continue
            address, pid = msgpack.unpackb(packet)
            if pid != os.getpid():  # counted for a process that is gone, and its count with it
                self._board.workers.add_connections(self._slot, 1)
            fds = descriptors_in(control)
            if not fds:  # no descriptor was left for it here: the kernel has closed the connection
                self._board.workers.add_connections(self._slot, -1)
            for fd in fds:
                take(address, fd)


def _plain(fd: int) -> _socket.socket:
    return _socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, fd)
