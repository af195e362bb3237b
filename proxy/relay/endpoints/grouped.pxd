# Endpoints in groups; theory in grouped.pyx.
from libc.stdint cimport int32_t, int64_t, uint64_t

from proxy.policy.facts cimport Groups
from proxy.relay.endpoints.draws cimport Drawing
from proxy.relay.endpoints.chooser cimport Chooser

cdef class Grouped(Drawing):
    cdef readonly list parts             # a chooser for each group
    cdef Groups groups                   # what a decision goes by; its arrays are those below
    cdef int32_t* firsts                 # the position at which each group begins
    cdef int32_t* sizes
    cdef int32_t* present
    cdef int32_t* shares                 # distribution's weights
    cdef int64_t* loads
    cdef unsigned char* panicking
    cdef int32_t* marked                 # how many of each the request has tried
    cdef int all_marked
    cdef int64_t total                   # what the loads add up to
    cdef bint fails_over, by_key
    cdef int64_t* picks                  # how many each group has had, on the scoreboard; NULL: nobody counts them

    cdef int choose_elsewhere(self, uint64_t key) noexcept
    cdef int choose_of(self, int group, uint64_t key) noexcept
    cdef int group_at(self, int position) noexcept
