"""Who issues tokens: keys made by `cryptography`, tokens signed with them, and a server that publishes the keys."""

import base64
import contextlib
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

HASHES: dict[str, type[hashes.HashAlgorithm]] = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}
CURVES: dict[str, type[ec.EllipticCurve]] = {"P-256": ec.SECP256R1, "P-384": ec.SECP384R1, "P-521": ec.SECP521R1}
ISSUER = "https://issuer.example"
NEVER_S = 10**9


def b64(data: bytes | str | dict[str, Any]) -> str:
    """Base64url without padding; of JSON if it is a mapping."""
    octets = json.dumps(data).encode() if isinstance(data, dict) else data.encode() if isinstance(data, str) else data
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def _number(number: int, size: int = 0) -> str:
    return b64(number.to_bytes(size or (number.bit_length() + 7) // 8, "big"))


@dataclass
class SigningKey:
    """A private key and what its public half is published as."""

    kid: str
    private: Any
    published: dict[str, Any]

    def sign(self, algorithm: str, data: bytes) -> bytes:
        """As RFC 7518 and RFC 8037 say, written apart from what verifies it."""
        if algorithm == "EdDSA":
            return bytes(self.private.sign(data))
        made = HASHES[algorithm[2:]]()
        if algorithm.startswith("ES"):
            r, s = decode_dss_signature(self.private.sign(data, ec.ECDSA(made)))
            size = (self.private.key_size + 7) // 8
            return r.to_bytes(size, "big") + s.to_bytes(size, "big")
        pss = padding.PSS(padding.MGF1(made), made.digest_size)
        return bytes(self.private.sign(data, pss if algorithm.startswith("PS") else padding.PKCS1v15(), made))


def rsa_key(kid: str, bits: int = 2048) -> SigningKey:
    private = rsa.generate_private_key(65537, bits)
    public = private.public_key().public_numbers()
    return SigningKey(kid, private, {"kty": "RSA", "kid": kid, "n": _number(public.n), "e": _number(public.e)})


def ec_key(kid: str, curve: str) -> SigningKey:
    private = ec.generate_private_key(CURVES[curve]())
    public, size = private.public_key().public_numbers(), (private.key_size + 7) // 8
    return SigningKey(
        kid,
        private,
        {"kty": "EC", "kid": kid, "crv": curve, "x": _number(public.x, size), "y": _number(public.y, size)},
    )


def ed_key(kid: str) -> SigningKey:
    private = ed25519.Ed25519PrivateKey.generate()
    raw = private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return SigningKey(kid, private, {"kty": "OKP", "kid": kid, "crv": "Ed25519", "x": b64(raw)})


def keys_of(*keys: SigningKey) -> str:
    """A JSON Web Key Set."""
    return json.dumps({"keys": [each.published for each in keys]})


@dataclass
class Issuer:
    """Keys of each kind, and tokens of the first."""

    name: str = ISSUER
    rsa: SigningKey = field(default_factory=lambda: rsa_key("rsa"))
    ec: SigningKey = field(default_factory=lambda: ec_key("ec", "P-256"))
    ed: SigningKey = field(default_factory=lambda: ed_key("ed"))

    @property
    def jwks(self) -> str:
        return keys_of(self.rsa, self.ec, self.ed)

    def token(
        self,
        key: SigningKey | None = None,
        algorithm: str = "RS256",
        header: dict[str, Any] | None = None,
        tamper: Callable[[str], str] = str,
        **claims: Any,
    ) -> str:
        """For `sub` alice, good for a while; a claim or a field of the header that is None is left out."""
        key = key or self.rsa
        head = {"alg": algorithm, "kid": key.kid} | (header or {})
        said = {"iss": self.name, "sub": "alice", "exp": int(time.time()) + NEVER_S} | claims
        parts = [{name: value for name, value in part.items() if value is not None} for part in (head, said)]
        signed = ".".join(map(b64, parts))
        return tamper(f"{signed}.{b64(key.sign(algorithm, signed.encode()))}")

    def forged(self, secret: bytes, **header: Any) -> str:
        """Signed with HS256 and what somebody has found to be a secret."""
        said = {"iss": self.name, "sub": "mallory", "exp": int(time.time()) + NEVER_S}
        signed = f"{b64({'alg': 'HS256'} | header)}.{b64(said)}"
        return f"{signed}.{b64(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


class KeyServer:
    """`pages` by path; what is not there is a 404. `asked`: the paths."""

    def __init__(self, port: int = 0) -> None:
        self.pages: dict[str, str] = {}
        self.asked: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                page = server.pages.get(self.path)
                self.send_response(404 if page is None else 302 if page.startswith("http") else 200)
                if page and page.startswith("http"):
                    self.send_header("location", page)
                self.end_headers()
                self.wfile.write((page or "").encode())

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @contextlib.contextmanager
    def serving(self) -> Iterator["KeyServer"]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()
