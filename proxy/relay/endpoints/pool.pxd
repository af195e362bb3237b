# How an endpoint is reached; theory in pool.pyx.
from proxy.relay.endpoints.cluster cimport Cluster, Endpoint
from proxy.relay.context cimport Context
from proxy.wire.stream cimport Stream

cdef Stream reach(Endpoint endpoint, Cluster cluster, Context context, Stream client, int* error, list reasons)
cdef Stream open_request(
    Endpoint endpoint, Cluster cluster, Context context, Stream client, bint* fresh, int* error, list reasons)
cdef bint was_ignored(Stream upstream) noexcept
cdef bint was_reset(Stream upstream) noexcept
cdef bint never_spoke(Stream upstream, int* error, list reasons) except -1
cdef bint own_shortage(int error) noexcept
