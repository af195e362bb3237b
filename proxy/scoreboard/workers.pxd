# Rows of workers; see workers.pyx.
from proxy.scoreboard.memory cimport Memory

cdef class Workers:
    cdef Memory memory
