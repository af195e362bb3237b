# C types for weighted.py, which is compiled as it stands.
cimport cython
from libc.stdint cimport int64_t, uint64_t

from proxy.policy.facts cimport View

cdef uint64_t GOLDEN, MASK
cdef int HALF

cdef uint64_t spread(uint64_t counter) noexcept nogil

@cython.locals(point=int64_t, low=cython.int, high=cython.int, middle=cython.int)
cdef int turn_of(uint64_t draw, const View* view) noexcept nogil
