# Recovery by probe; see probes.pyx.
from proxy.scoreboard.layout cimport EndpointRow
from proxy.scoreboard.memory cimport Memory

cdef class Probes:
    cdef Memory memory

cdef bint take_probe(EndpointRow* row) noexcept nogil
