# Rows of clusters; see clusters.pyx.
from libc.stdint cimport int32_t

from proxy.scoreboard.layout cimport CLUSTERS
from proxy.scoreboard.memory cimport Memory

cdef class Clusters:
    cdef Memory memory
    cdef int lowest              # no slot under it is free
    cdef int32_t given_up[CLUSTERS]  # whom this process has waited for in vain, by cluster
