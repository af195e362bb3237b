"""TLS as the mesh speaks it: contexts out of PEM bytes, who a peer is, and why one is refused.

TLS 1.3 with ALPN `h2` and a client certificate, no tickets, no SNI, no name checks: as ztunnel and Istio's Envoy do on
port 15008 (context.pyx). The identity is the one SPIFFE URI of the peer's certificate, `spiffe://TD/ns/NS/sa/SA`
(five segments, the SPIFFE X.509-SVID rule of exactly one URI), and that certificate none that may issue others. Knows
bytes only: reads no files, opens no sockets, logs nothing.
"""

import re
import ssl
from collections.abc import Sequence

from proxy.wire.tls.context import TlsContext

ALPN = "h2"

_SEGMENT = r"(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._-]+"  # never . or .. (SPIFFE-ID, 2.2)
_TRUST_DOMAIN = r"[a-z0-9._-]{1,255}"  # in small letters (2.1)
_SPIFFE = re.compile(rf"spiffe://({_TRUST_DOMAIN})/ns/({_SEGMENT})/sa/({_SEGMENT})")
LONGEST_IDENTITY = 2048
"""Octets of a SPIFFE ID, and 255 of them for the trust domain (SPIFFE-ID, 2.3)."""


class MeshTls:
    """Both roles of one certificate, in PEM; `trust_domains` are those whose peers are accepted."""

    def __init__(self, chain: bytes, key: bytes, roots: bytes, trust_domains: Sequence[str]) -> None:
        """Raises ssl.SSLError when OpenSSL cannot use them, ValueError when the certificate has no SPIFFE identity."""
        self.trust_domains: tuple[str, ...] = tuple(trust_domains)
        self.server = TlsContext(True, chain, key, roots)
        self.client = TlsContext(False, chain, key, roots)
        self.identity = identity_in(self.server.uris()) or ""
        if not self.identity:
            raise ValueError(NO_IDENTITY)

    def refusal(self, identity: str | None, uris: Sequence[str] = ()) -> str:
        """Why a peer of this identity may not talk to us; "" if it may. `uris` of its certificate, if it has none."""
        if not identity:
            return why_no_identity(uris)
        domain = trust_domain_of(identity)
        if domain in self.trust_domains:
            return ""
        return f"trust domain {domain} is not one of {', '.join(self.trust_domains)}"

    def refusal_of_endpoint(self, identity: str | None, expected: str, uris: Sequence[str] = ()) -> str:
        """As `refusal`, for an endpoint that has to be `ns/<ns>/sa/<sa>` in any of our trust domains; "" is any."""
        reason = self.refusal(identity, uris)
        if reason or not expected or not identity:
            return reason
        found = identity.partition("://")[2].partition("/")[2]
        return "" if found == expected else f"it is {found}, not {expected}"


NO_IDENTITY = "certificate has no SPIFFE URI"
_SHOWN = 100
"""Characters of a URI in a text: it is a stranger's."""


def trust_domain_of(identity: str) -> str:
    """The trust domain of a SPIFFE URI; "" if it is none."""
    found = _SPIFFE.fullmatch(identity) if len(identity) <= LONGEST_IDENTITY else None
    return found[1] if found else ""


def identity_in(uris: Sequence[str]) -> str | None:
    """The SPIFFE URI of a certificate whose names have these URIs. Two are none: which would it be?"""
    return uris[0] if len(uris) == 1 and trust_domain_of(uris[0]) else None


def why_no_identity(uris: Sequence[str]) -> str:
    """What `identity_in` finds wrong with these, for a log line: what of them is not printable ASCII is escaped."""
    if not any(uris):
        return NO_IDENTITY
    if len(uris) > 1:
        return f"certificate has {len(uris)} URIs, not one: {_shown(uris[0])}, {_shown(uris[1])}"
    return f"{NO_IDENTITY} of the form spiffe://TRUST_DOMAIN/ns/NAMESPACE/sa/ACCOUNT: it has {_shown(uris[0])}"


def _shown(uri: str) -> str:
    return ascii(uri if len(uri) <= _SHOWN else uri[:_SHOWN] + "...")


def refusal_of_protocol(chosen: str | None) -> str:
    """Why a finished handshake with this `selected_alpn_protocol()` is of no use; "" if it is.

    OpenSSL goes on without a protocol when there is none in common.
    """
    return "" if chosen == ALPN else f"ALPN {chosen} is not {ALPN}" if chosen else f"no ALPN: it does not offer {ALPN}"


def reason_of(fault: OSError) -> str:
    """Why a handshake (or, for a TLS 1.3 client, the first read) failed, for a log line or an answer."""
    if isinstance(fault, ssl.SSLCertVerificationError):
        return f"certificate refused: {_lower(fault.verify_message)}"
    if isinstance(fault, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return "it closed the connection"
    if isinstance(fault, TimeoutError):
        return "timed out"
    if not isinstance(fault, ssl.SSLError):
        return _lower(fault.strerror or str(fault))
    name = fault.reason or ""
    if name in _REASONS:
        return _REASONS[name]
    _, is_alert, alert = name.partition("_ALERT_")
    if is_alert:
        return f"it refused ours: {_ALERTS.get(alert) or alert.replace('_', ' ').lower()}"
    return name.replace("_", " ").lower() or _lower(str(fault))


_REASONS = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "it sent no certificate",
    "UNSUPPORTED_PROTOCOL": "it does not speak TLS 1.3",
    "NO_PROTOCOLS_AVAILABLE": "it does not speak TLS 1.3",
    "WRONG_SSL_VERSION": "it does not speak TLS 1.3",
    "WRONG_VERSION_NUMBER": "what it sends is not TLS",
    "PACKET_LENGTH_TOO_LONG": "what it sends is not TLS",
    "RECORD_LAYER_FAILURE": "what it sends is not TLS",
    "HTTP_REQUEST": "it sends plain HTTP, not TLS",
    "HTTPS_PROXY_REQUEST": "it sends plain HTTP, not TLS",
    "NO_SHARED_CIPHER": "no cipher suite in common",
    "NO_SUITABLE_SIGNATURE_ALGORITHM": "no signature algorithm in common",
    "NO_SUITABLE_KEY_SHARE": "no key exchange group in common",
}
_ALERTS = {  # RFC 8446, 6.2: what the other side says of us
    "UNKNOWN_CA": "unknown CA (it does not trust the root of our certificate)",
    "CERTIFICATE_EXPIRED": "certificate expired (or not yet valid on its clock)",
    "BAD_CERTIFICATE": "bad certificate",
    "CERTIFICATE_UNKNOWN": "certificate not accepted",
    "CERTIFICATE_REQUIRED": "a certificate is required and we sent none",
    "PROTOCOL_VERSION": "TLS 1.3 not supported",
    "HANDSHAKE_FAILURE": "nothing in common (versions, ciphers)",
    "NO_APPLICATION_PROTOCOL": "ALPN h2 not supported",
    "UNRECOGNIZED_NAME": "unrecognized name (it wants SNI)",
}


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:] if not text[:2].isupper() else text
