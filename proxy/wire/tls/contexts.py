"""Credentials as OpenSSL has them: for TLS to endpoints, or for a listener's clients."""

from proxy.wire.tls.origin import OriginContext
from proxy.wire.tls.serving import ServingContext

TlsContext = OriginContext | ServingContext


def context_of(serving: bool, chain: bytes, key: bytes, roots: bytes, crl: bytes, verifies: bool) -> TlsContext:
    """What is made of the parts of an ipc.snapshot.CredentialForm. Raises ssl.SSLError if that is nothing."""
    return ServingContext(chain, key) if serving else OriginContext(chain, key, roots, crl, verifies)
