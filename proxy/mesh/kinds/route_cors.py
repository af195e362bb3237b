"""The CORS filter of an HTTPRoute (GEP-1767)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from proxy.mesh.kinds import patterns
from proxy.mesh.reading.records import optional, struct
from proxy.mesh.reading.schema import INT32_MAX, At, boolean, few, integer, items, matching, one_of
from proxy.mesh.traffic.routing import Cors, Origins

ANY = "*"
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", ANY)
_MOST, _MOST_METHODS = 64, 9
_LONGEST_ORIGIN = 253
_is_origin = re.compile(
    r"\*|https?://((\*\.)?([a-zA-Z0-9-]+\.)*[a-zA-Z0-9-]+|\*)(:[0-9]{1,5})?",
).fullmatch
_ANY_ORIGIN = r"[a-z][a-z0-9+.-]*://[^/]+"
"""As in Istio: "null" is nobody's origin."""
_ANY_HOST = r"[^/:]+"

_origin = matching(
    lambda text: len(text) <= _LONGEST_ORIGIN and _is_origin(text) is not None,
    'an origin such as https://example.com or https://*.example.com:8443, or "*"',
)
_headers = few(items(patterns.token), _MOST)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cors:
    allow_origins: tuple[str, ...] = optional(few(items(_origin), _MOST), ())
    allow_credentials: bool = optional(boolean, False)
    allow_methods: tuple[str, ...] = optional(few(items(one_of(*_METHODS)), _MOST_METHODS), ())
    allow_headers: tuple[str, ...] = optional(_headers, ())
    expose_headers: tuple[str, ...] = optional(_headers, ())
    max_age: int = optional(integer(1, INT32_MAX), 5)


def _any_alone(at: At, found: _Cors) -> None:
    lists = {
        "allowOrigins": found.allow_origins,
        "allowMethods": found.allow_methods,
        "allowHeaders": found.allow_headers,
    }
    for name, given in lists.items():
        if ANY in given and len(given) > 1:
            at.down(name).fault('holds "*", which stands for all of them, and others: leave one of these out')


_cors = struct(_Cors, rules=(_any_alone,))


def cors(at: At, value: object) -> Cors | None:
    """What answers to other origins say."""
    found = _cors(at, value)
    if found is None:
        return None
    return Cors(
        origins(found.allow_origins),
        methods=found.allow_methods,
        headers=found.allow_headers,
        expose=found.expose_headers,
        credentials=found.allow_credentials,
        max_age_s=found.max_age,
    )


def origins(allowed: Sequence[str]) -> Origins:
    """A `*` before a host stands for any number of labels, alone for any host, and without a scheme for any origin."""
    like = [
        _ANY_ORIGIN if each == ANY else re.escape(each).replace(r"\*", _ANY_HOST) for each in allowed if ANY in each
    ]
    return Origins(tuple(each for each in allowed if ANY not in each), tuple(like))
