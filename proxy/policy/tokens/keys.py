"""The keys of an issuer (JSON Web Key Set, RFC 7517), each with the algorithms that it may verify, and no others.

An algorithm is the token's to name, but of those that fit the key's type (RFC 8725 3.1): a public key is never taken
for a secret that signatures are made with. Keys and signatures are PyJWT's over `cryptography`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import Algorithm, get_default_algorithms
from jwt.exceptions import PyJWTError

from proxy.policy.tokens import strict

MOST_KEYS = 64
"""Of a set, as far as they can be used; a token without `kid` may have to be tried with each."""
LARGEST = 256 << 10
"""Octets of a set."""
_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_CURVES = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
_EDWARDS = ("Ed25519", "Ed448")
_SECRETS = {"HS256": 32, "HS384": 48, "HS512": 64}
"""Octets that the secret must have at least (RFC 7518 3.2)."""
_RSA_BITS = range(2048, 8193)
"""RFC 7518 3.3 has the least; more than the most costs a worker's time."""
_ALGORITHMS = get_default_algorithms()


class Unusable(Exception):
    """A set, or a key, that nothing can be verified with; says why."""


@dataclass(frozen=True, slots=True)
class Key:
    """`algorithms`: those that its signatures may be of. `kid` None: it has no name."""

    kid: str | None
    algorithms: frozenset[str]
    material: Any

    def verifies(self, algorithm: str, signed: bytes, signature: bytes) -> bool:
        """Whether that is this key's signature."""
        return algorithm in self.algorithms and bool(_of(algorithm).verify(signed, self.material, signature))


Keys = tuple[Key, ...]


def read_keys(text: str) -> tuple[Keys, tuple[str, ...]]:
    """The keys of a set that can be used, and what is wrong with the others. Raises Unusable if there are none."""
    if len(text) > LARGEST:
        raise Unusable(f"is longer than {LARGEST >> 10} KiB")
    try:
        listed = strict.mapping(text.encode()).get("keys")
    except ValueError as fault:
        raise Unusable(f"is no JSON Web Key Set: {fault}") from None
    if not isinstance(listed, list):
        raise Unusable('is no JSON Web Key Set: it has no list "keys"')
    found, wrong = [], []
    for index, each in enumerate(listed):
        try:
            found.append(_key(each))
        except Unusable as fault:
            wrong.append(f"keys[{index}] {fault}")
    if len(found) > MOST_KEYS:
        raise Unusable(f"has {len(found)} keys; at most {MOST_KEYS} are taken")
    if not found:
        raise Unusable(f"has no key that can be used: {'; '.join(wrong[:3]) or 'it is empty'}")
    return tuple(found), tuple(wrong)


def _key(said: Any) -> Key:
    if not isinstance(said, dict):
        raise Unusable("is no JSON object")
    kid = said.get("kid")
    if not isinstance(kid, str | None):
        raise Unusable("has a kid that is no text")
    operations = said.get("key_ops", ["verify"])
    if said.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        raise Unusable("is not for signatures")
    possible = tuple(_possible(said))
    named = said.get("alg")
    fitting = frozenset(possible if named is None else (each for each in possible if each == named))
    if not fitting:
        raise Unusable(f"is of no type that is known, or not for its alg: {_shown(said)}")
    return Key(kid, fitting, _material(said, possible[0]))


def _possible(said: dict[str, Any]) -> Iterator[str]:
    """What a key of this type could be for."""
    kind, curve = said.get("kty"), said.get("crv")
    if kind == "RSA":
        yield from _RSA
    elif kind == "EC" and curve in _CURVES:
        yield _CURVES[curve]
    elif kind == "OKP" and curve in _EDWARDS:
        yield "EdDSA"
    elif kind == "oct" and isinstance(secret := said.get("k"), str):
        yield from (name for name, least in _SECRETS.items() if len(secret) * 3 // 4 >= least)


def _material(said: dict[str, Any], algorithm: str) -> Any:
    """The public key, or the secret."""
    try:
        found = _of(algorithm).from_jwk(said)
    except (PyJWTError, ValueError, TypeError, KeyError) as fault:
        raise Unusable(f"cannot be read: {' '.join(str(fault).split())[:100]}") from None
    found = found.public_key() if hasattr(found, "public_key") else found  # whoever publishes a private key ...
    if isinstance(found, RSAPublicKey) and found.key_size not in _RSA_BITS:
        raise Unusable(f"has {found.key_size} bits; from {_RSA_BITS.start} to {_RSA_BITS.stop - 1} are taken")
    return found


def _of(algorithm: str) -> Algorithm:
    return _ALGORITHMS[algorithm]


def _shown(said: dict[str, Any]) -> str:
    """What a key says of its type, and nothing secret."""
    parts = (f"{name}={said[name]}" for name in ("kty", "crv", "alg") if isinstance(said.get(name), str))
    return re.sub(r"[^ -~]", "?", " ".join(parts)[:100]) or "it names none"
