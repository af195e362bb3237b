# Counters by names that configuration gives; theory in counts.pyx.
from libc.stdint cimport int64_t

from proxy.scoreboard.memory cimport Memory

cdef class Counts:
    cdef Memory memory
    cdef dict known              # by worker, the rows of what it counts, by their text

    cdef int64_t* of(self, int worker, bytes text) except NULL
    cdef dict read(self, int worker)
