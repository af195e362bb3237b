"""What is tried again, as a snapshot says it (ipc/routing.RetryForm): of a cluster, or of a route's rule in its place.

The conditions by name are Envoy's `retry_on`. Those of gRPC go by the status in a response head, which is all that can be
known before the client has some of the answer.
"""

from libc.stdint cimport uint32_t
from libc.string cimport memset

cdef dict STATUSES = {"5xx": range(500, 600), "gateway-error": range(502, 505), "retriable-4xx": (409,)}
cdef dict GRPC_STATUSES = {
    "cancelled": 1, "deadline-exceeded": 4, "resource-exhausted": 8, "internal": 13, "unavailable": 14,
}
cdef frozenset RESETS = frozenset(("5xx", "gateway-error", "reset"))


cdef int read_retry_rule(RetryRule* rule, dict form) except -1:
    """Makes it the form's."""
    cdef list codes = form.get("codes", []), conditions = form.get("on", [])
    memset(rule, 0, sizeof(RetryRule))
    rule.retries = form["attempts"]
    rule.attempt = form["attempt_ms"] * 1_000_000
    rule.pause = form["pause_ms"] * 1_000_000
    rule.longest = form["longest_pause_ms"] * 1_000_000
    rule.least = form["least_pause_ms"] * 1_000_000
    rule.named = bool(codes or conditions)
    rule.resets = not RESETS.isdisjoint(conditions)
    for status in codes:
        rule.statuses[<int>status - 100] = 1
    for condition in conditions:
        for status in STATUSES.get(condition, ()):
            rule.statuses[<int>status - 100] = 1
        if condition in GRPC_STATUSES:
            rule.grpc |= <uint32_t>1 << <int>GRPC_STATUSES[condition]
    return 0
