"""What is wrong with a set of certificates: parsed by the cryptography library, verified by OpenSSL.

A set that passes works: the last test is a handshake with itself, by the contexts that workers use. Knows what is right
(a SPIFFE X.509-SVID in the shape of Istio's leaves), not when to look nor what follows. Never shows key material.
"""

import os
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from proxy.identity.certificates import CHAIN, KEY, ROOTS, Certificates, Contents, Unusable, stamp
from proxy.wire.tls import mesh as mesh_tls
from proxy.wire.tls.context import TlsEnd, meet

Extension = TypeVar("Extension", bound=x509.ExtensionType)
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def check(directory: str, contents: Contents, now: float | None) -> Certificates:
    """The set that `contents` of `directory` (or of a CA's answer, then its URL) are. Raises Unusable.

    `now` (seconds since 1970) is what the leaf's time is compared with; None takes an expired one too.
    """
    parsed: dict[str, Any] = {}
    problems: list[str] = []
    for name, parse in _PARSERS.items():
        try:
            parsed[name] = parse(contents[name])
        except ValueError as fault:
            problems.append(f"{os.path.join(directory, name)}: {fault}")
    if problems:
        gone = all(isinstance(each, str) for each in contents.values()) and not os.path.isdir(directory)
        raise Unusable([f"{directory}: no such directory"] if gone else problems)
    leaf, chain = parsed[CHAIN][0], os.path.join(directory, CHAIN)
    problems = [f"{chain}: {problem}" for problem in _wrong_with(leaf, now)]
    if leaf.public_key() != parsed[KEY].public_key():
        problems.append(f"{os.path.join(directory, KEY)}: is not the key of the certificate in {CHAIN}")
    if problems:
        raise Unusable(problems)
    found = _certificates_of(leaf, contents)
    if now is not None and (refused := _refused_by_itself(found)):
        raise Unusable([f"{chain}: does not verify against {ROOTS}: {refused}"])
    return found


def shown(roots: bytes) -> list[dict[str, str]]:
    """Roots for people: who they are, until when, and their fingerprints."""
    return [
        {
            "subject": root.subject.rfc4514_string(),
            "expiration_time": stamp(root.not_valid_after_utc.timestamp()),
            "fingerprint_sha256": root.fingerprint(hashes.SHA256()).hex(),
        }
        for root in x509.load_pem_x509_certificates(roots)
    ]


# -- reading ----------------------------------------------------------------------------------------------------------


def _pem(content: bytes | str) -> bytes:
    if isinstance(content, str):
        raise ValueError(content)
    return content


def _read_certificates(content: bytes | str) -> list[x509.Certificate]:
    pem = _pem(content)
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise ValueError("holds no certificate in PEM form" if b"-----BEGIN" not in pem else _BROKEN) from None


_BROKEN = "holds something that is no certificate, or a broken one"


def _read_key(content: bytes | str) -> Key:
    pem = _pem(content)
    if b"-----BEGIN" not in pem:
        raise ValueError("holds no private key in PEM form")
    try:
        key = serialization.load_pem_private_key(pem, None)
    except TypeError:
        raise ValueError("the key is encrypted; it has to be readable without a password") from None
    except (ValueError, UnsupportedAlgorithm):  # their texts may quote what they read
        raise ValueError("holds no private key, or a broken one") from None
    if not isinstance(key, (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey)):
        raise ValueError("the key is neither EC nor RSA")
    return key


_PARSERS: Mapping[str, Callable[[bytes | str], Any]] = {
    CHAIN: _read_certificates,
    KEY: _read_key,
    ROOTS: _read_certificates,
}


# -- checking ---------------------------------------------------------------------------------------------------------


def _wrong_with(leaf: x509.Certificate, now: float | None) -> Iterator[str]:
    try:
        uris, usages = _uris(leaf), _usages(leaf)
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as fault:
        yield f"its extensions cannot be read: {fault}"
        return
    if not _identity(uris):
        have = f"it has {', '.join(uris)}" if uris else "it has no URI"
        yield f"{mesh_tls.NO_IDENTITY} such as spiffe://cluster.local/ns/NAMESPACE/sa/ACCOUNT ({have})"
    yield from _signs(leaf)
    for name, usage in _NEEDED.items():
        if usages is not None and usage not in usages:
            yield f"its extended key usage lacks {name} authentication"
    if now is not None and now > leaf.not_valid_after_utc.timestamp():
        yield f"expired at {stamp(leaf.not_valid_after_utc.timestamp())}"
    if now is not None and now < leaf.not_valid_before_utc.timestamp():
        yield f"not valid before {stamp(leaf.not_valid_before_utc.timestamp())}"


_NEEDED = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}


def _signs(leaf: x509.Certificate) -> Iterator[str]:
    """What makes it a CA's, which no SVID of a workload may be (SPIFFE X.509-SVID, 4.1, 4.3, 5.2), or of no use."""
    constraints = _extension(leaf, x509.BasicConstraints)
    if constraints is not None and constraints.ca:
        yield "it is a CA's (basic constraints CA:TRUE), not a workload's"
    usage = _extension(leaf, x509.KeyUsage)
    if usage is not None and usage.key_cert_sign:
        yield "its key usage has keyCertSign, which a workload's may not"
    if usage is not None and usage.crl_sign:
        yield "its key usage has cRLSign, which a workload's may not"
    if usage is not None and not usage.digital_signature:
        yield "its key usage lacks digitalSignature, which TLS 1.3 signs with"


def _extension(leaf: x509.Certificate, kind: type[Extension]) -> Extension | None:
    try:
        return leaf.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _uris(leaf: x509.Certificate) -> list[str]:
    names = _extension(leaf, x509.SubjectAlternativeName)
    return [] if names is None else names.get_values_for_type(x509.UniformResourceIdentifier)


def _usages(leaf: x509.Certificate) -> set[x509.ObjectIdentifier] | None:
    """What the leaf may be used for; None: anything (RFC 5280, 4.2.1.12)."""
    usages = _extension(leaf, x509.ExtendedKeyUsage)
    return None if usages is None else set(usages)


def _identity(uris: Sequence[str]) -> str | None:
    return mesh_tls.identity_in(uris)


def _certificates_of(leaf: x509.Certificate, contents: Contents) -> Certificates:
    return Certificates(
        chain=_pem(contents[CHAIN]),
        key=_pem(contents[KEY]),
        roots=_pem(contents[ROOTS]),
        identity=_identity(_uris(leaf)) or "",
        serial=f"{leaf.serial_number:x}",
        not_before=leaf.not_valid_before_utc.timestamp(),
        not_after=leaf.not_valid_after_utc.timestamp(),
    )


def _refused_by_itself(found: Certificates) -> str:
    """Why a peer with the same roots would refuse the chain, in either role; "" if it would not."""
    try:
        tls = mesh_tls.MeshTls(**found.form([]))
        meet(TlsEnd(tls.server), TlsEnd(tls.client))
    except ssl.SSLError as fault:
        return mesh_tls.reason_of(fault)
    return ""
