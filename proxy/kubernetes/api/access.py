"""Where the API server is and who we are to it: inside a cluster, or as a kubeconfig says."""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from proxy.kubernetes.api.credentials import Anonymous, Certificate, Credentials, TokenFile
from proxy.kubernetes.api.faults import AccessFault

MOUNTED = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a Pod finds its ServiceAccount's token, the cluster's CA and its own namespace."""


@dataclass(frozen=True, slots=True)
class Access:
    """A server and what it takes to be let in. `ca` is PEM text or the path of a file; "" is the system's."""

    host: str
    port: int
    prefix: str = ""
    secure: bool = True
    ca_file: str = ""
    ca_data: str = ""
    server_name: str = ""
    verify: bool = True
    credentials: Credentials = field(default_factory=Anonymous)
    impersonate: tuple[tuple[str, str], ...] = ()
    namespace: str = "default"
    origin: str = ""

    def context(self) -> ssl.SSLContext:
        """A context for one connection: files are read anew for each, since they are rotated. AccessFault."""
        try:
            context = ssl.create_default_context(cafile=self.ca_file or None, cadata=self.ca_data or None)
        except (OSError, ValueError) as fault:
            raise AccessFault(f"{self.ca_file or self.origin}: the CA's certificate cannot be used: {fault}") from None
        if not self.verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        certificate = self.credentials.certificate()
        if certificate:
            _load(context, certificate, self.origin)
        return context


def in_cluster(environ: Mapping[str, str], mounted: Path = MOUNTED) -> Access | None:
    """As a Pod is let in; None outside a cluster, or where no token is mounted."""
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT")
    token = mounted / "token"
    if not host or not port or not token.exists():
        return None
    try:
        namespace = (mounted / "namespace").read_text().strip()
    except OSError:
        namespace = "default"
    return Access(
        host=host,
        port=int(port) if port.isdecimal() else 443,
        ca_file=str(mounted / "ca.crt"),
        credentials=TokenFile(token),
        namespace=namespace,
        origin="the cluster's ServiceAccount",
    )


@contextmanager
def _as_file(text: str) -> Iterator[str]:
    with tempfile.NamedTemporaryFile("w", prefix="waypointd-") as file:  # made with mode 0600
        file.write(text)
        file.flush()
        yield file.name


def _load(context: ssl.SSLContext, certificate: Certificate, origin: str) -> None:
    """OpenSSL reads certificates from files only; what came as text is in one for just so long."""
    try:
        with _as_file(certificate.chain) as chain, _as_file(certificate.key) as key:
            context.load_cert_chain(certificate.chain_file or chain, certificate.key_file or key)
    except (OSError, ValueError) as fault:
        raise AccessFault(f"{origin}: the client certificate cannot be used: {fault}") from None
