# Which clusters have an endpoint; theory in addresses.pyx.
from proxy.relay.endpoints.cluster cimport Cluster

cdef class Addresses:
    cdef dict names                 # "ip:port" -> tuple of names of clusters

    cdef int add(self, Cluster cluster) except -1
    cdef int drop(self, Cluster cluster) except -1
    cdef tuple clusters_at(self, bytes address)
