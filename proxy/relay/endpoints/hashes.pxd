# Endpoints by a key of the request; theory in hashes.pyx.
from libc.stdint cimport int32_t, uint64_t

from proxy.relay.endpoints.draws cimport Drawing

cdef class ByKey(Drawing):
    cdef uint64_t* seeds                 # a number of each endpoint's own, by position ...
    cdef uint64_t* lined                 # ... and of those that are in, in the order of `members`

    cdef int of_key(self, uint64_t key) noexcept

cdef class RingHash(ByKey):
    cdef int32_t* by_weight              # all positions, the heaviest first ...
    cdef int32_t* order                  # ... and those that are in

cdef class Maglev(ByKey):
    cdef int32_t* table
    cdef uint64_t size
