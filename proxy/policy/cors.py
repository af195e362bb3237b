"""What answers to requests of other origins say (Fetch, 3.3; Envoy's CORS filter). Pure; not compiled: most requests
have no Origin.

An answer that says nothing of this is kept from the page that asked for it, by its browser: so to refuse an origin is
to say nothing, and methods are the browser's to hold against the list.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

ANY = b"*"
Fields = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CorsPolicy:
    """`exact` are origins, or `*`; `like` says whether one is like some pattern. Names are separated by commas, `*`
    stands for all; "" for none. `max_age` in seconds; -1: nothing is said of it."""

    exact: Collection[bytes] = ()
    like: Sequence[Callable[[bytes], bool]] = ()
    methods: bytes = b""
    headers: bytes = b""
    expose: bytes = b""
    credentials: bool = False
    max_age: int = -1


def allows(policy: CorsPolicy, origin: bytes) -> bool:
    """Whether pages of that origin may read answers."""
    return origin in policy.exact or ANY in policy.exact or any(likes(origin) for likes in policy.like)


def preflight_fields(policy: CorsPolicy, origin: bytes, method: bytes, headers: bytes) -> Fields:
    """Of the answer to a browser that asks, on behalf of an origin that is allowed, whether it may send a request of
    that method, with those headers (""). `*` is answered with what was asked for: with credentials it would be a name
    like others."""
    fields = answer_fields(policy, origin)
    methods = method if policy.methods == ANY else policy.methods
    names = headers if policy.headers == ANY else policy.headers
    if methods:
        fields.append((b"access-control-allow-methods", methods))
    if names:
        fields.append((b"access-control-allow-headers", names))
    if policy.max_age >= 0:
        fields.append((b"access-control-max-age", b"%d" % policy.max_age))
    return fields


def answer_fields(policy: CorsPolicy, origin: bytes) -> Fields:
    """Of any answer to a request of an origin that is allowed; those of an endpoint with these names do not go on."""
    fields = [(b"access-control-allow-origin", origin)]
    if policy.credentials:
        fields.append((b"access-control-allow-credentials", b"true"))
    if policy.expose and not (policy.credentials and policy.expose == ANY):
        fields.append((b"access-control-expose-headers", policy.expose))
    return fields
