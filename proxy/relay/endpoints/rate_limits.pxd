# How many requests a cluster takes; theory in rate_limits.pyx.
cimport cython
from libc.stdint cimport int64_t, uint64_t

from proxy.policy.facts cimport RateLimit
from proxy.scoreboard.layout cimport Bucket
from proxy.scoreboard.memory cimport Memory
from proxy.wire.http.head cimport Head
from proxy.wire.stream cimport Stream

cdef enum Counted:
    TOGETHER, BY_FIELD, BY_PATH, BY_PEER

@cython.final
cdef class Limiter:
    cdef RateLimit limit
    cdef uint64_t id
    cdef int counted             # Counted
    cdef bytes header, text      # the field that it goes by; all of it, as one writes it
    cdef readonly bint fleet
    cdef Memory memory
    cdef Bucket* bucket          # of the request that is asked for now
    cdef int64_t wait            # ns that it had to wait, 0: it is let in
    cdef bint leased             # it was counted by the fleet
    cdef int64_t interval        # ... or by so much here

    cdef bint take(self, Head head, Stream client, int64_t now) noexcept
    cdef bint take_leased(self, int64_t now) noexcept
    cdef int64_t replicas(self, int64_t now) noexcept
    cdef bint take_own(self, const RateLimit* limit, int64_t now) noexcept
    cdef void give_back(self) noexcept
    cdef uint64_t key_of(self, Head head, Stream client) noexcept
    cdef bytes fields(self, int64_t now)

cdef class RateLimits:
    cdef list limiters
    cdef bint by_path           # one of them counts by it

    cdef Limiter refuses(self, Head head, Stream client)
    cdef void give_back(self) noexcept
