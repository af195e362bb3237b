# C types for chance.py, which is compiled as it stands.
from libc.stdint cimport int64_t

cdef bint falls_on(int64_t numerator, int64_t denominator, int64_t chance) noexcept nogil
