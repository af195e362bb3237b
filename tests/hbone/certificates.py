"""A throw-away mesh CA and leaves shaped like istiod's: a critical SPIFFE URI, both uses, EC P-256."""

import contextlib
import datetime
import os
import ssl
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Key = ec.EllipticCurvePrivateKey


def spiffe(account: str, namespace: str = "httpbin", trust_domain: str = "cluster.local") -> str:
    return f"spiffe://{trust_domain}/ns/{namespace}/sa/{account}"


@dataclass(frozen=True)
class Leaf:
    """A certificate with its intermediates (PEM, the leaf first) and its key (PKCS#8 PEM)."""

    chain: bytes
    key: bytes
    identity: str


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(not signs, False, not signs, False, False, signs, signs, False, False)


def _pem_of(key: Key) -> bytes:
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)


def _builder(subject: x509.Name, issuer: x509.Name, key: Key, hours: float) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(now, now + datetime.timedelta(hours=hours)) - datetime.timedelta(minutes=2))
        .not_valid_after(now + datetime.timedelta(hours=hours))
    )


class Authority:
    """A CA: `root` is its certificate (PEM); it signs leaves itself, or through an intermediate."""

    def __init__(self, name: str = "cluster.local", above: "Authority | None" = None) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, name)])
        self._above = above
        issuer, signer = (above._name, above._key) if above else (self._name, self._key)
        self._ski = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        made = (
            _builder(self._name, issuer, self._key, 24 * 3650)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .add_extension(self._ski, critical=False)
        )
        self.root = made.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def leaf(self, account: str, *place: str, hours: float = 24.0) -> Leaf:
        """A leaf for a service account; `place` is its namespace and trust domain."""
        return self.leaf_of(spiffe(account, *place), hours)

    def leaf_of(self, uri: str, hours: float = 24.0) -> Leaf:
        """A leaf for this URI; with negative `hours` it expired that long ago."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = (
            _builder(x509.Name([]), self._name, key, hours)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(self._ski), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        chain = made.public_bytes(serialization.Encoding.PEM) + (self.root if self._above else b"")
        return Leaf(chain, _pem_of(key), uri)


def self_signed(uri: str) -> Leaf:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "nobody")])
    san = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)])
    made = _builder(name, name, key, 24).add_extension(san, critical=False).sign(key, hashes.SHA256())
    return Leaf(made.public_bytes(serialization.Encoding.PEM), _pem_of(key), uri)


def install(directory: Path, leaf: Leaf, roots: bytes) -> Path:
    """Writes the files of `--tls-dir`; each is replaced whole, so that a reader sees an old or a new one."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in (("key.pem", leaf.key), ("cert-chain.pem", leaf.chain), ("root-cert.pem", roots)):
        temporary = directory / f".{name}"
        temporary.write_bytes(text)
        os.chmod(temporary, 0o600)
        temporary.rename(directory / name)
    return directory


@contextlib.contextmanager
def _files(leaf: Leaf) -> Iterator[tuple[str, str]]:
    with tempfile.TemporaryDirectory() as path:
        chain, key = Path(path) / "chain", Path(path) / "key"
        chain.write_bytes(leaf.chain)
        key.write_bytes(leaf.key)
        yield str(chain), str(key)


def context(leaf: Leaf | None, roots: bytes, *, server: bool) -> ssl.SSLContext:
    """TLS as ztunnel has it at both ends: 1.3 only, ALPN h2 alone, no names, no tickets, the peer's chain checked."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.minimum_version = made.maximum_version = ssl.TLSVersion.TLSv1_3
    made.verify_mode = ssl.CERT_REQUIRED
    made.load_verify_locations(cadata=roots.decode())
    made.set_alpn_protocols(["h2"])
    if server:
        made.num_tickets = 0
    if leaf:
        with _files(leaf) as files:
            made.load_cert_chain(*files)
    return made
