"""A token as it came, and what one of the rules says to it. The texts are those that Envoy's jwt_authn answers with.

What is asked first decides what is said: the form, the issuer, times, audiences, then keys and the signature. Until
that has been verified nothing in the token is believed; a URL or a key in its head (`jku`, `x5u`, `jwk`) never is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from proxy.policy.tokens import strict

if TYPE_CHECKING:  # a process that meets no token needs no library for them
    from proxy.policy.tokens.keys import Key

SKEW_S = 60
"""By how much clocks may differ (Envoy's clock_skew_seconds)."""
UNAUTHORIZED, FORBIDDEN = 401, 403
ISSUER_UNKNOWN = "Jwt issuer is not configured"
MISSING = "Jwt is missing"
NO_KEYS = "Jwks remote fetch is failed"
KEY_UNKNOWN = "Jwks doesn't have key to match kid or alg from Jwt"
_VERIFIED_BY = frozenset({f"{family}{bits}" for family in ("RS", "PS", "ES", "HS") for bits in (256, 384, 512)})
_ALGORITHMS = _VERIFIED_BY | {"EdDSA"}


class Refused(Exception):
    """Why a token is not accepted, and the status that says so."""

    def __init__(self, text: str, status: int = UNAUTHORIZED) -> None:
        super().__init__(text)
        self.text = text
        self.status = status


@dataclass(frozen=True, slots=True)
class Expected:
    """What a rule (JwtRule) asks of a token. `issuer` "": any."""

    issuer: str
    audiences: frozenset[str]


@dataclass(frozen=True, slots=True)
class Token:
    """One that is well formed; nothing says yet that it is good. `payload` is that part as it came."""

    algorithm: str
    kid: str | None
    claims: dict[str, Any]
    payload: bytes
    signed: bytes
    signature: bytes

    @property
    def expires(self) -> float | None:
        """The last second that it is good for, in s since 1970; None: it says nothing."""
        found: float | None = self.claims.get("exp")
        return None if found is None else found + SKEW_S


def read(text: bytes) -> Token:
    """The token that this is (JWS Compact Serialization, RFC 7515 7.1). Raises Refused."""
    parts = text.split(b".")
    if len(parts) != 3:
        raise Refused("Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections")
    header = _object(parts[0], "header")
    algorithm, kid = _algorithm(header), header.get("kid")
    if not isinstance(kid, str | None):
        raise Refused("Jwt header [kid] field is not a string")
    claims = _object(parts[1], "payload")
    check_types(claims)
    try:
        signature = strict.octets(parts[2])
    except ValueError:
        raise Refused("Jwt signature is an invalid Base64url encoded") from None
    return Token(algorithm, kid, claims, parts[1], parts[0] + b"." + parts[1], signature)


def _object(part: bytes, name: str) -> dict[str, Any]:
    try:
        found = strict.octets(part)
    except ValueError:
        raise Refused(f"Jwt {name} is an invalid Base64url encoded") from None
    try:
        return strict.mapping(found)
    except ValueError:
        raise Refused(f"Jwt {name} is an invalid JSON") from None


def _algorithm(header: dict[str, Any]) -> str:
    found = header.get("alg")
    if not isinstance(found, str):
        raise Refused("Jwt header [alg] field is required and must be a string")
    if found not in _ALGORITHMS:
        raise Refused("Jwt header [alg] is not supported")
    if "crit" in header:  # extensions that must be understood (RFC 7515 4.1.11): there is none that is
        raise Refused("Jwt header [crit] is not supported")
    return found


def check_types(claims: dict[str, Any]) -> None:
    """Raises Refused for registered claims that are none (RFC 7519 4.1)."""
    for name in ("iss", "sub"):
        if not isinstance(claims.get(name), str | None):
            raise Refused(f"Jwt payload [{name}] field is not a string")
    for name in ("exp", "nbf"):
        value = claims.get(name)
        if name in claims and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise Refused(f"Jwt payload [{name}] field is not an integer")
        if isinstance(value, int | float) and not 0 <= value < 1 << 63:
            raise Refused(f"Jwt payload [{name}] field overflows the positive integer")
    audiences = claims.get("aud", "")
    listed = audiences if isinstance(audiences, list) else [audiences]
    if not all(isinstance(each, str) for each in listed):
        raise Refused("Jwt payload [aud] field is not a string or string list")


def verify(token: Token, expected: Expected, keys: Sequence[Key], now: float) -> None:
    """Raises Refused unless it is good under this rule. `keys`: its issuer's, () if they are not known."""
    if expected.issuer and token.claims.get("iss") != expected.issuer:
        raise Refused(ISSUER_UNKNOWN)
    expires = token.expires
    if token.claims.get("nbf", 0) > now + SKEW_S:
        raise Refused("Jwt not yet valid")
    if expires is not None and now > expires:
        raise Refused("Jwt is expired")
    if expected.audiences and not expected.audiences & audiences(token.claims):
        raise Refused("Audiences in Jwt are not allowed", FORBIDDEN)
    if not keys:
        raise Refused(NO_KEYS)
    of_kid = [each for each in keys if token.kid in (None, each.kid)]
    fitting = [each for each in of_kid if token.algorithm in each.algorithms]
    if not of_kid:
        raise Refused(KEY_UNKNOWN)
    if not any(each.verifies(token.algorithm, token.signed, token.signature) for each in fitting):
        raise Refused("Jwt verification fails")


def audiences(claims: dict[str, Any]) -> frozenset[str]:
    """Whom a token is for, as they are compared."""
    found = claims.get("aud", ())
    return frozenset(map(plain_audience, [found] if isinstance(found, str) else found))


def plain_audience(text: str) -> str:
    """Without what does not tell audiences apart: the scheme of a URL, and a slash at its end."""
    for scheme in ("https://", "http://"):
        text = text.removeprefix(scheme)
    return text.removesuffix("/")
