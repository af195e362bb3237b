# Outlier state of endpoints; see outlier.pyx.
from proxy.scoreboard.memory cimport Memory

cdef class Outlier:
    cdef Memory memory
