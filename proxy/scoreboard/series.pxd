# Label sets of Istio's metrics and what is counted of each; theory in series.pyx.
from libc.stdint cimport int32_t, uint32_t

from proxy.scoreboard.memory cimport Memory

cdef enum:                       # instead of a slot
    NO_ROOM = -1
    NOT_NOW = -3                 # who has the lock does not go on

cdef class SeriesTable:
    cdef Memory memory
    cdef int32_t given_up        # whom this process has waited for in vain

    cdef int place(self, int kind, bytes labels) except -2
    cdef int find(self, unsigned long long hash, int kind, bytes labels) except -2
    cdef int vacancy(self) noexcept
    cdef bint lock(self) except -1
    cdef int unlock(self) except -1

cdef int close_all(Memory memory, int worker) except -1
