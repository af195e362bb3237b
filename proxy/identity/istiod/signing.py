"""What a certificate is asked for with, and what comes of the answer: a key that never leaves us, a CSR, three files.

The key is EC P-256, as ztunnel's: its handshakes cost a fraction of RSA's.
"""

from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from proxy.identity.certificates import CHAIN, KEY, ROOTS, Contents


def new_key() -> ec.EllipticCurvePrivateKey:
    """For one certificate only."""
    return ec.generate_private_key(ec.SECP256R1())


def csr_of(key: ec.EllipticCurvePrivateKey, identity: str) -> bytes:
    """In PEM, with `identity` as its one URI.

    istiod goes by the token and does not look at the name; other CAs that speak its protocol compare the two.
    """
    names = [x509.UniformResourceIdentifier(identity)] if identity else []
    builder = x509.CertificateSigningRequestBuilder(subject_name=x509.Name([]))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=True)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def contents_of(chain: Sequence[bytes], key: ec.EllipticCurvePrivateKey) -> Contents:
    """As the files of --tls-dir would be. ValueError if the chain has not got a certificate and its roots.

    The last element has the roots of the mesh, several while one is being replaced (istio/api, ca.proto): they are whom
    peers are verified against, as in Istio's agent and in ztunnel. The mounted roots are for istiod's own certificate.
    """
    if len(chain) < 2:
        raise ValueError("it has no certificate and its roots")
    *own, roots = [pem if pem.endswith(b"\n") else pem + b"\n" for pem in chain]
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return {CHAIN: b"".join(own), KEY: pem, ROOTS: roots}
