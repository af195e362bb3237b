# Requests that are one session; theory in sessions.pyx.
from proxy.relay.exchange.routed cimport Routed
from proxy.relay.routing.rule cimport Backend

cdef Backend backend_of_session(Routed exchange, dict clusters)
cdef int keep_session(Routed exchange) except -1
