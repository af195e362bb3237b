"""TLS to Redis: what connections are made with.

redis-py makes an SSLContext for every connection, trusts whom the system trusts beside the CA it is given, and reads
the system's certificates for that: 30 ms in which a worker does nothing else. Here a context is made once, and again
when a file has changed; with a CA of its own it trusts no other.
"""

import os
import socket
import ssl
from typing import Any

import redis

from state.server.access import Access

_Stamp = tuple[int, int, int]


class Contexts:
    """The TLS of one client; `current` reads files only when one of them is another than before."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._files = [name for name in (access.redis_ca, access.redis_cert, access.redis_key) if name]
        self._made: tuple[list[_Stamp], ssl.SSLContext] | None = None

    def current(self) -> ssl.SSLContext:
        """What the files say now. Raises OSError, of which ssl.SSLError is one, if they cannot be used."""
        stamps = [_stamp(file) for file in self._files]
        if self._made is None or self._made[0] != stamps:
            self._made = stamps, self._make()
        return self._made[1]

    def _make(self) -> ssl.SSLContext:
        access = self._access
        context = ssl.create_default_context(cafile=access.redis_ca)
        # One and the same on every Python. 3.13 has both by default: an intermediate CA may be whom we trust, which we
        # want, and a CA must say what its key is for (RFC 5280), which those that `openssl req -x509` makes do not.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if access.redis_cert:
            # Without a password OpenSSL would ask the terminal for that of an encrypted key.
            context.load_cert_chain(access.redis_cert, access.redis_key, password="")
        return context


def _stamp(file: str) -> _Stamp:
    found = os.stat(file)
    return found.st_mtime_ns, found.st_size, found.st_ino


class _Secured:
    """Goes before a connection class of redis-py that speaks TLS."""

    contexts: Contexts
    host: str

    def _wrap_socket_with_ssl(self, sock: socket.socket) -> ssl.SSLSocket:
        return self.contexts.current().wrap_socket(sock, server_hostname=self.host)


def secure(client: redis.Redis, contexts: Contexts) -> redis.Redis:
    """Has all connections of a client, which was made with `ssl=True`, use these contexts."""
    pool: Any = client.connection_pool
    pool.connection_class = type("SecuredConnection", (_Secured, pool.connection_class), {"contexts": contexts})
    return client
