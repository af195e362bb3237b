# cython: annotation_typing=False, cdivision=True
"""What a cluster may have at once, and who is first when something has become free. Pure."""

from proxy.policy import shapes

GRACE = 10_000_000
"""Nanoseconds. Who waits in the worker where something becomes free is served before one of another worker who has not
waited so much longer: passing it on has its price."""


def at_once(limit: int, share: int) -> int:
    """How many there may be under a limit of which this replica has that share (less than 0: all of it)."""
    return limit if share < 0 or share > limit else share


def retries_at_once(limit: shapes.RetryLimit, requests: int, share: int) -> int:
    """How many retries there may be, while so many requests run or wait (or were sent within `budgetInterval`); `share`
    as in `at_once`.

    Envoy's RetryBudget: that part of the requests, and never less than `min_retry_concurrency`. Of a fleet's budget a
    replica has the part of its own requests, and its share of the rest.
    """
    if not limit.budgeted:
        return at_once(limit.retries, share)
    own = limit.budget * requests // 10000
    return max(own, limit.budget_min) if share < 0 else own + share


def goes_first(since: int, other: int) -> bool:
    """Whether who has waited since then goes before who waits elsewhere since `other` (ns; 0: nobody waits there)."""
    return since != 0 and (other == 0 or since <= other + GRACE)
