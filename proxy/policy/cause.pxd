# C types for cause.py, which is compiled as it stands.
from proxy.policy.facts cimport Ending

cdef int ABANDONED, ANSWERED, CLOSED, CUT, EXPIRED, MALFORMED, NOT_CONNECTED, NOT_HTTP, OVERDUE, REFUSED, RESET
cdef int SHORT_OF, SILENT
cdef int BAD_ANSWER, GRPC_STATUS, LEFT_WAITING, NO_PROTOCOL, SHORTAGE, STREAM_ENDED, TUNNEL_RESET, UNANSWERED, UNKNOWN

cdef int cause_of(const Ending* ending) noexcept nogil
cdef int cause_of_nothing(int how) noexcept nogil
cdef bint spoke(int cause) noexcept nogil
