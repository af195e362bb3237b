# What is counted of who gets in to a cluster; theory in counted.pyx.
from libc.stdint cimport int64_t

from proxy.relay.endpoints.rate_limits cimport Limiter
from proxy.relay.endpoints.verdict cimport Verdict
from proxy.scoreboard.scoreboard cimport Scoreboard

cdef class Counted:
    cdef Scoreboard scoreboard
    cdef int worker
    cdef bytes cluster
    cdef int64_t* allowed                # of those counters that most requests move; NULL: not looked up yet
    cdef int64_t* within

    cdef int64_t* of(self, bytes kind, tuple values) except NULL
    cdef int access(self, bytes rule) except -1
    cdef int shadow(self, bytes result, bytes rule) except -1
    cdef int token(self, Verdict verdict) except -1
    cdef int limit(self, Limiter limiter) except -1
    cdef int retried(self, bint answered) except -1

cdef int64_t* count_of_route(Scoreboard scoreboard, int worker, bytes route, int code_class) except NULL
