"""Connections that one worker accepted and another one, with fewer of its own, shall serve.

A packet is the listener's address and the process the connection was counted for; the descriptor travels beside it. The
sockets belong to the slot, not to the process: what waits for a worker that died is there for its successor.
"""

import os
import socket
from collections.abc import Callable, Mapping

import msgpack

from proxy.scoreboard import Scoreboard

_PACKET = 4096
_DESCRIPTORS = 16


class Handed:
    """One worker's end. `outgoing` maps other workers' slots to the descriptors that lead to them."""

    def __init__(self, board: Scoreboard, slot: int, incoming: socket.socket, outgoing: Mapping[int, int]) -> None:
        self._board = board
        self._slot = slot
        self._incoming = incoming
        # Duplicates without gevent's waiting: a full socket is a refusal.
        self._outgoing = dict(outgoing)

    def give(self, fd: int, slot: int, address: str) -> bool:
        """Passes a connection that is counted as worker `slot`'s on to it. False: it cannot; then it is this worker's again."""
        packet = msgpack.packb([address, self._board.worker(slot).pid])
        try:
            _send(self._outgoing[slot], packet, fd)
        except OSError:
            self._board.add_connections(slot, -1)
            self._board.add_connections(self._slot, 1)
            return False
        os.close(fd)
        return True

    def receive(self, take: Callable[[str, int], None]) -> None:
        """Takes connections for ever; to be spawned."""
        while True:
            packet, fds, _, _ = socket.recv_fds(self._incoming, _PACKET, _DESCRIPTORS, socket.MSG_CMSG_CLOEXEC)
            self._unpack(packet, fds, take)

    def take_rest(self, take: Callable[[str, int], None]) -> None:
        """Takes what waits now."""
        while True:
            try:
                packet, fds, _, _ = socket.recv_fds(
                    self._incoming, _PACKET, _DESCRIPTORS, socket.MSG_CMSG_CLOEXEC | socket.MSG_DONTWAIT
                )
            except BlockingIOError:
                return
            self._unpack(packet, fds, take)

    def _unpack(self, packet: bytes, fds: list[int], take: Callable[[str, int], None]) -> None:
        address, pid = msgpack.unpackb(packet)
        if pid != os.getpid():  # counted for a process that is gone, and its count with it
            self._board.add_connections(self._slot, 1)
        for fd in fds:
            take(address, fd)


def _send(to: int, packet: bytes, fd: int) -> None:
    """OSError if the other side's queue is full."""
    with socket.socket(fileno=os.dup(to)) as outgoing:
        socket.send_fds(outgoing, [packet], [fd], socket.MSG_DONTWAIT)
