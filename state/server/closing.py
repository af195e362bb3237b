"""A connection whose end takes back what it has sent, as far as that is still ours.

A report that was given up shall not arrive later. Closed the usual way, what the network has not taken yet is sent on
by the kernel, for minutes if need be, and reaches the server when a partition ends. Closed by a reset, it is thrown
away. What lies in the server's own buffer (it hangs, but its kernel does not) cannot be taken back.
"""

import socket
import struct

from redis.connection import AbstractConnection

_AT_ONCE = struct.pack("ii", 1, 0)


def reset_when_closed(connection: AbstractConnection) -> None:
    """For `redis_connect_func`: what redis-py does with a new connection, and its way of ending."""
    sock = connection._sock
    if sock is not None and sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    connection.on_connect()  # type: ignore[no-untyped-call]
