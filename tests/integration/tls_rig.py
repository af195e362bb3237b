"""TLS servers as endpoints: what each was asked for and by whom, what it refused; and the files that rules name."""

import contextlib
import os
import socket
import ssl
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.certificates import Leaf
from tests.integration.http_rig import Handler, Peer

Json = dict[str, Any]
_SNI, _ALPN = 0, 16


@dataclass(frozen=True)
class Hello:
    """What a ClientHello offers (RFC 8446 4.1.2)."""

    sni: str
    alpn: tuple[str, ...]


@dataclass(frozen=True)
class Meeting:
    """A handshake that came to its end. `client`: the serial number of the client's certificate, "" for none."""

    hello: Hello
    protocol: str
    version: str
    client: str


def hello_in(record: bytes) -> Hello:
    """The ClientHello that the connection begins with."""
    at = 5 + 4 + 2 + 32
    at += 1 + record[at]
    at += 2 + int.from_bytes(record[at : at + 2])
    at += 1 + record[at]
    end = at + 2 + int.from_bytes(record[at : at + 2])
    at, sni, alpn = at + 2, "", []
    while at < end:
        kind, length = int.from_bytes(record[at : at + 2]), int.from_bytes(record[at + 2 : at + 4])
        inside, at = record[at + 4 : at + 4 + length], at + 4 + length
        if kind == _SNI:
            sni = inside[5:].decode()
        elif kind == _ALPN:
            rest = inside[2:]
            while rest:
                alpn.append(rest[1 : 1 + rest[0]].decode())
                rest = rest[1 + rest[0] :]
    return Hello(sni, tuple(alpn))


def context(leaf: Leaf, clients: bytes = b"", alpn: Sequence[str] = (), newest: ssl.TLSVersion | None = None) -> Any:
    """A server's; `clients` are the CAs of the client certificates that it demands."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as path:
        chain, key = Path(path) / "chain", Path(path) / "key"
        chain.write_bytes(leaf.chain)
        key.write_bytes(leaf.key)
        made.load_cert_chain(chain, key)
    if clients:
        made.verify_mode = ssl.CERT_REQUIRED
        made.load_verify_locations(cadata=clients.decode())
    if alpn:
        made.set_alpn_protocols(list(alpn))
    if newest:
        made.maximum_version = newest
    return made


@dataclass
class TlsApp:
    """A handler for `Scripted` endpoints: TLS by `context`, and what `inside` does in it."""

    context: ssl.SSLContext
    inside: Handler
    hellos: list[Hello] = field(default_factory=list)
    meetings: list[Meeting] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def __call__(self, peer: Peer) -> None:
        first = peer.sock.recv(4096, socket.MSG_PEEK)
        if not first:
            return
        self.hellos.append(hello_in(first) if first[0] == 22 else Hello("in clear text", ()))
        try:
            peer.sock = self.context.wrap_socket(peer.sock, server_side=True)
        except OSError as fault:
            self.refused.append(str(fault))
            peer.sock.close()
            return
        self.meetings.append(self._met(peer.sock))
        self.inside(peer)

    def _met(self, sock: ssl.SSLSocket) -> Meeting:
        shown = sock.getpeercert() or {}
        serial = str(shown.get("serialNumber", "")).lower().lstrip("0")
        return Meeting(self.hellos[-1], sock.selected_alpn_protocol() or "", sock.version() or "", serial)


@dataclass(frozen=True)
class Files:
    """What rules name: CAs, our certificate and key, who is revoked. Written whole, as mounted Secrets are."""

    path: Path

    def put(self, name: str, content: bytes) -> str:
        temporary = self.path / f".{name}"
        temporary.write_bytes(content)
        temporary.rename(self.path / name)
        return str(self.path / name)

    def of(self, name: str) -> str:
        return str(self.path / name)


def tls_rule(
    name: str, tls: Json, http: Json | None = None, connect_timeout: str = "2s", connections: int = 0, **more: Any
) -> Json:
    """A DestinationRule for the Service of that name; nothing is ejected. `connections`: at most, 0: as many as one
    likes."""
    tcp = {"connectTimeout": connect_timeout} | ({"maxConnections": connections} if connections else {})
    pool: Json = {"tcp": tcp} | ({"http": http} if http else {})
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": {"name": name, "namespace": "httpbin"},
        "spec": {"host": name, "trafficPolicy": {"tls": tls, "connectionPool": pool} | more},
    }


@contextlib.contextmanager
def system_roots(pem: bytes) -> Iterator[None]:
    """Whom what is started meanwhile trusts as its system's CAs."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(pem)
        file.flush()
        before = os.environ.get("SSL_CERT_FILE")
        os.environ["SSL_CERT_FILE"] = file.name
        try:
            yield
        finally:
            if before is None:
                del os.environ["SSL_CERT_FILE"]
            else:
                os.environ["SSL_CERT_FILE"] = before
