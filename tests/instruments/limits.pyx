"""What workers hold of what is limited, taken and given back by hand, and left half done as by one that is killed."""

from proxy.scoreboard.atomics cimport wp_add64, wp_store
from proxy.scoreboard.layout cimport Holding
from proxy.scoreboard.limits cimport drop_one, take_one
from proxy.scoreboard.recent cimport count_recent, note_request
from proxy.scoreboard.scoreboard cimport Scoreboard


def take(Scoreboard board, int worker, int cluster, int kind, long limit) -> bool:
    return take_one(board.memory.cluster(cluster), board.memory.holding_of(worker, cluster), kind, limit)


def drop(Scoreboard board, int worker, int cluster, int kind) -> None:
    drop_one(board.memory.cluster(cluster), board.memory.holding_of(worker, cluster), kind)


def note(Scoreboard board, int cluster, long interval, long now) -> None:
    """A request, for a retryBudget that counts those of so many ns."""
    note_request(board.memory.cluster(cluster), interval, now)


def recent(Scoreboard board, int cluster, long interval, long now) -> int:
    return count_recent(board.memory.cluster(cluster), interval, now)


def die(Scoreboard board, int worker, int cluster, int kind, int steps) -> None:
    """Of the four steps in which one is taken, the first so many."""
    cdef Holding* own = board.memory.holding_of(worker, cluster)
    if steps > 0:
        wp_store(&own.moving, 1)
    if steps > 1:
        wp_add64(&board.memory.cluster(cluster).held[kind], (<long>1 << 32) + 1)
    if steps > 2:
        own.held[kind] += 1
    if steps > 3:
        wp_store(&own.moving, 0)
