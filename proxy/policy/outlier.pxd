# C types for outlier.py, which is compiled as it stands.
from libc.stdint cimport int64_t

cpdef int judge_status(int status) noexcept
cpdef int judge_grpc(int status) noexcept
cpdef int judge_abandoned(int64_t waited_ns, int64_t limit_ns, bint answered_since, bint exempt) noexcept
