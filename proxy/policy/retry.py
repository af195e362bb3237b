# cython: annotation_typing=False
"""Whether a failed attempt is tried again, or one that was answered. Pure.

Istio's default (VirtualService `retries` unset): two retries, each on another endpoint, for failures in which the
endpoint cannot have acted on the request; never for a 5xx it answered itself. A request that was sent in whole or part
is sent again only if doing so twice is the same as doing it once (RFC 9110, 9.2.2) and no body went with it.

A request that its endpoint refused (RFC 9113 8.7) is tried again also where no other endpoint is: on the same, over
another connection. A retry somewhere is better than none, and that endpoint is there.

A connection that had waited for a request and ends when it gets one was closed before, most likely; one on which
something comes that is no answer had that on its way before (RFC 9112, 9.2). That is no outcome and no retry, a fresh
connection takes its place.

A route's rule may name more: statuses and gRPC statuses that are tried again, and requests that broke off, whatever
they have done (HTTPRoute `retry`, VirtualService `retryOn`; Envoy's RetryState). Whoever asks for that says that doing
such a request twice is no harm, so its method does not matter, as with Envoy; it must be here whole to be sent again.
What a rate limit refused is not asked of others.
"""

from proxy.policy import shapes
from proxy.policy.shapes import (
    ANOTHER,
    ANSWERED,
    CLOSED,
    EXHAUSTED,
    NO,
    NOT_CONNECTED,
    NOT_HTTP,
    OVERDUE,
    REFUSED,
    RESET,
    SAME,
    SHORT_OF,
)


def again(rule: shapes.RetryRule, ending: shapes.Ending) -> int:
    """What follows an attempt that failed before a response head, or was answered."""
    if ending.how == ANSWERED:
        return another(rule, ending) if in_vain(rule, ending) else NO
    if ending.how == NOT_HTTP:
        return SAME if ending.pooled and may_repeat(rule, ending) else NO
    if ending.how not in (SHORT_OF, NOT_CONNECTED, CLOSED, RESET, REFUSED, OVERDUE) or not may_repeat(rule, ending):
        return NO
    if ending.pooled and ending.how != OVERDUE:
        return SAME
    return another(rule, ending)


def another(rule: shapes.RetryRule, ending: shapes.Ending) -> int:
    """Whether there may be one more."""
    if ending.retries < rule.retries and (ending.untried > 0 or ending.how == REFUSED or rule.named):
        return ANOTHER
    return EXHAUSTED if ending.retries > 0 else NO


def in_vain(rule: shapes.RetryRule, ending: shapes.Ending) -> bool:
    """Whether the rule wants another answer than this one, and the request can be sent once more."""
    if not rule.named or not ending.whole or ending.limited:
        return False
    if 100 <= ending.status < 600 and rule.statuses[ending.status - 100]:
        return True
    return 0 <= ending.grpc < 32 and (rule.grpc >> ending.grpc) & 1 != 0


def pause_before(rule: shapes.RetryRule, retry: int, draw: int) -> int:
    """How many nanoseconds to wait before the Nth retry, N from 1; `draw` is a number of 16 bits.

    Drawn evenly from 0 to (2^N - 1) times the rule's pause, or to the longest (Envoy's RetryBackOff): so those that
    failed together do not come back together. What a route names as the shortest (GEP-1731) comes before that.
    """
    most = min(((1 << min(retry, 16)) - 1) * rule.pause, rule.longest)
    return rule.least + ((most * draw) >> 16)


def may_repeat(rule: shapes.RetryRule, ending: shapes.Ending) -> bool:
    """Whether sending the request once more cannot do anything twice, or may."""
    return not ending.sent or ending.repeatable or (rule.resets and ending.whole)
