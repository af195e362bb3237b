# Ids for requests that come without one; see request_ids.pyx.
from libc.stdint cimport uint64_t

cdef class RequestIds:
    cdef uint64_t[4] state

    cdef uint64_t next_random(self) noexcept
    cdef void make(self, char* out) noexcept
