"""The sockets by which a worker gives an accepted connection to another one: made by the arbiter, one pair per worker slot.

The arbiter keeps both ends, so what waits for a worker that died is not lost. It does not know what the packets say.
"""

import os
import socket
from collections.abc import Sequence

_PACKET = 4096
_DESCRIPTORS = 16
_FLAGS = socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC


class HandOver:
    """Pairs for `slots` workers, so many from the start: a running worker can be given no further ones."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(slots)]

    def descriptors(self, slot: int) -> tuple[int, dict[int, int]]:
        """What the worker in `slot` gets: the end it receives from, and by slot the ends it sends to the others with."""
        outgoing = {other: pair[1].fileno() for other, pair in enumerate(self._pairs) if other != slot}
        return self._pairs[slot][0].fileno(), outgoing

    def pass_on(self, slot: int, ready: Sequence[int]) -> int:
        """Give what waits for a dead worker to the `ready` ones in turn; how many connections that were.

        Without a ready worker it stays for the successor.
        """
        moved = 0
        while ready:
            try:
                packet, fds, _, _ = socket.recv_fds(self._pairs[slot][0], _PACKET, _DESCRIPTORS, _FLAGS)
            except BlockingIOError:
                break
            target = self._pairs[ready[moved % len(ready)]][1]
            try:
                socket.send_fds(target, [packet], fds, socket.MSG_DONTWAIT)
            except (
                BlockingIOError
            ):  # that worker has hundreds waiting: one connection lost is better than waiting for it
                pass
            finally:
                for fd in fds:
                    os.close(fd)
            moved += 1
        return moved
