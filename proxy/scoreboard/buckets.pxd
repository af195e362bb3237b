# The histogram of request times; see buckets.pyx.
from libc.stdint cimport int64_t

cdef int bucket_of(int64_t duration_ms) noexcept nogil

cdef int bound_of(int64_t value) noexcept nogil
