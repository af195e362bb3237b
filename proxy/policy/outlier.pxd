# C types for outlier.py, which is compiled as it stands.
from proxy.policy.facts cimport Ending, OutlierRule

cdef int ABANDONED, ANSWERED, CLIENT_FAILED, CONNECTED, CUT, MALFORMED, NOT_HTTP, OVERFLOWED, SHORT_OF, SILENT
cdef int EXTERNAL_FAILURE, LOCAL_FAILURE, NOTHING, SUCCESS

cdef int outcome_of(const OutlierRule* rule, const Ending* ending) noexcept nogil
cdef bint fails(const OutlierRule* rule, int status) noexcept nogil
cdef int judge_silence(const OutlierRule* rule, const Ending* ending) noexcept nogil
cdef int status_of(const Ending* ending) noexcept nogil
cdef int status_of_grpc(int status) noexcept nogil
