# cython: annotation_typing=False
"""ROUND_ROBIN: which endpoint is next. Pure: positions in, a position out; who is in, and who was tried, is the
caller's knowledge.

Round robin goes on from the endpoint picked last instead of counting requests, so that an ejection, a return or a retry
never makes two turns in a row fall on one endpoint. The cursor itself is shared by the workers of a replica
(scoreboard).
"""

from proxy.policy import shapes


def round_robin(last: int, view: shapes.View) -> int:
    """The first position after `last`, going round, that is in and was not tried; -1 if there is none.

    `last` is -1 before the first pick; a value left by a longer list is taken as its end.
    """
    if view.present == 0:
        return -1
    return from_turn(view.rank[last + 1 if 0 <= last + 1 < view.count else 0], view)


def from_turn(turn: int, view: shapes.View) -> int:
    """The position of the first that was not tried, going round from the one at `turn` among those that are in; -1 if
    there is none. What it costs grows with what was tried, not with how many endpoints there are."""
    for _ in range(view.present):
        if turn >= view.present:
            turn = 0
        position = view.members[turn]
        if not view.tried[position]:
            return position
        turn += 1
    return -1
