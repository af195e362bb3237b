# How many of what a cluster has limits for there may be now; theory in allowance.pyx.
cimport cython
from libc.stdint cimport int64_t

from proxy.policy.facts cimport RetryLimit
from proxy.scoreboard.layout cimport ClusterRow, Counters, Holding

@cython.final
cdef class Allowance:
    cdef ClusterRow* row
    cdef Holding* own
    cdef Counters* counters
    cdef int64_t[3] most                # of CONNECTIONS, PENDING, REQUESTS
    cdef RetryLimit retries
    cdef int64_t interval               # its budget is a part of the requests of so long (ns), 0: of those there are
    cdef bint shared                    # the fleet's, of which this replica has its share

    cdef int set(self, dict pool) except -1
    cdef int64_t now(self, int kind) noexcept
    cdef bint take(self, int kind) noexcept
    cdef bint begin_request(self) noexcept
    cdef int64_t budgeted(self) noexcept
    cdef void end_request(self) noexcept
    cdef bint begin_retry(self) noexcept
    cdef void end_retry(self) noexcept
