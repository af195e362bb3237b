"""The ztunnel of a destination pod: HBONE on podIP:15008 before an app on podIP:port (its src/proxy/inbound.rs)."""

import re
import socket
import ssl
import threading
from dataclasses import dataclass, field
from typing import Self

from h2.exceptions import ProtocolError
from hyperframe.frame import SettingsFrame as S

from tests.hbone.http2 import Connection
from tests.hbone.identities import Leaf, context
from tests.hbone.joined import Joined
from tests.hbone.stream import Stream
from tests.listening import Listening

SETTINGS = {
    S.MAX_CONCURRENT_STREAMS: 200,
    S.INITIAL_WINDOW_SIZE: 4 << 20,
    S.MAX_FRAME_SIZE: 1 << 20,
    S.MAX_HEADER_LIST_SIZE: 64 << 10,
}
WINDOW = 16 << 20
PORT = 15008
FORBIDDEN = (15001, 15006, 15008)
_AUTHORITY = re.compile(r"(?:\[(?P<six>[0-9a-fA-F:]+)\]|(?P<host>[^:\[\]]+)):(?P<port>\d{1,5})$")


@dataclass
class Connect:
    """A CONNECT as it came, and what it was answered."""

    authority: str
    headers: dict[str, str]
    identity: str
    status: int = 0


@dataclass
class Destination:
    """Answers as ztunnel does, or (`answer`) with one status always; `hold`, while it is clear, delays answers."""

    ip: str
    leaf: Leaf
    roots: bytes
    trust_domain: str = "cluster.local"
    port: int = PORT
    answer: int | None = None
    settings: dict[int, int] = field(default_factory=lambda: dict(SETTINGS))
    connects: list[Connect] = field(default_factory=list)
    connections: list[Connection] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    hold: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.hold.set()
        self._context = context(self.leaf, self.roots, server=True)
        self._listening = Listening(self.ip, self.port, self._begin)

    def start(self) -> None:
        self._listening.start()

    def stop(self) -> None:
        """Killed: nobody listens, and every connection is gone."""
        self._listening.stop()
        self.drop()

    def present(self, leaf: Leaf) -> None:
        """New connections see this certificate."""
        self.leaf = leaf
        self._context = context(leaf, self.roots, server=True)

    def drop(self) -> None:
        """Closes the connections there are."""
        for connection in self.connections:
            connection.close()
        self.connections.clear()

    def forget(self) -> None:
        self.connects.clear()
        self.refused.clear()

    def alive(self) -> list[Connection]:
        return [connection for connection in self.connections if not connection.closed]

    def _begin(self, sock: socket.socket) -> None:
        sock.settimeout(10)
        try:
            made = Connection(
                sock, self._context, server=True, settings=self.settings, window=WINDOW, serve=self._serve, early=True
            )
        except (OSError, ssl.SSLError) as error:
            self.refused.append(repr(error))
            sock.close()
            return
        self.connections.append(made)
        if not made.identity.startswith(f"spiffe://{self.trust_domain}/"):
            self.refused.append(f"trust domain: {made.identity}")
            made.close()

    def _serve(self, stream: Stream) -> None:
        asked = Connect(stream.headers.get(":authority", ""), stream.headers, stream.connection.identity)
        self.connects.append(asked)
        self.hold.wait(20)
        asked.status, app = self._reach(stream, asked.authority)
        try:
            stream.connection.respond(stream, [(":status", str(asked.status))], end=app is None)
        except ProtocolError:  # the client has given up on it
            stream.cancel()
        if app:
            Joined(stream, app).run()

    def _reach(self, stream: Stream, authority: str) -> tuple[int, socket.socket | None]:
        """(status, the app's socket): it connects before it answers."""
        if self.answer is not None and self.answer != 200:
            return self.answer, None
        match = _AUTHORITY.match(authority)
        if stream.headers.get(":method") != "CONNECT" or not match or self.ip not in (match["six"], match["host"]):
            return 400, None
        if int(match["port"]) in FORBIDDEN:
            return 503, None
        try:
            app = socket.create_connection((self.ip, int(match["port"])), 10)
        except OSError:
            return 503, None
        app.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        app.settimeout(None)
        return 200, app

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
