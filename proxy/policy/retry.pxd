# C types for retry.py, which is compiled as it stands.
cimport cython
from libc.stdint cimport int64_t

from proxy.policy.facts cimport Ending, RetryRule

cdef int ANSWERED, CLOSED, NOT_CONNECTED, NOT_HTTP, OVERDUE, REFUSED, RESET, SHORT_OF
cdef int ANOTHER, EXHAUSTED, NO, SAME

cdef int again(const RetryRule* rule, const Ending* ending) noexcept nogil
cdef int another(const RetryRule* rule, const Ending* ending) noexcept nogil
cdef bint in_vain(const RetryRule* rule, const Ending* ending) noexcept nogil
@cython.locals(most=int64_t)
cdef int64_t pause_before(const RetryRule* rule, int retry, int64_t draw) noexcept nogil
cdef bint may_repeat(const RetryRule* rule, const Ending* ending) noexcept nogil
