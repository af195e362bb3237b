# cython: annotation_typing=False, cdivision=True
"""What a cluster may have at once, and who is first when something has become free. Pure."""

from proxy.policy import shapes

GRACE = 10_000_000
"""Nanoseconds. Who waits in the worker where something becomes free is served before one of another worker who has not
waited so much longer: passing it on has its price."""


def retries_at_once(limits: shapes.Limits, requests: int) -> int:
    """How many retries there may be, while so many requests run or wait.

    Envoy's RetryBudget: that part of the requests, and never less than `min_retry_concurrency`.
    """
    if not limits.budgeted:
        return limits.retries
    return max(limits.budget * requests // 10000, limits.budget_min)


def goes_first(since: int, other: int) -> bool:
    """Whether who has waited since then goes before who waits elsewhere since `other` (ns; 0: nobody waits there)."""
    return since != 0 and (other == 0 or since <= other + GRACE)
