# Rows of clusters; see clusters.pyx.
from proxy.scoreboard.memory cimport Memory

cdef class Clusters:
    cdef Memory memory
    cdef int lowest              # no slot under it is free
