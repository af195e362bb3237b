"""How many there are, in all workers of a replica, of what a cluster has limits for; and who waits.

Each number is one word in the cluster's row: the count, and above it how often it has moved. A worker takes one by a
compare-and-swap that never lets the count above the limit, and writes what it holds beside it, in a row of its own
(`Holding`). So limits are exact over the workers, and of a worker that is killed it is known what it held.

It may be killed between the two. It has said so before (`moving`); then the number is made anew as the sum of what the
others hold, which is right if none of them is between the two and the word has not moved meanwhile.
"""

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memset

from proxy.scoreboard.atomics cimport wp_add64, wp_load, wp_load64, wp_store, wp_swap64
from proxy.scoreboard.layout cimport LIMITED

cdef int64_t COUNT = 0x7FFFFFFF
cdef int64_t MOVE = <int64_t>1 << 32
cdef int RECOUNTS = 100_000       # a look takes less than a microsecond


cdef bint take_one(ClusterRow* row, Holding* own, int kind, int64_t limit) noexcept nogil:
    """One more, unless there are `limit` in all."""
    cdef int64_t seen
    wp_store(&own.moving, 1)
    while True:
        seen = wp_load64(&row.held[kind])
        if (seen & COUNT) >= limit:
            wp_store(&own.moving, 0)
            return False
        if wp_swap64(&row.held[kind], seen, seen + MOVE + 1):
            break
    wp_store(&own.held[kind], own.held[kind] + 1)
    wp_store(&own.moving, 0)
    return True


cdef void drop_one(ClusterRow* row, Holding* own, int kind) noexcept nogil:
    """One less."""
    wp_store(&own.moving, 1)
    wp_add64(&row.held[kind], MOVE - 1)
    wp_store(&own.held[kind], own.held[kind] - 1)
    wp_store(&own.moving, 0)


cdef int64_t count_held(ClusterRow* row, int kind) noexcept nogil:
    """How many there are."""
    return wp_load64(&row.held[kind]) & COUNT


cdef int first_elsewhere(Memory memory, int worker, int cluster, int64_t* since) noexcept:
    """The worker, other than this one, where somebody has waited longest for a connection, and since when (ns); -1, 0."""
    cdef int other, found = -1
    cdef int64_t waits
    since[0] = 0
    for other in range(wp_load(&memory.header.workers_high)):
        waits = wp_load64(&memory.holding_of(other, cluster).waits_since) if other != worker else 0
        if waits and (found < 0 or waits < since[0]):
            found, since[0] = other, waits
    return found


cdef int give_back(Memory memory, int worker, int cluster) except -1:
    """What a worker held that is no more."""
    cdef ClusterRow* row = memory.cluster_rows + cluster
    cdef Holding* own = memory.holding_of(worker, cluster)
    cdef Holding left = own[0]
    cdef int kind
    memset(own, 0, sizeof(Holding))
    for kind in range(LIMITED):
        if left.moving and recount(memory, cluster, kind):
            continue
        if left.held[kind]:
            wp_add64(&row.held[kind], MOVE - left.held[kind])
    return 0


cdef bint recount(Memory memory, int cluster, int kind) noexcept:
    """The number is the sum of what workers hold. False: one of them is stopped while it moves a number."""
    cdef ClusterRow* row = memory.cluster_rows + cluster
    cdef int64_t seen, sum
    cdef int _
    for _ in range(RECOUNTS):
        seen = wp_load64(&row.held[kind])
        sum = sum_of(memory, cluster, kind)
        if sum >= 0 and wp_swap64(&row.held[kind], seen, seen - (seen & COUNT) + MOVE + sum):
            return True
    return False


cdef int64_t sum_of(Memory memory, int cluster, int kind) noexcept:
    """-1 while a worker moves a number."""
    cdef int64_t sum = 0
    cdef int worker
    for worker in range(wp_load(&memory.header.workers_high)):
        if wp_load(&memory.holding_of(worker, cluster).moving):
            return -1
        sum += wp_load(&memory.holding_of(worker, cluster).held[kind])
    return sum
