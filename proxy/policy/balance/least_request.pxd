# C types for least_request.py, which is compiled as it stands.
from libc.stdint cimport int64_t

cdef bint second_is_lighter(
    int64_t first_active, int64_t second_active, int64_t first_weight, int64_t second_weight) noexcept nogil
