# Where a listener's requests go; theory in routes.pyx.
from proxy.relay.endpoints.cluster cimport Cluster

cdef class Routes:
    cdef dict table                 # Host, or CONNECT authority: lower case -> Cluster
    cdef list clusters              # those the listener may reach
    cdef dict pinned                # "ip:port" of an endpoint -> Cluster of it alone; None: not made yet
    cdef object pin

    cdef Cluster of_host(self, bytes host)
    cdef Cluster of_target(self, bytes target)
