# Where requests for a frontend go; theory in plan.pyx.
from libc.stdint cimport int32_t

from proxy.policy.facts cimport Bucket, Condition, Line, Match, Presented, Routing, Walk
from proxy.relay.routing.lines cimport Lines
from proxy.relay.routing.rule cimport Rule
from proxy.wire.http.head cimport Head

cdef class Plan:
    cdef Routing routing
    cdef Match* matches                 # its arrays
    cdef Condition* conditions
    cdef Bucket* buckets
    cdef int32_t* members
    cdef readonly list rules            # Rule
    cdef list patterns                  # of the conditions: Pattern, or None
    cdef list kept                      # what the conditions' texts point into
    cdef list headers                   # names that conditions are about, by number
    cdef readonly list claims           # the same, behind those that access rules are about
    cdef Lines lines

    cdef Rule find(
        self, Head head, const char* text, bytes identity, list added, const Line* claims, int claim_count)
    cdef int fill(self, Condition* condition, dict form) except -1
    cdef bint like(self, int match, const Presented* asked) except -1
    cdef bint like_one(self, int at, const Presented* asked) except -1
