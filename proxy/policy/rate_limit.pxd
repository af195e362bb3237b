# C types for rate_limit.py, which is compiled as it stands.
from libc.stdint cimport int64_t

from proxy.policy.facts cimport RateLimit

cdef int64_t wait_before(const RateLimit* limit, int64_t arrival, int64_t now) noexcept nogil
cdef int64_t arrival_after(const RateLimit* limit, int64_t arrival, int64_t now, int64_t count) noexcept nogil
cdef int64_t share_interval(const RateLimit* limit, int64_t replicas) noexcept nogil
cdef int64_t share_burst(const RateLimit* limit, int64_t replicas) noexcept nogil
