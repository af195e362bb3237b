# How many requests a cluster had lately; theory in recent.pyx.
from libc.stdint cimport int64_t

from proxy.scoreboard.layout cimport ClusterRow

cdef void note_request(ClusterRow* row, int64_t interval, int64_t now) noexcept nogil
cdef int64_t count_recent(ClusterRow* row, int64_t interval, int64_t now) noexcept nogil
