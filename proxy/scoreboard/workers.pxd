# Rows of workers; see workers.pyx.
from libc.stdint cimport int32_t

from proxy.scoreboard.memory cimport Memory

cdef class Workers:
    cdef Memory memory
    cdef int32_t given_up        # whom this process has waited for in vain

    cpdef int assign_connection(self, int slot) except -1
    cpdef int add_connections(self, int slot, int n) except -1
