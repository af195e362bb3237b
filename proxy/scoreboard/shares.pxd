# Which share of a cluster's limits this replica has; theory in shares.pyx.
from libc.stdint cimport int64_t

from proxy.scoreboard.layout cimport ClusterRow
from proxy.scoreboard.memory cimport Memory

cdef class Shares:
    cdef Memory memory

cdef int64_t share_of(ClusterRow* row, int kind) noexcept nogil
