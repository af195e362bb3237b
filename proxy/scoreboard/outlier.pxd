# Outlier state of endpoints; see outlier.pyx.
from libc.stdint cimport int64_t

from proxy.scoreboard.layout cimport EndpointRow
from proxy.scoreboard.memory cimport Memory

cdef class Outlier:
    cdef Memory memory

cdef void dirty_from_now(EndpointRow* row, int64_t now) noexcept nogil
