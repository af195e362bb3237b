# cython: annotation_typing=False, cdivision=True
"""How many requests in a time: the generic cell rate algorithm (ITU-T I.371). Pure.

All that is known of what counts together is one time, its theoretical arrival: when the last request would have come,
had all come evenly. A request may come so much before that as `burst` allows; then it moves on by one interval. So no
stretch of time t sees more than burst + t/interval requests, and what has not come for long enough (`arrival` is past)
is as if it had never come.
"""

from proxy.policy import shapes


def wait_before(limit: shapes.RateLimit, arrival: int, now: int) -> int:
    """How long (ns) the next request had to wait; 0: it may come now."""
    return max(0, arrival - limit.interval * (limit.burst - 1) - now)


def arrival_after(limit: shapes.RateLimit, arrival: int, now: int, count: int) -> int:
    """The time after so many requests that come now."""
    return max(arrival, now) + count * limit.interval


def share_interval(limit: shapes.RateLimit, replicas: int) -> int:
    """The `interval` of one replica that counts by itself, where there are so many."""
    return limit.interval * max(1, replicas)


def share_burst(limit: shapes.RateLimit, replicas: int) -> int:
    """Its `burst`: at least one request."""
    return max(1, limit.burst // max(1, replicas))
