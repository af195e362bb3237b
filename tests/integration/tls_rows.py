"""Rules with `trafficPolicy.tls` and the endpoints that they are for, row by row of destinationrule.md 1.5; and what
they do inside TLS, and instead."""

import contextlib
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.certificates import Authority, Leaf
from tests.hbone.http2 import Connection
from tests.hbone.stream import Stream
from tests.integration.hbone_rig import DOMAIN, H2, serve_name
from tests.integration.http_rig import Peer
from tests.integration.tls_rig import Files, context

Json = dict[str, Any]
CA, OTHERS, SYSTEM = Authority(name="endpoints"), Authority(name="strangers"), Authority(name="public")
OURS = CA.leaf("", names=["waypoint.example"])
REVOKED = CA.leaf("", names=["revoked.example"])
SNI = "api.example"


def host(name: str) -> str:
    return f"{name}.{DOMAIN}"


@dataclass(frozen=True)
class Row:
    """A Service whose rule has `tls`, and whose endpoint is `leaf`'s. `flags` and `said` are in the log; both "" when
    it works. `sni`: what the endpoint is told."""

    name: str
    tls: Json
    leaf: Callable[[str], Leaf] = lambda name: CA.leaf("", names=[host(name)])
    clients: bytes = b""
    said: str = ""
    sni: str = ""
    shows: bool = False
    server: Json = field(default_factory=dict)


def named(*names: str) -> Callable[[str], Leaf]:
    return lambda _: CA.leaf("", names=names)


CA_FILE = {"caCertificates": "ca.pem"}
PAIR = {"clientCertificate": "ours.pem", "privateKey": "ours-key.pem"}
ROWS = [
    Row("simple", {"mode": "SIMPLE"} | CA_FILE),
    Row("tls12", {"mode": "SIMPLE"} | CA_FILE, server={"newest": ssl.TLSVersion.TLSv1_2}),
    Row("mutual", {"mode": "MUTUAL"} | PAIR | CA_FILE, clients=CA.pem, shows=True),
    Row("system", {"mode": "SIMPLE"}, leaf=lambda name: SYSTEM.leaf("", names=[host(name)])),
    Row("system-unknown", {"mode": "SIMPLE"}, said="certificate_refused:_self-signed|unable_to_get_local_issuer"),
    Row("sni", {"mode": "SIMPLE", "sni": SNI, "subjectAltNames": [SNI]} | CA_FILE, leaf=named(SNI), sni=SNI),
    Row("sni-alone", {"mode": "SIMPLE", "sni": SNI} | CA_FILE, leaf=named("another.example"), sni=SNI),
    Row("names", {"mode": "SIMPLE", "subjectAltNames": ["no.example", "*.w.example", "a.w.example"]} | CA_FILE,
        leaf=named("*.w.example")),
    Row("name-uri", {"mode": "SIMPLE", "subjectAltNames": ["spiffe://x/y"]} | CA_FILE,
        leaf=lambda _: CA.leaf("spiffe://x/y")),
    Row("name-address", {"mode": "SIMPLE", "subjectAltNames": ["10.1.2.3"]} | CA_FILE, leaf=named("10.1.2.3")),
    Row("wrong-name", {"mode": "SIMPLE", "subjectAltNames": ["right.example"]} | CA_FILE, leaf=named("wrong.example"),
        said="certificate_refused:_hostname_mismatch"),
    Row("wrong-host", {"mode": "SIMPLE"} | CA_FILE, leaf=named("wrong.example"),
        said="certificate_refused:_hostname_mismatch"),
    Row("wrong-ca", {"mode": "SIMPLE"} | CA_FILE, leaf=lambda name: OTHERS.leaf("", names=[host(name)]),
        said="certificate_refused:_unable_to_get_local_issuer"),
    Row("expired", {"mode": "SIMPLE"} | CA_FILE,
        leaf=lambda name: CA.leaf("", names=[host(name)], starts=-7200, lasts=-3600),
        said="certificate_refused:_certificate_has_expired"),
    Row("unverified", {"mode": "SIMPLE", "insecureSkipVerify": True},
        leaf=lambda _: OTHERS.leaf("", names=["wrong.example"], starts=-7200, lasts=-3600)),
    Row("revoked", {"mode": "SIMPLE", "caCrl": "crl.pem", "subjectAltNames": ["revoked.example"]} | CA_FILE,
        leaf=lambda _: REVOKED, said="certificate_refused:_certificate_revoked"),
    Row("not-revoked", {"mode": "SIMPLE", "caCrl": "crl.pem"} | CA_FILE),
    Row("client-demanded", {"mode": "SIMPLE"} | CA_FILE, clients=CA.pem,
        said="it_refused_ours:_a_certificate_is_required"),
    Row("client-demanded12", {"mode": "SIMPLE"} | CA_FILE, clients=CA.pem, said="it_refused_ours",
        server={"newest": ssl.TLSVersion.TLSv1_2}),
    Row("client-unknown", {"mode": "MUTUAL"} | PAIR | CA_FILE, clients=OTHERS.pem, said="it_refused_ours:_unknown_CA"),
    Row("missing", {"mode": "SIMPLE", "caCertificates": "none.pem"}, said="TLS_error:_caCertificates:_/"),
]  # fmt: skip
BOTH = [("", False), ("-in-hbone", True)]


def with_paths(tls: Json, files: Files) -> Json:
    names = ("clientCertificate", "privateKey", "caCertificates", "caCrl")
    return {field: files.of(value) if field in names else value for field, value in tls.items()}


def plain(peer: Peer) -> None:
    """Says what came first, and hangs up."""
    peer.more()
    peer.endpoint.bodies.append(peer.buffer)
    peer.send(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")


def silent(peer: Peer) -> None:
    """Takes what comes, and says nothing."""
    while peer.more():
        peer.buffer = b""


def dripping(peer: Peer) -> None:
    """Its half of the handshake comes byte by byte."""
    arriving, leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context(CA.leaf("", names=["app.example"])).wrap_bio(arriving, leaving, server_side=True)
    arriving.write(peer.sock.recv(4096))
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    for byte in leaving.read():
        peer.send(bytes([byte]))
        time.sleep(0.05)


def h2_inside(peer: Peer) -> None:
    """HTTP/2 over the TLS that there is: answers with path and scheme."""

    def serve(stream: Stream) -> None:
        while stream.recv(1 << 18):
            pass
        stream.connection.respond(stream, [(":status", "200")])
        stream.sendall(f"{stream.headers[':path']} {stream.headers[':scheme']}".encode())
        stream.finish()

    made = Connection(peer.sock, None, server=True, settings=H2, window=1 << 24, serve=serve)
    peer.endpoint.connections.append(made)
    made.wait_until(lambda one: one.closed, 120)


def h2_or_name(peer: Peer) -> None:
    (h2_inside if peer.sock.selected_alpn_protocol() == "h2" else serve_name)(peer)
