# cython: annotation_typing=False
"""Which endpoint is next. Pure: positions in, a position out; who is eligible is the caller's knowledge.

Round robin goes on from the endpoint picked last instead of counting requests, so that an ejection, a return or a retry
never makes two turns in a row fall on one endpoint. The cursor itself is shared by the workers of a replica
(scoreboard).
"""


def round_robin(last: int, eligible: bytes, count: int) -> int:
    """The first eligible position after `last`, going round; -1 if there is none.

    `eligible` has one byte for each of the `count` endpoints, 0 meaning no. `last` is -1 before the first pick; a value
    left by a longer list is taken as its end.
    """
    start = last + 1
    if start >= count or start < 0:
        start = 0
    for position in range(start, count):
        if eligible[position]:
            return position
    for position in range(start):
        if eligible[position]:
            return position
    return -1
