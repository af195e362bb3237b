# cython: annotation_typing=False
"""Which of a rule's backends gets a request. Pure; chance is an argument."""

from proxy.policy import shapes


def backend_of(split: shapes.Split, chance: int) -> int:
    """Each gets its weight's share of the requests; `chance` is a number of 32 bits. -1: nobody gets any."""
    point, sum_of = (chance * split.total) >> 32, 0
    for at in range(split.count):
        sum_of += split.weights[at]
        if point < sum_of:
            return at
    return -1
