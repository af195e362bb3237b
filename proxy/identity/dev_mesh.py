"""A throw-away mesh CA and leaves in the shape of istiod's, for a mesh on one machine: `dev-certs` and `--demo`.

Leaf shape (istio security/pkg/pki/util/generate_cert.go): empty subject, one critical URI SAN, digital signature and
key encipherment, server and client authentication, valid from two minutes ago; EC P-256 in PKCS#8, the one form that
ztunnel loads. The CA's key lies unprotected beside its certificate: nothing here is for a mesh that matters.
"""

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from proxy.identity.certificates import CHAIN, KEY, ROOTS
from proxy.wire.tls.mesh import trust_domain_of

TRUST_DOMAIN = "cluster.local"
CA_KEY = "ca-key.pem"
CA_DAYS = 3650
LEAF_S = 86400.0
_BACK = timedelta(minutes=2)
Key = ec.EllipticCurvePrivateKey
_PEM = serialization.Encoding.PEM
_LABEL = r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?"


class DevMeshFault(Exception):
    """It cannot be made; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A service account, and the directory its certificate goes to."""

    directory: str
    namespace: str
    account: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """`[DIRECTORY=]NAMESPACE/ACCOUNT`; without the first the directory is NAMESPACE/ACCOUNT. Raises ValueError."""
        found = re.fullmatch(rf"(?:([A-Za-z0-9_-][A-Za-z0-9._-]*)=)?({_LABEL})/({_LABEL})", text)
        if not found:
            raise ValueError(f"{text!r} must be NAMESPACE/ACCOUNT or DIRECTORY=NAMESPACE/ACCOUNT")
        return cls(found[1] or f"{found[2]}/{found[3]}", found[2], found[3])

    def uri(self, trust_domain: str) -> str:
        """`spiffe://...`."""
        return f"spiffe://{trust_domain}/ns/{self.namespace}/sa/{self.account}"


USUAL = (
    Identity("waypoint", "httpbin", "httpbin-waypoint"),
    Identity("client", "httpbin", "client-in-ambient"),
    Identity("endpoint", "httpbin", "in-ambient"),
)
"""Who is who in the demo's manifests."""


class DevMesh:
    """A CA in a directory: `root-cert.pem` and `ca-key.pem`. `new`: whether it was made just now."""

    def __init__(self, directory: Path, certificate: x509.Certificate, key: Key, new: bool) -> None:
        self.directory = directory
        self.new = new
        self.not_after = certificate.not_valid_after_utc
        self._certificate = certificate
        self._key = key

    @classmethod
    def open(cls, directory: Path, trust_domain: str | None = None) -> Self:
        """The CA that is in `directory`, else a new one. Raises DevMeshFault, OSError."""
        root, key = directory / ROOTS, directory / CA_KEY
        if root.exists() != key.exists():
            missing, there = (key, root) if root.exists() else (root, key)
            raise DevMeshFault(f"{there} is there and {missing} is not: give another directory, or remove {there}")
        if root.exists():
            return cls(directory, *_read_ca(root, key), new=False)
        directory.mkdir(parents=True, exist_ok=True)
        certificate, secret = _new_ca(trust_domain or TRUST_DOMAIN)
        _write(key, _pem_of(secret))
        _write(root, certificate.public_bytes(_PEM), 0o644)
        return cls(directory, certificate, secret, new=True)

    @property
    def trust_domain(self) -> str:
        """The one this CA was made for: its organization."""
        names = self._certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        return str(names[0].value) if names else TRUST_DOMAIN

    def issue(self, identity: Identity, trust_domain: str | None = None, seconds: float = LEAF_S) -> datetime:
        """Write a new leaf and its key where `identity` says, for a --tls-dir; returns its end. Raises OSError, and
        DevMeshFault where a leaf of another trust domain lies.

        Files are replaced one by one, each as a whole: what watches them sees no half of one.
        """
        place = self.directory / identity.directory
        domain = trust_domain or self.trust_domain
        if (found := _trust_domain_in(place / CHAIN)) not in ("", domain):
            raise DevMeshFault(
                f"{place} has a certificate of the trust domain {found}: for {domain} give another directory, "
                f"or --trust-domain {found} to renew it, or remove {place}"
            )
        place.mkdir(parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = self._leaf(identity.uri(domain), key, seconds)
        _write(place / KEY, _pem_of(key))
        _write(place / CHAIN, leaf.public_bytes(_PEM), 0o644)
        _write(place / ROOTS, self._certificate.public_bytes(_PEM), 0o644)
        return leaf.not_valid_after_utc

    def _leaf(self, uri: str, key: Key, seconds: float) -> x509.Certificate:
        uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        ours = self._certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        return (
            _builder(x509.Name([]), self._certificate.subject, key, timedelta(seconds=seconds))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ours), critical=False)
            .sign(self._key, hashes.SHA256())
        )


def _read_ca(root: Path, key: Path) -> tuple[x509.Certificate, Key]:
    try:
        certificate = x509.load_pem_x509_certificate(root.read_bytes())
        secret = serialization.load_pem_private_key(key.read_bytes(), None)
    except (ValueError, TypeError):
        raise DevMeshFault(f"{root} and {key} cannot be read: remove both for a new CA") from None
    if not isinstance(secret, ec.EllipticCurvePrivateKey) or secret.public_key() != certificate.public_key():
        raise DevMeshFault(f"{key} is not the key of {root}: remove both for a new CA")
    if certificate.not_valid_after_utc < datetime.now(UTC):
        raise DevMeshFault(f"{root} has expired: remove it and {key} for a new CA")
    return certificate, secret


def _trust_domain_in(chain: Path) -> str:
    """That of the leaf in a file of ours; "" when there is none."""
    try:
        leaf = x509.load_pem_x509_certificate(chain.read_bytes())
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return trust_domain_of(names.get_values_for_type(x509.UniformResourceIdentifier)[0])
    except (FileNotFoundError, ValueError, IndexError, x509.ExtensionNotFound):
        return ""


def _new_ca(trust_domain: str) -> tuple[x509.Certificate, Key]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, trust_domain)])
    certificate = (
        _builder(name, name, key, timedelta(days=CA_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate, key


def _builder(subject: x509.Name, issuer: x509.Name, key: Key, life: timedelta) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder(issuer_name=issuer, subject_name=subject, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACK)
        .not_valid_after(now + life)
    )


def _usage(signs: bool) -> x509.KeyUsage:
    """A CA signs certificates; a leaf signs handshakes."""
    return x509.KeyUsage(
        digital_signature=not signs,
        key_encipherment=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem_of(key: Key) -> bytes:
    return key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _write(path: Path, content: bytes, mode: int = 0o600) -> None:
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    temporary.replace(path)
