"""The rules of a RequestAuthentication: every field of `jwtRules`, read and checked.

Rules are those of Istio's ValidateRequestAuthentication and of its CRD. A rule with a fault is as good as not there,
and what its policy may guard is closed (guards.py).
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TypeVar
from urllib.parse import urlsplit

from proxy.mesh.reading.records import built
from proxy.mesh.reading.remarks import shown
from proxy.mesh.reading.schema import (
    At,
    Check,
    Given,
    at_most_one,
    boolean,
    duration,
    filled,
    items,
    matching,
    one_of,
    text,
)
from proxy.mesh.traffic.tokens import ClaimToHeader, FromHeader, JwtRule

_MOST = 16
"""Places of each kind, and claims in headers, of one rule."""
_LONGEST_S = 60
"""That fetching keys may take."""
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OURS = re.compile(
    r"(?i)host|connection|keep-alive|proxy-connection|te|upgrade|expect|content-length|transfer-encoding|content-type|trailer"
    r"|http2-settings|x-request-id|x-forwarded-(for|proto|client-cert)|x-envoy-.*"
)
"""Headers that frame or route a request, or that only proxies set: nobody's claims."""

T = TypeVar("T")

_header_name = matching(lambda value: bool(_NAME.fullmatch(value)), "the name of a header")


def _header(at: At, value: object) -> str | None:
    """One that may be set, and taken out."""
    found = _header_name(at, value)
    if found is not None and _OURS.fullmatch(found):
        at.fault(f"{shown(found)} says how a request is framed or routed: take another header")
        return None
    return found.lower() if found else None


def _header_or_none(at: At, value: object) -> str | None:
    return "" if value == "" else _header(at, value)


def _uri(at: At, value: object) -> str | None:
    found = filled(at, value)
    if found is None:
        return None
    try:
        parts = urlsplit(found)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or not found.isascii() or not found.isprintable() or " " in found:
        at.fault(f"must be an http:// or https:// URL, not {shown(found)}")
        return None
    return found


def _keys(at: At, value: object) -> str | None:
    """The set itself."""
    found = text(at, value)
    if not found:
        return found
    # Ten MiB, which only those who have such policies need.
    from proxy.policy.tokens.keys import Unusable, read_keys

    try:
        _, wrong = read_keys(found)
    except Unusable as fault:
        at.fault(str(fault))
        return None
    for each in wrong:
        at.warn(f"{each}: it verifies nothing")
    return found


def _patience(at: At, value: object) -> int | None:
    found = duration(at, value, whole=False)
    if found is not None and not 1 <= found <= _LONGEST_S * 1000:
        at.fault(f"must be from 1ms to {_LONGEST_S}s, not {shown(value)}")
        return None
    return found


def _required(at: At, value: object) -> bool | None:
    found = one_of("OPTIONAL", "REQUIRED")(at, value)
    return None if found is None else found == "REQUIRED"


def _few(check: Check[T]) -> Check[tuple[T, ...]]:
    listed = items(check)

    def checked(at: At, value: object) -> tuple[T, ...] | None:
        found = listed(at, value)
        if found is not None and len(found) > _MOST:
            at.fault(f"has {len(found)} items; at most {_MOST} are allowed")
            return None
        return found

    return checked


def _has_issuer(at: At, found: Given) -> None:
    if not found.get("issuer") and not (found.get("jwksUri") or found.get("jwks_uri")):
        at.down("issuer").fault("is required, unless jwksUri says where the keys of any issuer are")


_rule = built(
    JwtRule,
    {
        "issuer": filled,
        "audiences": items(filled),
        "jwks": _keys,
        "jwksUri": _uri,
        "jwks_uri": _uri,
        "fromHeaders": _few(built(FromHeader, {"name": _header, "prefix": text})),
        "fromParams": _few(filled),
        "fromCookies": _few(filled),
        "outputPayloadToHeader": _header_or_none,
        "outputClaimToHeaders": _few(built(ClaimToHeader, {"header": _header, "claim": filled})),
        "forwardOriginalToken": boolean,
        "spaceDelimitedClaims": items(filled),
        "timeout": _patience,
        "presence": _required,
    },
    given=(at_most_one("jwks", "jwksUri", "jwks_uri"), _has_issuer),
)


def jwt_rule(at: At, value: object) -> JwtRule | None:
    """One of `jwtRules`."""
    found = _rule(at, value)
    if found and isinstance(value, dict) and value.get("jwks_uri"):  # an older name of jwksUri
        return replace(found, jwks_uri=value["jwks_uri"])
    return found
