"""The way into a mesh, step by step, for `hbone-get`: TCP, TLS, HTTP/2, CONNECT, each told as it happens.

As ztunnel goes it (TLS 1.3, ALPN h2, no SNI; SETTINGS; CONNECT), and written apart from the data path, so that the two
can be held against each other.
"""

import os
import socket
import ssl
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from proxy import addresses
from proxy.identity.certificates import stamp
from proxy.identity.http2 import Http2, Http2Fault
from proxy.wire.tls.mesh import reason_of, refusal_of_protocol

NO_TCP, TLS_REFUSED, CONNECT_REFUSED, NO_ANSWER = 3, 4, 5, 6
"""Exit statuses, by the step that failed."""


class Failed(Exception):
    """A step failed: which (an exit status), why, and what to look at."""

    def __init__(self, status: int, why: str, look_at: str) -> None:
        super().__init__(why)
        self.status = status
        self.look_at = look_at


@dataclass(frozen=True, slots=True)
class Credentials:
    """Files with who we are (a chain and its key) and whom we trust."""

    chain: Path
    key: Path
    roots: Path


class Trace:
    """Tells on standard error what happens: `*` what is found, `>` what is sent, `<` what comes, `!` what fails."""

    def __init__(self, silent: bool) -> None:
        self._silent = silent
        self.begin()

    def begin(self) -> None:
        """Measure from now."""
        self._began = self._last = time.monotonic()

    def say(self, mark: str, text: str) -> None:
        """One line."""
        if not self._silent or mark == "!":
            print(f"{mark} {text}".rstrip(), file=sys.stderr)

    def step(self, mark: str, text: str) -> None:
        """One line, with the milliseconds since the step before."""
        now = time.monotonic()
        self.say(mark, f"{text} ({(now - self._last) * 1000:.1f} ms)")
        self._last = now

    def done(self) -> None:
        """How long it was in all."""
        self.say("*", f"done in {(time.monotonic() - self._began) * 1000:.1f} ms")


def open_tunnel(place: str, authority: str, credentials: Credentials, timeout: float, trace: Trace) -> Http2:
    """A tunnel to `authority` through the waypoint at `place` (`host:port`). Raises Failed."""
    context = _context(credentials, trace)
    trace.begin()
    tls = _shake_hands(context, _connect(place, timeout, trace), place, timeout, trace)
    return _ask_for(authority, _speak_http2(tls, trace), tls, trace)


def _connect(place: str, timeout: float, trace: Trace) -> socket.socket:
    host, port = addresses.split(place)
    try:
        plain = socket.create_connection((host, port), timeout)
    except OSError as fault:
        raise Failed(NO_TCP, f"no TCP connection to {place}: {reason_of(fault)}", _TCP_HINT) from fault
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    trace.step("*", f"TCP: connected to {_shown(plain.getpeername())} from {_shown(plain.getsockname())}")
    return plain


_TCP_HINT = (
    "does waypointd run there, has its Gateway a listener of protocol HBONE, and has it certificates for it "
    "(--tls-dir)? curl http://HOST:15021/healthz/ready and its log say"
)


# -- TLS --------------------------------------------------------------------------------------------------------------


def _context(credentials: Credentials, trace: Trace) -> ssl.SSLContext:
    """Raises Failed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["h2"])
    try:
        context.load_verify_locations(cafile=credentials.roots)
        context.load_cert_chain(credentials.chain, credentials.key, password="")
        ours = x509.load_pem_x509_certificate(credentials.chain.read_bytes())
    except (OSError, ValueError) as fault:
        files = ", ".join(os.fspath(each) for each in (credentials.chain, credentials.key, credentials.roots))
        reason = reason_of(fault) if isinstance(fault, OSError) else str(fault)
        raise Failed(TLS_REFUSED, f"our certificate cannot be used: {reason}", f"the files {files}") from fault
    trace.say("*", f"we are {_described(ours)}")
    return context


def _shake_hands(
    context: ssl.SSLContext, plain: socket.socket, place: str, timeout: float, trace: Trace
) -> ssl.SSLSocket:
    try:
        tls = context.wrap_socket(plain)
    except ssl.SSLCertVerificationError as fault:
        plain.close()
        for line in _presented(context, place, timeout):
            trace.say("*", line)
        raise Failed(TLS_REFUSED, f"TLS: {reason_of(fault)}", _ROOT_HINT) from fault
    except OSError as fault:
        plain.close()
        hint = f"is that port an HBONE listener? {_TLS_HINT}"
        raise Failed(TLS_REFUSED, f"TLS: {reason_of(fault)}", hint) from fault
    version, cipher, protocol = tls.version(), tls.cipher(), tls.selected_alpn_protocol()
    trace.step("*", f"TLS: {version}, {cipher[0] if cipher else 'no cipher'}, ALPN {protocol or 'none'}")
    trace.say("*", f"it is {_described(x509.load_der_x509_certificate(tls.getpeercert(True) or b''))}")
    if refusal := refusal_of_protocol(protocol):
        tls.close()
        raise Failed(TLS_REFUSED, f"TLS: {refusal}", "is that port an HBONE listener?")
    return tls


def _presented(context: ssl.SSLContext, place: str, timeout: float) -> list[str]:
    """Who it says it is, asked again without checking: the reason to refuse it may be in there."""
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection(addresses.split(place), timeout) as plain,
            context.wrap_socket(plain) as tls,
        ):
            return [f"it says it is {_described(x509.load_der_x509_certificate(tls.getpeercert(True) or b''))}"]
    except (OSError, ValueError):
        return []  # it has been told already why it does not work


def _described(certificate: x509.Certificate) -> str:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except (x509.ExtensionNotFound, ValueError):
        uris = []
    end = certificate.not_valid_after_utc.timestamp()
    when = f"{'expired' if end < time.time() else 'valid until'} {stamp(end)}"
    issuer = certificate.issuer.rfc4514_string() or "nobody named"
    return f"{', '.join(uris) or 'without a SPIFFE URI'} (issued by {issuer}, {when})"


_ROOT_HINT = "is our root (--ca, or root-cert.pem) that of its CA? Its own: curl http://127.0.0.1:15000/certs beside it"
_DOMAIN_HINT = "does it accept our trust domain?"
_TLS_HINT = "Its log names the reason and our address; whom it trusts: curl http://127.0.0.1:15000/certs beside it"


# -- HTTP/2 -----------------------------------------------------------------------------------------------------------


def _speak_http2(tls: ssl.SSLSocket, trace: Trace) -> Http2:
    try:
        connection = Http2(tls)
        connection.await_settings()
    except OSError as first:  # a TLS 1.3 client hears only now that its certificate was refused
        fault = _last_words(tls) or first
        step = "TLS" if isinstance(fault, ssl.SSLError) else "HTTP/2: no SETTINGS"
        hint = f"{_DOMAIN_HINT} {_TLS_HINT}" if isinstance(fault, _GONE) else _TLS_HINT
        raise Failed(TLS_REFUSED, f"{step}: {_reason(fault)}", hint) from fault
    except Http2Fault as fault:
        raise Failed(TLS_REFUSED, f"HTTP/2: no SETTINGS: {fault}", f"{_DOMAIN_HINT} {_TLS_HINT}") from fault
    settings = ", ".join(f"{name} {value}" for name, value in connection.settings.items())
    trace.step("*", f"HTTP/2: settings {settings or 'all default'}")
    return connection


# How a peer that has closed without a word is met: by what we send before we read that it is gone, or were about to.
_GONE = (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError)


def _reason(fault: OSError) -> str:
    return "it closed the connection" if isinstance(fault, _GONE) else reason_of(fault)


def _last_words(tls: ssl.SSLSocket) -> ssl.SSLError | None:
    """The alert of a peer that has closed: it may lie there unread when a write has failed."""
    try:
        tls.recv(1)
    except ssl.SSLEOFError:
        return None
    except ssl.SSLError as fault:
        return fault
    except OSError:
        return None  # there is none
    return None


def _ask_for(authority: str, connection: Http2, tls: ssl.SSLSocket, trace: Trace) -> Http2:
    sent = [(":method", "CONNECT"), (":authority", authority), ("forwarded", f'for="{_shown(tls.getsockname())}"')]
    trace.say(">", f"CONNECT {authority}")
    for name, value in sent[2:]:
        trace.say(">", f"{name}: {value}")
    try:
        connection.ask(sent, end=False)
        status = connection.await_status()
    except Http2Fault as fault:
        raise Failed(CONNECT_REFUSED, f"CONNECT {authority}: {fault}", _CONNECT_HINTS[0]) from fault
    except OSError as fault:
        reason = f"CONNECT {authority}: no answer: {_reason(fault)}"
        raise Failed(CONNECT_REFUSED, reason, _CONNECT_HINTS[0]) from fault
    trace.step("<", f"CONNECT answered {status}")
    for name, value in connection.headers[1:]:
        trace.say("<", f"{name}: {value}")
    if status != 200:
        hint = _CONNECT_HINTS.get(status, _CONNECT_HINTS[0])
        raise Failed(CONNECT_REFUSED, f"CONNECT {authority}: refused with {status}", hint)
    return connection


_CONNECT_HINTS = {
    0: f"{_DOMAIN_HINT} Its log and its access log have a line for it",
    400: "the target must be ADDRESS:PORT, [IPV6]:PORT or NAME:PORT",
    401: "a policy there is against it",
    403: "a policy there is against it: an AuthorizationPolicy it cannot enforce closes its target",
    404: "no Service of that Gateway has this address or name and port: is it labelled istio.io/use-waypoint? "
    "curl http://127.0.0.1:15000/config_dump beside it lists what it answers to",
    503: "the Service has no ready endpoint, or (asking a ztunnel) its app refuses connections",
}


def _shown(place: tuple[str, int]) -> str:
    return addresses.join(*place[:2])
