# Tunnels that do not carry HTTP; theory in passthrough.pyx.
from proxy.relay.exchange.attempting cimport Attempting
from proxy.relay.endpoints.cluster cimport Cluster, Endpoint
from proxy.wire.stream cimport Deadlines, Stream

cdef class Passthrough(Attempting):
    cdef int carry(self, Stream client, Cluster cluster) except -1
    cdef bint connect_to_some(self) except -1
    cdef bint connect_to(self, Endpoint endpoint) except -1

cdef bint sniff_http(Stream client, Deadlines patience) except? -1
cdef int looks_like_http(const char* data, Py_ssize_t length) noexcept
