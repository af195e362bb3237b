# C types for breaker.py, which is compiled as it stands.
from libc.stdint cimport int64_t

from proxy.policy.facts cimport Limits

cdef int64_t GRACE

cdef int64_t retries_at_once(const Limits* limits, int64_t requests) noexcept nogil
cdef bint goes_first(int64_t since, int64_t other) noexcept nogil
