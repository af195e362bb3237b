# Where a listener's requests go; theory in routes.pyx.
from proxy.relay.endpoints.addresses cimport Addresses
from proxy.relay.endpoints.cluster cimport Cluster, Endpoint

cdef class Routes:
    cdef dict clusters              # name -> Cluster: the worker's, as they are now
    cdef Addresses addresses        # None: nobody asks for an endpoint by its own
    cdef dict services              # Service -> {cluster: [names]}, what the snapshot says
    cdef dict table                 # Host, or CONNECT authority: lower case -> name of the cluster
    cdef int wildcards              # so many names of the table are "*", or begin with it
    cdef dict reached               # name of a cluster -> its Service: those the listener may reach
    cdef dict pinned                # "ip:port" of an endpoint -> Cluster of it alone, as far as they were asked for
    cdef bytes latest               # the Host asked for last
    cdef bint secured               # who asks does so under TLS of its own

    cdef bytes host(self, const char* text, Py_ssize_t length)
    cdef Cluster of_host(self, bytes host)
    cdef bint is_misdirected(self, bytes host) except -1
    cdef str by_wildcard(self, bytes host)
    cdef Cluster of_target(self, bytes target)
    cdef Cluster pin(self, bytes target)
    cdef str first_at(self, bytes target)
