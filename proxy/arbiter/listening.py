"""Opens listening sockets. Only the arbiter does: a connection queued in the kernel survives other processes."""

import errno
import os
import socket

from proxy import addresses

BACKLOG = 4096
"""The kernel lowers it to net.core.somaxconn."""
UNSENT = 1048576
"""Bytes that the kernel holds for a client besides what is on its way to it, as for endpoints (wire/opening.pyx)."""

_REMEDIES = {
    errno.EADDRINUSE: "another process has this port: stop it, or change the Gateway's port or --bind",
    errno.EACCES: "ports below 1024 need CAP_NET_BIND_SERVICE",
    errno.EADDRNOTAVAIL: "this machine has no such address: change --bind",
}


def listen(address: str) -> socket.socket:
    """A non-blocking listening socket on `host:port`. Raises OSError."""
    host, port = addresses.split(address)
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if host == "::" else 1)
        _set_options(sock)
        sock.bind((host, port))
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def _set_options(sock: socket.socket) -> None:
    """What is accepted inherits them: so they are set once."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def explain(fault: OSError) -> str:
    """Why a socket could not be opened, and what to do about it."""
    if isinstance(fault, socket.gaierror):
        return "no address is known by this name: give --bind an address of this machine, not the name of an interface"
    reason = os.strerror(fault.errno) if fault.errno and fault.errno > 0 else str(fault)
    remedy = _REMEDIES.get(fault.errno or 0, "")
    return f"{reason} ({remedy})" if remedy else reason
