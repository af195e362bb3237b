"""How many requests all workers of a replica have sent to a cluster's endpoints within `retryBudget.budgetInterval`.

As in Envoy (RetryBudget.budget_interval), that time is cut into ten parts, and a request counts until the part it was
sent in has been over for the whole time. Each part has a word in the cluster's row: in its upper half which one it is,
in the lower how many there were. Whoever comes first in a new part takes an old one's place, by a compare-and-swap.
"""

from libc.stdint cimport int64_t

from proxy.scoreboard.atomics cimport wp_load64, wp_swap64
from proxy.scoreboard.layout cimport PART_PLACES, PARTS

cdef int64_t COUNT = 0xFFFFFFFF
cdef int64_t PART = 0x7FFFFFFF
cdef int SHIFT = 32


cdef void note_request(ClusterRow* row, int64_t interval, int64_t now) noexcept nogil:
    """One more, now. Times in ns."""
    cdef int64_t part = now // (interval // PARTS) & PART
    cdef int64_t* place = &row.recent[part % PART_PLACES]
    cdef int64_t seen
    while True:
        seen = wp_load64(place)
        if wp_swap64(place, seen, seen + 1 if seen >> SHIFT == part else (part << SHIFT) + 1):
            return


cdef int64_t count_recent(ClusterRow* row, int64_t interval, int64_t now) noexcept nogil:
    """How many there were."""
    cdef int64_t part = now // (interval // PARTS) & PART, seen, sum = 0
    cdef int at
    for at in range(PART_PLACES):
        seen = wp_load64(&row.recent[at])
        if 0 <= part - (seen >> SHIFT) <= PARTS:
            sum += seen & COUNT
    return sum
