# Rows of clusters; see clusters.pyx.
from proxy.scoreboard.memory cimport Memory

cdef class Clusters:
    cdef Memory memory
