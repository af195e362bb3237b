"""The ztunnel of a client pod, as far as its sources (src/proxy/h2/client.rs, outbound.rs, pool.rs) tell.

Two things differ on the wire, and no server may care: OpenSSL also offers ChaCha20 and says it could resume a session.
"""

import contextlib
import itertools
import socket
import threading
from typing import Self

from hyperframe.frame import SettingsFrame as S

from tests.hbone.http2 import Connection
from tests.hbone.identities import Leaf, context, spiffe
from tests.hbone.stream import Headers, Stream

SETTINGS = {
    S.ENABLE_PUSH: 0,
    S.INITIAL_WINDOW_SIZE: 4 << 20,
    S.MAX_FRAME_SIZE: 1 << 20,
    S.MAX_HEADER_LIST_SIZE: 16 << 10,
}
WINDOW = 16 << 20
STREAMS = 100
WAYPOINT = spiffe("httpbin-waypoint")
_traces = itertools.count(1)


class Refused(Exception):
    """A CONNECT was answered with another status than 200."""

    def __init__(self, status: int) -> None:
        super().__init__(f"http status: {status}")
        self.status = status


def connect_headers(authority: str, client: str, service: str = "", namespace: str = "httpbin") -> Headers:
    """Fields of a CONNECT in ztunnel's order. `client` is the app's own ip:port, `service` the hostname it meant."""
    baggage = {
        "k8s.cluster.name": "Kubernetes",
        "k8s.namespace.name": namespace,
        "k8s.deployment.name": "client-in-ambient",
        "service.name": "client-in-ambient",
        "service.version": "latest",
    }
    return [
        (":method", "CONNECT"),
        (":authority", authority),
        ("baggage", ",".join(f"{key}={value}" for key, value in baggage.items())),
        ("forwarded", f'for="{client}"' + (f";host={service}" if service else "")),
        ("traceparent", f"00-{next(_traces):032x}-b7ad6b7169203331-00"),
    ]


class Ztunnel:
    """Opens tunnels to waypoint pods for one client pod, whose address and certificate it uses.

    A connection carries up to 100 tunnels and is left alone after that, or after a GOAWAY; the next one goes to the
    next of `waypoints`.
    """

    def __init__(
        self, waypoints: list[tuple[str, int]], leaf: Leaf | None, roots: bytes, pod: str = "", waypoint: str = WAYPOINT
    ) -> None:
        self.waypoints, self.pod, self._identity = waypoints, pod, waypoint
        self._context = context(leaf, roots, server=False)
        self._lock = threading.Lock()
        self._next = itertools.cycle(waypoints)
        self._pooled: Connection | None = None
        self._used = 0
        self._ports = itertools.count(40000)
        self.connections: list[Connection] = []

    def connect(self, timeout: float = 10.0) -> Connection:
        """A connection of one's own; the pool does not know it."""
        peer = next(self._next)
        sock = socket.create_connection(peer, timeout, source_address=(self.pod, 0) if self.pod else None)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            made = Connection(sock, self._context, server=False, settings=SETTINGS, window=WINDOW, early=True)
        except BaseException:
            sock.close()
            raise
        self.connections.append(made)
        if made.identity != self._identity:
            made.close()
            raise ConnectionError(f"the waypoint is {made.identity!r}, not {self._identity!r}")
        return made

    def pooled(self) -> Connection:
        """The connection for one more tunnel."""
        with self._lock:
            now = self._pooled
            if now is None or now.closed or now.goaways or self._used >= STREAMS:
                now = self._pooled = self.connect()
                self._used = 0
            self._used += 1
            return now

    def ask(
        self, authority: str, service: str = "", *, over: Connection | None = None, more: Headers | None = None
    ) -> Stream:
        """Sends a CONNECT and does not wait for its answer."""
        client = f"{self.pod or '127.0.0.1'}:{next(self._ports)}"
        headers = connect_headers(authority, client, service) + (more or [])
        return (over or self.pooled()).request(headers)

    def tunnel(
        self, authority: str, service: str = "", *, over: Connection | None = None, more: Headers | None = None
    ) -> Stream:
        """An open tunnel. Raises Refused, ConnectionResetError, TimeoutError."""
        stream = self.ask(authority, service, over=over, more=more)
        stream.answered()
        if stream.status != 200:
            raise Refused(stream.status)
        return stream

    def close(self) -> None:
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
