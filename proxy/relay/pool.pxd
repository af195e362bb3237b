# How an endpoint is reached; theory in pool.pyx.
from proxy.relay.cluster cimport Cluster, Endpoint
from proxy.relay.context cimport Context
from proxy.wire.stream cimport Stream

cdef Stream reach(Endpoint endpoint, Cluster cluster, Context context, Stream client, int* error, list reasons)
cdef bint own_shortage(int error) noexcept
