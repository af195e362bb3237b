# C types for breaker.py, which is compiled as it stands.
cimport cython
from libc.stdint cimport int64_t

from proxy.policy.facts cimport RetryLimit

cdef int64_t GRACE

cdef int64_t at_once(int64_t limit, int64_t share) noexcept nogil
@cython.locals(own=int64_t)
cdef int64_t retries_at_once(const RetryLimit* limit, int64_t requests, int64_t share) noexcept nogil
cdef bint goes_first(int64_t since, int64_t other) noexcept nogil
