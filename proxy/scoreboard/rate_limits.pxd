# Requests that count together for a rate limit; theory in rate_limits.pyx.
from libc.stdint cimport int64_t, uint64_t

from proxy.scoreboard.layout cimport Bucket
from proxy.scoreboard.memory cimport Memory

cdef class RateLimits:
    cdef Memory memory

cdef Bucket* bucket_of_rule(Memory memory, uint64_t key, int64_t now) noexcept
cdef Bucket* bucket_of_key(Memory memory, uint64_t key, int64_t now) noexcept
