# C types for splitting.py, which is compiled as it stands.
cimport cython
from libc.stdint cimport int64_t

from proxy.policy.facts cimport Split

@cython.locals(at=cython.int, point=int64_t, sum_of=int64_t)
cdef int backend_of(const Split* split, int64_t chance) noexcept nogil
