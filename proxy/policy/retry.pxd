# C types for retry.py, which is compiled as it stands.
from proxy.policy.facts cimport Ending, RetryRule

cdef int CLOSED, NOT_CONNECTED, NOT_HTTP, REFUSED, RESET, SHORT_OF
cdef int ANOTHER, EXHAUSTED, NO, SAME

cdef int again(const RetryRule* rule, const Ending* ending) noexcept nogil
cdef bint may_repeat(const Ending* ending) noexcept nogil
