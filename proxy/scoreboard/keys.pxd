# Numbers of what counts by itself under one limit (rate_limits.pyx): the upper bits say which limit.
from libc.stdint cimport uint64_t

cdef enum:
    KEY_BITS = 40

cdef inline uint64_t key_under(uint64_t limit, uint64_t key) noexcept nogil:
    """Never 0."""
    cdef uint64_t lower = (<uint64_t>1 << KEY_BITS) - 1
    key = (limit & ~lower) | (key & lower)
    return key if key else 1

cdef inline bint is_under(uint64_t limit, uint64_t key) noexcept nogil:
    return key != 0 and (limit ^ key) >> KEY_BITS == 0
