"""What TLS to endpoints and of clients is made with, found and checked completely: files by path, or a Secret.

A set that passes can be used by workers: OpenSSL has made a context of it. What is wrong is said with the field of
`trafficPolicy.tls`, or of the listener, that names it; key material never is. Knows nothing of when to look.
"""

import os
import ssl
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from proxy.identity.certificates import Unusable, content, stamp
from proxy.ipc.snapshot import CredentialForm
from proxy.mesh.traffic.security import Credential
from proxy.wire.tls.contexts import context_of
from proxy.wire.tls.mesh import reason_of

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from cryptography.x509 import Certificate

Secrets = Mapping[str, Mapping[str, bytes]]
"""By the names that `credentialName` has, or as "namespace/name": what is in each, by Kubernetes' names for it."""
Contents = Mapping[str, tuple[str, bytes | str]]
"""For "chain", "key", "roots" and "crl", as far as they are asked for: where it is, and what is there; text is why
nothing is."""

_CA_SUFFIX = "-cacert"
"""Of the Secret that has the CAs alone, beside that with our certificate (Istio's SdsCaSuffix)."""
_OF_SECRET = {"chain": ("cert", "tls.crt"), "key": ("key", "tls.key"), "roots": ("cacert", "ca.crt")}


def read(credential: Credential, secrets: Secrets, file: Callable[[str], bytes | str] = content) -> Contents:
    """What there is of it now."""
    if credential.credential_name:
        return dict(_in_secrets(credential, secrets))
    named = {
        "chain": ("clientCertificate", credential.client_certificate),
        "key": ("privateKey", credential.private_key),
        "roots": ("caCertificates", credential.ca_certificates),
        "crl": ("caCrl", credential.ca_crl),
    }
    return {part: (f"{field}: {path}", file(path)) for part, (field, path) in named.items() if path}


def _in_secrets(credential: Credential, secrets: Secrets) -> Iterator[tuple[str, tuple[str, bytes | str]]]:
    """As Istio looks: the CAs in the Secret of their own, if there is one, else beside our certificate."""
    name = credential.credential_name
    if credential.mutual:
        for part in ("chain", "key"):
            yield part, _in_secret(credential, name, part, secrets)
    if credential.verifies:
        roots = name + _CA_SUFFIX if name + _CA_SUFFIX in secrets else name
        yield "roots", _in_secret(credential, roots, "roots", secrets)
        data = secrets.get(roots, {})
        if crl := data.get("crl" if "cacert" in data else "ca.crl"):
            yield "crl", (f"credentialName: {roots}", crl)


def _in_secret(credential: Credential, name: str, part: str, secrets: Secrets) -> tuple[str, bytes | str]:
    field, beside = ("certificateRefs", "") if credential.serving else ("credentialName", " beside the Gateway")
    where = f"{field}: {name}"
    if name not in secrets:
        return where, f"there is no such Secret{beside}, or none that the Gateway's ServiceAccount may get"
    generic, typed = _OF_SECRET[part]
    pair = _OF_SECRET["chain"][0], _OF_SECRET["key"][0]
    data = secrets[name]
    # A certificate and its key come from the same pair of names.
    found = data.get(generic) if part == "roots" or all(map(data.get, pair)) else None
    return where, found or data.get(typed) or f"has neither {typed} nor {generic}"


def check(credential: Credential, contents: Contents, now: float) -> CredentialForm:
    """What workers are given. Raises Unusable. `now`: seconds since 1970."""
    problems = [f"{where}: {found}" for where, found in contents.values() if isinstance(found, str)]
    if problems:
        raise Unusable(problems)
    form = CredentialForm(
        chain=_part(contents, "chain"),
        key=_part(contents, "key"),
        roots=_part(contents, "roots"),
        crl=_part(contents, "crl"),
        verifies=credential.verifies,
        serving=credential.serving,
        problem="",
    )
    if problems := [*_wrong_with_ours(contents, now), *_wrong_with_theirs(credential, contents)]:
        raise Unusable(problems)
    try:
        context_of(form["serving"], form["chain"], form["key"], form["roots"], form["crl"], form["verifies"])
    except ssl.SSLError as fault:
        raise Unusable([f"{_where(contents)}: OpenSSL cannot use it: {reason_of(fault)}"]) from None
    return form


def shown(form: CredentialForm) -> dict[str, str]:
    """For people, without what is secret."""
    if form["problem"]:
        return {"problem": form["problem"]}
    found = {"verified_against": "nothing" if not form["verifies"] else "given CAs" if form["roots"] else "system CAs"}
    if form["serving"]:
        found = {}
    if form["chain"]:
        # Wherever it is needed, and not with this module: eight MiB, which only those who have certificates need.
        from cryptography import x509

        leaf = x509.load_pem_x509_certificates(form["chain"])[0]
        found |= {
            "subject": leaf.subject.rfc4514_string(),
            "serial_number": f"{leaf.serial_number:x}",
            "expiration_time": stamp(leaf.not_valid_after_utc.timestamp()),
        }
    return found


# -- what is wrong ----------------------------------------------------------------------------------------------------


def _wrong_with_ours(contents: Contents, now: float) -> Iterator[str]:
    if "chain" not in contents:
        return
    (chain, _), (key, _) = contents["chain"], contents["key"]
    try:
        leaf, private = _certificates(contents, "chain")[0], _private_key(_part(contents, "key"))
    except ValueError as fault:
        yield str(fault) if chain in str(fault) else f"{key}: {fault}"
        return
    if leaf.public_key() != private.public_key():
        yield f"{key}: is not the key of the certificate"
    if now > leaf.not_valid_after_utc.timestamp():
        yield f"{chain}: expired at {stamp(leaf.not_valid_after_utc.timestamp())}"


def _wrong_with_theirs(credential: Credential, contents: Contents) -> Iterator[str]:
    if "roots" in contents:
        try:
            _certificates(contents, "roots")
        except ValueError as fault:
            yield str(fault)
    elif credential.verifies and not _has_system_store():
        yield "caCertificates: is not given, and there are no CAs of the system's: install ca-certificates, or give it"
    if "crl" in contents and b"-----BEGIN X509 CRL" not in _part(contents, "crl"):
        yield f"{contents['crl'][0]}: holds no list of revoked certificates (CRL) in PEM form"


def _certificates(contents: Contents, part: str) -> "list[Certificate]":
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(_part(contents, part))
    except ValueError:
        raise ValueError(f"{contents[part][0]}: holds no certificate in PEM form, or a broken one") from None


def _private_key(pem: bytes) -> "PrivateKeyTypes":
    """Texts of the library may quote what it read."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        return load_pem_private_key(pem, None)
    except TypeError:
        raise ValueError("the key is encrypted; it has to be readable without a password") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("holds no private key in PEM form, or a broken one") from None


def _has_system_store() -> bool:
    paths = ssl.get_default_verify_paths()
    return bool(paths.cafile or (paths.capath and os.listdir(paths.capath)))


def _part(contents: Contents, part: str) -> bytes:
    found = contents[part][1] if part in contents else b""
    assert isinstance(found, bytes)
    return found


def _where(contents: Contents) -> str:
    return ", ".join(dict.fromkeys(where for where, _ in contents.values())) or "the system's CAs"
