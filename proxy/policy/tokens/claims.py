"""What a verified token says: for access rules (Istio's request.auth.*), and for the headers that endpoints get."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

PRINCIPAL = "request.auth.principal"
AUDIENCES = "request.auth.audiences"
PRESENTER = "request.auth.presenter"
BETWEEN = "\0"
"""Stands between issuer and subject in a principal: a slash may be in either."""
DELIMITED = ("scope", "permission")
"""Claims whose words are values of their own, whatever a rule says (Istio's default)."""

Claims = Mapping[str, Any]


def spaced(claims: Claims, names: Iterable[str]) -> dict[str, Any]:
    """The same, in which claims of these names are lists of their words."""
    found = dict(claims)
    for name in (*DELIMITED, *names):
        if isinstance(value := found.get(name), str):
            found[name] = value.split(" ")
    return found


def texts(claims: Claims, key: str) -> list[str]:
    """The values of what a condition names: [] if there is none, or if it is no text. `key` may be "[a][b]", which is
    `b` in `a`. Numbers and booleans have no value here, as in Envoy."""
    if key == PRINCIPAL:
        return _principal(claims)
    if key == AUDIENCES:
        return _listed(claims.get("aud"))
    if key == PRESENTER:
        return _listed(claims.get("azp"))
    return _listed(_at(claims, key[1:-1].split("][")))


def _principal(claims: Claims) -> list[str]:
    issuer, subject = claims.get("iss"), claims.get("sub")
    if not (issuer and subject and isinstance(issuer, str) and isinstance(subject, str)):
        return []
    return [] if BETWEEN in issuer or BETWEEN in subject else [f"{issuer}{BETWEEN}{subject}"]


def _listed(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _at(claims: object, path: Sequence[str]) -> object:
    for name in path:
        if not isinstance(claims, dict):
            return None
        claims = claims.get(name)
    return claims


def header_value(claims: Claims, path: str) -> bytes | None:
    """What `outputClaimToHeaders` puts into a header: text, numbers and booleans as they are, lists and objects as JSON
    in base64 (Envoy: not base64url). None: there is no such claim, or it is empty, or has what no header may have."""
    value = _at(claims, path.split("."))
    if value is None:
        return None
    if isinstance(value, dict | list):
        return base64.b64encode(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace"))
    text = value if isinstance(value, str) else json.dumps(_whole(value))
    encoded = text.encode("utf-8", "replace").strip(b" \t")
    return None if any((octet < 0x20 and octet != 0x09) or octet == 0x7F for octet in encoded) else encoded or None


def _whole(value: object) -> object:
    """1e3 is 1000."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value
