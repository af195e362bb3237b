"""Certificates for tests: a CA shaped like istiod's, and leaves that are right, or wrong in one way."""

import contextlib
import datetime
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from proxy.ipc.snapshot import TlsForm

PEM = serialization.Encoding.PEM
SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
WAYPOINT = "spiffe://cluster.local/ns/httpbin/sa/httpbin-waypoint"
CLIENT_POD = "spiffe://cluster.local/ns/httpbin/sa/client-in-ambient"
ENDPOINT_POD = "spiffe://cluster.local/ns/httpbin/sa/in-ambient"


def new_key(kind: str = "ec") -> Any:
    if kind == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1())


def pem_of_key(key: Any) -> bytes:
    pem: bytes = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return pem


@dataclass
class Leaf:
    """What goes into a --tls-dir."""

    chain: bytes
    key: bytes
    roots: bytes
    certificate: x509.Certificate = field(repr=False)

    def tls(self, *trust_domains: str) -> TlsForm:
        """As a snapshot has it."""
        domains = list(trust_domains) or ["cluster.local"]
        return TlsForm(chain=self.chain, key=self.key, roots=self.roots, trust_domains=domains)

    def write(self, directory: Path) -> Path:
        directory.mkdir(parents=True, exist_ok=True)
        for name, content in (("key", self.key), ("cert-chain", self.chain), ("root-cert", self.roots)):
            (directory / f"{name}.pem").write_bytes(content)
        return directory


class Authority:
    """A CA. `parent` makes it an intermediate one, which goes into the chains of its leaves."""

    def __init__(self, parent: "Authority | None" = None, name: str = "cluster.local") -> None:
        now = datetime.datetime.now(datetime.UTC)
        self.parent = parent
        self.key = new_key()
        self.name: str = f"{parent.name} sub" if parent else name
        subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, self.name)])
        builder = (
            x509.CertificateBuilder(subject_name=subject)
            .issuer_name(parent.certificate.subject if parent else subject)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=2))
            .not_valid_after(now + datetime.timedelta(days=3650))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(key_usage(signs_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
        )
        self.certificate: x509.Certificate = builder.sign(parent.key if parent else self.key, hashes.SHA256())

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(PEM)

    @property
    def root(self) -> "Authority":
        return self.parent.root if self.parent else self

    def leaf(
        self,
        *uris: str,
        starts: float = -120,
        lasts: float = 86400,
        usages: Sequence[x509.ObjectIdentifier] = (SERVER, CLIENT),
        kind: str = "ec",
        authority_key: bool = True,
        roots: bytes = b"",
        authority: bool = False,
        signs: Sequence[str] = (),
        lacks: Sequence[str] = (),
        names: Sequence[str] = (),
    ) -> Leaf:
        """A leaf; times are seconds from now; `signs` are key usages that no leaf's may have, `lacks` such as it has.

        Without `uris` a waypoint's identity; `""` makes one without any. `names` are of DNS, or addresses."""
        now = datetime.datetime.now(datetime.UTC)
        key = new_key(kind)
        builder = (
            x509.CertificateBuilder(subject_name=x509.Name([]))
            .issuer_name(self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + datetime.timedelta(seconds=starts))
            .not_valid_after(now + datetime.timedelta(seconds=lasts))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(key_usage(signs_certificates=False, also=signs, but=lacks), critical=True)
        )
        uris = uris or (() if names else (WAYPOINT,))
        found: list[x509.GeneralName] = [x509.UniformResourceIdentifier(uri) for uri in uris if uri]
        found += [_name(each) for each in names]
        builder = builder.add_extension(
            x509.SubjectAlternativeName(found or [x509.DNSName("waypoint.example")]), critical=True
        )
        if usages:
            builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        if authority_key:
            builder = builder.add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
            )
        certificate = builder.sign(self.key, hashes.SHA256())
        chain = certificate.public_bytes(PEM) + self._intermediates()
        return Leaf(chain, pem_of_key(key), roots or self.root.pem, certificate)

    def revoked(self, *leaves: Leaf) -> bytes:
        """The list of the revoked (CRL) with these on it, PEM."""
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateRevocationListBuilder(
            issuer_name=self.certificate.subject,
            last_update=now - datetime.timedelta(hours=1),
            next_update=now + datetime.timedelta(days=1),
        )
        for leaf in leaves:
            entry = x509.RevokedCertificateBuilder(leaf.certificate.serial_number, now - datetime.timedelta(hours=1))
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self.key, hashes.SHA256()).public_bytes(PEM)

    def _intermediates(self) -> bytes:
        return self.pem + self.parent._intermediates() if self.parent else b""


def _name(text: str) -> x509.GeneralName:
    with contextlib.suppress(ValueError):
        return x509.IPAddress(ipaddress.ip_address(text))
    return x509.DNSName(text)


def key_usage(signs_certificates: bool, also: Sequence[str] = (), but: Sequence[str] = ()) -> x509.KeyUsage:
    flags: Mapping[str, bool] = {
        "digital_signature": not signs_certificates,
        "key_encipherment": not signs_certificates,
        "key_cert_sign": signs_certificates,
        "crl_sign": signs_certificates,
        "content_commitment": False,
        "data_encipherment": False,
        "key_agreement": False,
        "encipher_only": False,
        "decipher_only": False,
    }
    return x509.KeyUsage(**{**flags, **dict.fromkeys(also, True), **dict.fromkeys(but, False)})


def self_signed(uri: str = WAYPOINT) -> Leaf:
    """A leaf that nobody issued."""
    key = new_key()
    now = datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nobody")])
    certificate = (
        x509.CertificateBuilder(subject_name=name, issuer_name=name, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=2))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(PEM)
    return Leaf(pem, pem_of_key(key), pem, certificate)
