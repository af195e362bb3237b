# The wall clock; see date.pyx.
from libc.stdint cimport int64_t

cdef class Date:
    cdef char[64] text
    cdef int64_t second                 # what the text says

    cdef const char* line(self) noexcept

cdef int64_t wall_ns() noexcept
