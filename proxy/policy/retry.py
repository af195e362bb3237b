# cython: annotation_typing=False
"""Whether a failed attempt is tried again. Pure.

Istio's default (VirtualService `retries` unset): two retries, each on another endpoint, for failures in which the
endpoint cannot have acted on the request; never for a 5xx it answered itself. A request that was sent in whole or part
is sent again only if doing so twice is the same as doing it once (RFC 9110, 9.2.2) and no body went with it.
"""

RETRIES = 2


def may_retry(retries: int, sent: bool, idempotent: bool, has_body: bool) -> bool:
    """After `retries` earlier retries, and a failure before any byte of a response."""
    if retries >= RETRIES:
        return False
    return may_replay(sent, idempotent, has_body)


def may_replay(sent: bool, idempotent: bool, has_body: bool) -> bool:
    """Whether sending the request once more cannot do anything twice."""
    return not sent or (idempotent and not has_body)
