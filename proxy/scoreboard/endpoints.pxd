# Rows of endpoints; see endpoints.pyx.
from proxy.scoreboard.memory cimport Memory

cdef class Endpoints:
    cdef Memory memory
    cdef int lowest              # no slot under it is free
