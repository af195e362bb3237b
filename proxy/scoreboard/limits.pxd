# How many there are of something in a cluster; theory in limits.pyx.
from libc.stdint cimport int64_t

from proxy.scoreboard.layout cimport ClusterRow, Holding
from proxy.scoreboard.memory cimport Memory

cdef enum:
    UNLIMITED = 0x7FFFFFFF

cdef bint take_one(ClusterRow* row, Holding* own, int kind, int64_t limit) noexcept nogil
cdef void drop_one(ClusterRow* row, Holding* own, int kind) noexcept nogil
cdef int64_t count_held(ClusterRow* row, int kind) noexcept nogil
cdef int first_elsewhere(Memory memory, int worker, int cluster, int64_t* since) noexcept
cdef int give_back(Memory memory, int worker, int cluster) except -1
