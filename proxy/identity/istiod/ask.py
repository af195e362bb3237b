"""One request for a certificate: token and root as they are mounted now, a new key, TLS to istiod, CreateCertificate.

Blocking, with a deadline. Everything that can go wrong is a NotSigned, which says what to do. As Istio's agent asks it:
istio/istio, security/pkg/nodeagent/caclient/providers/citadel/client.go; pilot/pkg/grpc/grpc.go for TLS.
"""

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from proxy import addresses
from proxy.identity.certificates import Contents, content
from proxy.identity.http2 import Http2, Http2Fault
from proxy.identity.istiod import messages, reasons, signing, token
from proxy.identity.istiod.authority import Authority
from proxy.identity.istiod.call import Refused, call
from proxy.identity.istiod.token import Token
from proxy.wire.tls.mesh import ALPN, reason_of, refusal_of_protocol

METHOD = "/istio.v1.auth.IstioCertificateService/CreateCertificate"
PATIENCE_S = 10.0
"""For all of it. The name is looked up besides, with the resolver's own patience."""


class NotSigned(Exception):
    """There is no certificate; the text says why, and what to do about it."""


class Mounted(NamedTuple):
    """What the two files hold, or why that cannot be read. They are renewed and replaced while we run."""

    token: bytes | str
    roots: bytes | str


def mounted(authority: Authority) -> Mounted:
    """As they are now."""
    return Mounted(content(authority.token_file), content(authority.root_file))


def faults_of(found: Mounted, authority: Authority, now: float) -> list[str]:
    """What is wrong before istiod is asked at all."""
    faults = []
    try:
        if wrong := token.read(found.token).wrong(now):
            faults.append(reasons.of_token_file(authority.token_file, wrong))
    except ValueError as fault:
        faults.append(reasons.of_token_file(authority.token_file, fault))
    try:
        _context(found.roots)
    except ValueError as fault:
        faults.append(reasons.of_root_file(authority.root_file, fault))
    return faults


def ask(authority: Authority, found: Mounted, now: float) -> Contents:
    """A certificate, its key and the roots, as the files of --tls-dir would be, unchecked. Raises NotSigned."""
    try:
        ours, context = token.read(found.token), _context(found.roots)
    except ValueError as fault:
        raise NotSigned("; ".join(faults_of(found, authority, now))) from fault
    key = signing.new_key()
    csr = signing.csr_of(key, f"spiffe://{authority.trust_domain}/{ours.account}" if ours.account else "")
    with _connection(authority, context, time.monotonic() + PATIENCE_S) as http2:
        answer = _answer(http2, authority, ours, messages.request(csr, authority.seconds), now)
    try:
        return signing.contents_of(messages.chain_of(answer), key)
    except ValueError as fault:
        raise NotSigned(f"its answer cannot be used: {fault}") from fault


def _answer(http2: Http2, authority: Authority, token: Token, request: bytes, now: float) -> bytes:
    metadata = (("authorization", f"Bearer {token.text}"), ("clusterid", authority.cluster))
    try:
        return call(http2, authority.server_name, METHOD, metadata, request, PATIENCE_S)
    except Refused as refused:
        raise NotSigned(reasons.of_refusal(refused, token, authority.cluster, now)) from refused
    except (OSError, Http2Fault) as fault:
        reason = reason_of(fault) if isinstance(fault, OSError) else str(fault)
        raise NotSigned(f"no answer: {reason}") from fault
    except ValueError as fault:
        raise NotSigned(f"its answer cannot be used: {fault}") from fault


# -- connecting -------------------------------------------------------------------------------------------------------


@contextmanager
def _connection(authority: Authority, context: ssl.SSLContext, end: float) -> Iterator[Http2]:
    """HTTP/2 to an istiod that is who it should be; closed afterwards."""
    try:
        plain = socket.create_connection(addresses.split(authority.place), PATIENCE_S)
    except OSError as fault:
        raise NotSigned(reasons.of_connecting(fault)) from fault
    with plain:
        try:
            plain.settimeout(_left(end))
            tls = context.wrap_socket(plain, server_hostname=authority.server_name)
        except OSError as fault:
            raise NotSigned(reasons.of_handshake(fault, authority.root_file, authority.server_name)) from fault
        with tls:
            yield _speak_http2(tls, end)


def _context(roots: bytes | str) -> ssl.SSLContext:
    """Verifies chain and name of who answers. ValueError if there are no roots to do it with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols([ALPN])
    if isinstance(roots, str):
        raise ValueError(roots)
    try:
        context.load_verify_locations(cadata=roots.decode("ascii", "ignore"))  # what is not of it is in comments
    except (ssl.SSLError, ValueError):
        raise ValueError("holds no certificate in PEM form, or a broken one") from None
    return context


def _speak_http2(tls: ssl.SSLSocket, end: float) -> Http2:
    if refusal := refusal_of_protocol(tls.selected_alpn_protocol()):
        raise NotSigned(f"TLS: {refusal}: istiod's port for this is 15012")
    try:
        return Http2(_Timed(tls, end))
    except OSError as fault:
        raise NotSigned(f"no answer: {reason_of(fault)}") from fault


def _left(end: float) -> float:
    """Seconds until `end`, on the monotonic clock. Raises TimeoutError if there are none."""
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left


class _Timed:
    """A socket whose every step has no longer than what is left until `end`."""

    def __init__(self, under: ssl.SSLSocket, end: float) -> None:
        self._under = under
        self._end = end

    def sendall(self, data: bytes) -> None:
        """As a socket's."""
        self._under.settimeout(_left(self._end))
        self._under.sendall(data)

    def recv(self, count: int) -> bytes:
        """As a socket's."""
        self._under.settimeout(_left(self._end))
        return self._under.recv(count)
