"""An istiod of a few lines: a real gRPC server over TLS that signs CSRs, refuses, is slow or absent, on command.

gRPC is grpcio's, so that our own call is held against another's. What a real istiod does is tests/cluster's business.
"""

import base64
import datetime
import json
import time
from collections.abc import Iterator, Mapping
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from proxy.identity.istiod.authority import Authority as Where
from tests.certificates import CLIENT, PEM, SERVER, WAYPOINT, Authority, key_usage, new_key, pem_of_key
from tests.rig import free_port

NAME = "istiod.istio-system.svc"
SERVICE = "istio.v1.auth.IstioCertificateService"
ACCOUNT = "system:serviceaccount:httpbin:httpbin-waypoint"


def token(audience: str = "istio-ca", lasts: float = 3600, subject: str = ACCOUNT) -> str:
    """As the API server's look; nobody signed it."""
    claims = {"aud": [audience], "exp": int(time.time() + lasts), "sub": subject}
    parts = (json.dumps(each).encode() for each in ({"alg": "RS256"}, claims))
    return ".".join([*(base64.urlsafe_b64encode(each).decode().rstrip("=") for each in parts), "c2lnbmF0dXJl"])


def audience_of(text: str) -> str:
    middle = text.split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))["aud"][0])


def signed(
    ca: Authority, key: Any, names: list[x509.GeneralName], lasts: float, starts: float = -120, usages: Any = None
) -> bytes:
    """A certificate of `ca` for a public key, in PEM; times are seconds from now."""
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder(subject_name=x509.Name([]))
        .issuer_name(ca.certificate.subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(seconds=starts))
        .not_valid_after(now + datetime.timedelta(seconds=lasts))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages or [SERVER, CLIENT]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=True)
    )
    return builder.sign(ca.key, hashes.SHA256()).public_bytes(PEM)


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    csr: x509.CertificateSigningRequest
    seconds: int
    metadata: Mapping[str, str]


class Istiod:
    """Signs what it is sent for tokens of audience istio-ca. `ca` signs, `server_ca` its own certificate."""

    def __init__(self, port: int = 0, name: str = NAME, server_lasts: float = 3600) -> None:
        self.ca = Authority()
        self.server_ca = self.ca
        self.roots = b""  # others than those of `ca`, as last element of the chain
        self.lasts: float | None = None  # whatever is asked for
        self.refuses: tuple[grpc.StatusCode, str] | None = None
        self.answer: bytes | None = None  # this instead of a chain
        self.slow_s = 0.0
        self.asked: list[Asked] = []
        self.port = port or free_port()
        self._name, self._server_lasts = name, server_lasts
        self._server: Any = None

    def start(self) -> None:
        server = grpc.server(futures.ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
        handler = grpc.unary_unary_rpc_method_handler(self._create_certificate)
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, {"CreateCertificate": handler})])
        key = new_key()
        chain = signed(self.server_ca, key.public_key(), [x509.DNSName(self._name)], self._server_lasts)
        credentials = grpc.ssl_server_credentials([(pem_of_key(key), chain)])
        assert server.add_secure_port(f"127.0.0.1:{self.port}", credentials) == self.port
        server.start()
        self._server = server

    def stop(self) -> None:
        if self._server:
            self._server.stop(None).wait()
            self._server = None

    def _create_certificate(self, request: bytes, context: Any) -> bytes:
        metadata = {each.key: each.value for each in context.invocation_metadata()}
        csr, seconds = read_request(request)
        self.asked.append(Asked(csr, seconds, metadata))
        time.sleep(self.slow_s)
        if audience_of(metadata["authorization"].removeprefix("Bearer ")) != "istio-ca":
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "request authenticate failure")
        if self.refuses:
            context.abort(*self.refuses)
        return self.answer if self.answer is not None else self._chain(csr, self.lasts or seconds)

    def _chain(self, csr: x509.CertificateSigningRequest, lasts: float) -> bytes:
        leaf = signed(self.ca, csr.public_key(), [x509.UniformResourceIdentifier(WAYPOINT)], lasts)
        return as_response([leaf, self.roots or self.ca.pem])


def as_response(chain: list[bytes]) -> bytes:
    """An IstioCertificateResponse, whose elements are shorter than 16 KiB."""
    lengths = (bytes([len(each) & 127 | 128, len(each) >> 7]) for each in chain)
    return b"".join(b"\x0a" + length + each for length, each in zip(lengths, chain, strict=True))


def read_request(request: bytes) -> tuple[x509.CertificateSigningRequest, int]:
    """The CSR is the first field, the seconds the second, if they are there."""
    length = request[1] & 127 | request[2] << 7
    assert request[0] == 0x0A and request[1] > 127 and request[2] < 128
    csr, rest = request[3 : 3 + length], request[3 + length :]
    assert not rest or rest[0] == 0x18
    return x509.load_pem_x509_csr(csr), sum((octet & 127) << 7 * place for place, octet in enumerate(rest[1:]))


@contextmanager
def running(**options: Any) -> Iterator[Istiod]:
    istiod = Istiod(**options)
    istiod.start()
    try:
        yield istiod
    finally:
        istiod.stop()


def mount(directory: Path, roots: bytes, text: str | None = None) -> tuple[Path, Path]:
    """The files that a Pod has: token and root."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "istio-token").write_text(token() if text is None else text)
    (directory / "root-cert.pem").write_bytes(roots)
    return directory / "istio-token", directory / "root-cert.pem"


def where(port: int, directory: Path, cluster: str = "Kubernetes", seconds: int = 3600) -> Where:
    return Where(
        place=f"127.0.0.1:{port}",
        token_file=str(directory / "istio-token"),
        root_file=str(directory / "root-cert.pem"),
        cluster=cluster,
        trust_domain="cluster.local",
        seconds=seconds,
    )
