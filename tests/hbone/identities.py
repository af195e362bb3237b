"""The mesh's certificates as its peers use them: accounts to leaves, leaves to files, both to TLS as ztunnel has it."""

import contextlib
import os
import ssl
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests import certificates


def spiffe(account: str, namespace: str = "httpbin", trust_domain: str = "cluster.local") -> str:
    return f"spiffe://{trust_domain}/ns/{namespace}/sa/{account}"


@dataclass(frozen=True)
class Leaf:
    """A certificate with its intermediates (PEM, the leaf first) and its key (PKCS#8 PEM)."""

    chain: bytes
    key: bytes
    identity: str


class Authority:
    """A CA: `root` is its certificate (PEM). With one `above` it is an intermediate."""

    def __init__(self, name: str = "cluster.local", above: "Authority | None" = None) -> None:
        self._ca: certificates.Authority = certificates.Authority(above._ca if above else None, name)
        self.root = self._ca.pem

    def leaf(self, account: str, *place: str, hours: float = 24.0) -> Leaf:
        """A leaf for a service account; `place` is its namespace and trust domain."""
        return self.leaf_of(spiffe(account, *place), hours)

    def leaf_of(self, uri: str, hours: float = 24.0) -> Leaf:
        """A leaf for this URI; with negative `hours` it expired that long ago."""
        made = self._ca.leaf(uri, starts=min(-120.0, hours * 3600 - 120), lasts=hours * 3600)
        return Leaf(made.chain, made.key, uri)


def self_signed(uri: str) -> Leaf:
    made = certificates.self_signed(uri)
    return Leaf(made.chain, made.key, uri)


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
