"""Which share of a cluster's limits this replica has, where the fleet keeps them together: who leads writes it
(proxy/fleet/sharing.py), workers go by it (relay/endpoints/allowance.pyx).
"""

from libc.stdint cimport int64_t

from proxy.clock cimport monotonic_ns
from proxy.scoreboard.atomics cimport wp_load, wp_load64, wp_store64
from proxy.scoreboard.layout cimport LIMITED, ClusterRow
from proxy.scoreboard.limits cimport count_held
from proxy.scoreboard.recent cimport count_recent

from proxy.scoreboard.views import InUse

cdef int64_t BEGUN = <int64_t>1 << 62     # beside a share that this replica has taken by itself, to begin with


cdef class Shares:
    """`slot` is the cluster's. KeyError where there is no cluster in it."""

    def __init__(self, Memory memory not None):
        self.memory = memory

    def of(self, int slot) -> tuple:
        """By limit (clusters.LIMITS); -1: nobody has said."""
        cdef ClusterRow* row = self.memory.cluster(slot)
        return tuple([share_of(row, kind) for kind in range(LIMITED)])

    def told(self, int slot) -> tuple:
        """The same without what this replica has taken by itself, to begin with."""
        cdef ClusterRow* row = self.memory.cluster(slot)
        return tuple([-1 if wp_load64(&row.shares[kind]) & BEGUN else share_of(row, kind) for kind in range(LIMITED)])

    def give(self, int slot, int kind, int64_t share, bint told=True) -> None:
        """Of one limit, by its place in LIMITS; less than 0: nobody says."""
        wp_store64(&self.memory.cluster(slot).shares[kind], (1 + share) | (0 if told or share < 0 else BEGUN))

    def in_use(self, int slot, int64_t interval_ms=0) -> InUse:
        """What there is of what they are shares of. With an `interval_ms` also how many requests that had."""
        cdef ClusterRow* row = self.memory.cluster(slot)
        cdef int64_t idle = 0
        cdef int worker, kind
        cdef list refused = [0] * LIMITED
        for worker in range(wp_load(&self.memory.header.workers_high)):
            idle += self.memory.counters_of(worker, slot).idle
            for kind in range(LIMITED):
                refused[kind] += self.memory.counters_of(worker, slot).refused[kind]
        recent = count_recent(row, interval_ms * 1_000_000, monotonic_ns()) if interval_ms else None
        return InUse(tuple([count_held(row, kind) for kind in range(LIMITED)]), tuple(refused), max(0, idle), recent)


cdef int64_t share_of(ClusterRow* row, int kind) noexcept nogil:
    """-1: nobody has said."""
    return (wp_load64(&row.shares[kind]) & ~BEGUN) - 1
