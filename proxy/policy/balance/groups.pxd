# C types for groups.py, which is compiled as it stands.
cimport cython
from libc.stdint cimport int64_t, uint64_t

from proxy.policy.facts cimport Groups

cdef int64_t OVERPROVISIONED
cdef int HALF

cdef int64_t availability(int64_t present, int64_t size) noexcept nogil

@cython.locals(total=int64_t, alarmed=cython.int, at=cython.int, below=cython.bint)
cdef int64_t fail_over(Groups* groups, int64_t min_health_percent) noexcept nogil

@cython.locals(left=int64_t, first=cython.int, at=cython.int, load=int64_t)
cdef int64_t by_availability(Groups* groups, int64_t total) noexcept nogil

@cython.locals(present=int64_t, size=int64_t, total=int64_t, alarmed=cython.bint, at=cython.int)
cdef int64_t distribute(Groups* groups, int64_t min_health_percent) noexcept nogil

@cython.locals(total=int64_t, at=cython.int)
cdef int64_t by_size(Groups* groups) noexcept nogil

@cython.locals(point=int64_t, at=cython.int)
cdef int group_of(uint64_t draw, uint64_t total, const Groups* groups) noexcept nogil
