# How an endpoint is reached; theory in pool.pyx.
from libc.stdint cimport int64_t

from proxy.relay.endpoints.cluster cimport Cluster, Endpoint
from proxy.relay.context.context cimport Context
from proxy.wire.stream cimport Stream

cdef int64_t after(double seconds) noexcept
cdef Stream reach(
    Endpoint endpoint, Cluster cluster, Context context, Stream client, int64_t deadline, int* error, list reasons)
cdef Stream open_request(
    Endpoint endpoint, Cluster cluster, Context context, Stream client, int64_t deadline, int64_t since, bint* fresh,
    int* error, list reasons)
cdef bint own_shortage(int error) noexcept
cdef int cause_of_error(int error) noexcept
