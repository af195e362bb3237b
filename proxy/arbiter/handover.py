"""The sockets by which a worker gives an accepted connection to another one: one pair per worker slot.

The arbiter makes them and keeps both ends, so what waits for a worker that died is not lost. It does not know what the
packets say.
"""

import os
import socket
from collections.abc import Sequence

from proxy.ipc.channel import descriptors_in, rights

_PACKET = 4096
_CONTROL_SPACE = socket.CMSG_SPACE(16 * 4)
_FLAGS = socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC


class HandOver:
    """Pairs for `slots` workers, so many from the start: a running worker can be given no further ones."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(slots)]

    def descriptors(self, slot: int) -> tuple[int, dict[int, int]]:
        """What the worker in `slot` gets: the end it receives from, and by slot those it sends to the others with."""
        outgoing = {other: pair[1].fileno() for other, pair in enumerate(self._pairs) if other != slot}
        return self._pairs[slot][0].fileno(), outgoing

    def pass_on(self, slot: int, ready: Sequence[int]) -> int:
        """Give what waits for a dead worker to the `ready` ones in turn; how many connections that were.

        Without a ready worker it stays for the successor.
        """
        moved = 0
        while ready:
            try:
                # Not recv_fds and send_fds: they ignore their flags (Python 3.11).
                packet, control, _, _ = self._pairs[slot][0].recvmsg(_PACKET, _CONTROL_SPACE, _FLAGS)
            except BlockingIOError:
                break
            fds = descriptors_in(control)
            target = self._pairs[ready[moved % len(ready)]][1]
            try:
                target.sendmsg([packet], rights(fds), socket.MSG_DONTWAIT)
            except (
                BlockingIOError
            ):  # that worker has hundreds waiting: one connection lost is better than waiting for it
                pass
            finally:
                for fd in fds:
                    os.close(fd)
            moved += 1
        return moved

    def close(self) -> None:
        """Close all of them; connections nobody took are closed with them."""
        for pair in self._pairs:
            for end in pair:
                end.close()
