# How an endpoint is reached; theory in pool.pyx.
from libc.stdint cimport int64_t

from proxy.relay.endpoints.breaker cimport Seat
from proxy.relay.endpoints.cluster cimport Cluster, Endpoint
from proxy.relay.context.context cimport Context
from proxy.wire.stream cimport RAISED, Stream

cdef enum:
    NO_SEAT = -1                # instead of an errno: the cluster has as many connections as it may

cdef int64_t after(double seconds) noexcept
cdef Stream reach(
    Endpoint endpoint, Cluster cluster, Context context, Stream client, int64_t deadline, int* error, list reasons,
    int alpn=*)
cdef Stream open_request(
    Endpoint endpoint, Cluster cluster, Context context, Stream client, int64_t deadline, int64_t since, bint* fresh,
    int* error, list reasons, Seat seat)
cdef int takes_extended(Stream stream, double seconds) except? RAISED

cdef enum:
    HTTP2_DECLINED = 4000       # no errno and no Cause: the endpoint speaks HTTP/1.1, by what its TLS says

cdef bint own_shortage(int error) noexcept
cdef int cause_of_error(int error) noexcept
