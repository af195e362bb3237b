"""Messages between the processes of one replica: a msgpack map per packet, file descriptors beside it.

A channel is one end of an `AF_UNIX SOCK_SEQPACKET` socketpair. Calls block; in a process that gevent has patched they
block only the calling greenlet. This module knows how messages travel, not what they say. What is said, by `op`:

arbiter -> any child   settings (first on every channel: settings, replica, redis, arbiter_pid, started: monotonic s)
arbiter -> controller  worker (slot; fd: the controller's end of that worker's channel), worker-gone (slot),
                       wanted (workers: how many should run), reload, drain,
                       bound (address, error; fd: the listening socket unless there is an error),
                       kept (fd: what a former controller had kept, only to one that replaces it)
controller -> arbiter  bind (address), unbind (address), loaded (a first load was valid), ready (for the first time),
                       refused (the first load was invalid: everything stops),
                       keep (fd: a full body and what the controller adds behind it, held for the next controller)
controller -> worker   snapshot (number, sockets; fds: the body, then one listening socket per address in `sockets`).
                       An address given again replaces the socket the worker had for it.

A body is larger than a packet may be, so it travels as a sealed memfd (`write_body`, `read_body`). What is kept is one
that the controller adds to (`open_body`, `write_at`) and the arbiter only holds.
"""

import array
import fcntl
import os
import socket
import termios
from collections.abc import Sequence
from typing import Any, Self

import msgpack

Message = dict[str, Any]

MAX_MESSAGE = 128 * 1024
"""Bytes in one packet; the kernel's default socket buffer (208 KiB) takes it."""
MAX_DESCRIPTORS = 253
"""SCM_MAX_FD: Linux passes no more with one packet."""

_CONTROL_SPACE = socket.CMSG_SPACE(MAX_DESCRIPTORS * array.array("i").itemsize)


class Channel:
    """One end of a socketpair between two processes of the replica."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    @classmethod
    def pair(cls) -> tuple[Self, Self]:
        """Both ends of a new channel, close-on-exec."""
        left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(left), cls(right)

    @classmethod
    def adopt(cls, fd: int) -> Self:
        """The end whose descriptor this process was given; the channel owns it from now on."""
        os.set_inheritable(fd, False)
        return cls(socket.socket(fileno=fd))

    def fileno(self) -> int:
        """The descriptor, -1 once closed."""
        return self._socket.fileno()

    def set_blocking(self, blocking: bool) -> None:
        """With False `send` and `receive` raise BlockingIOError instead of waiting."""
        self._socket.setblocking(blocking)

    def send(self, message: Message, fds: Sequence[int] = ()) -> None:
        """Send one message and copies of `fds`, which stay open here.

        Raises OSError (BrokenPipeError, ConnectionResetError) when the peer is gone, ValueError when it is too large.
        """
        packet: bytes = msgpack.packb(message)
        if len(packet) > MAX_MESSAGE or len(fds) > MAX_DESCRIPTORS:
            raise ValueError(
                f"message {message.get('op')!r} has {len(packet)} bytes and {len(fds)} descriptors: too large"
            )
        self._socket.sendmsg([packet], rights(fds))

    def receive(self) -> tuple[Message, list[int]] | None:
        """Wait for the next message; None when the peer is gone. The caller owns the descriptors that came with it.

        Raises OSError (EMFILE and the like) and ValueError for a packet that was cut short.
        """
        try:
            packet, control, flags, _ = self._socket.recvmsg(MAX_MESSAGE, _CONTROL_SPACE, socket.MSG_CMSG_CLOEXEC)
        except ConnectionResetError:  # it died with messages of ours unread
            return None
        fds = descriptors_in(control)
        if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
            for fd in fds:
                os.close(fd)
            raise ValueError("a message was cut short: too large, or this process is out of file descriptors")
        if not packet:
            return None
        return msgpack.unpackb(packet), fds

    def unread(self) -> bool:
        """Whether the peer has not taken everything that was sent."""
        return fcntl.ioctl(self._socket, termios.TIOCOUTQ, b"\0" * 4) != b"\0" * 4

    def close(self) -> None:
        """Close this end; the peer's `receive` returns None after the messages already sent."""
        self._socket.close()


def rights(fds: Sequence[int]) -> list[tuple[int, int, "array.array[int]"]]:
    """What `sendmsg` takes beside a packet to pass `fds` on."""
    return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []


def descriptors_in(control: Sequence[tuple[int, int, bytes]]) -> list[int]:
    """The descriptors that came beside a packet; the caller owns them."""
    fds = array.array("i")
    for level, kind, data in control:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
    return list(fds)


def write_body(body: bytes) -> int:
    """A sealed memfd holding `body`: the caller closes it, nobody can change it."""
    fd = os.memfd_create("waypointd-snapshot", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    write_at(fd, 0, body)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL)
    return fd


def open_body() -> int:
    """An empty memfd to which bodies are added with `write_at`: it grows, and does not shrink under who reads it."""
    fd = os.memfd_create("waypointd-kept", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)
    return fd


def write_at(fd: int, position: int, body: bytes) -> None:
    """All of `body`, from that place in the file on."""
    written = 0
    while written < len(body):
        written += os.pwrite(fd, memoryview(body)[written:], position + written)


def read_body(fd: int) -> bytes:
    """All bytes of a body; does not move the file offset, which other holders of the memfd share."""
    size = os.fstat(fd).st_size
    parts: list[bytes] = []
    position = 0
    while position < size:
        parts.append(os.pread(fd, size - position, position))
        position += len(parts[-1])
    return b"".join(parts)
