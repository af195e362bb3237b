# A TCP connection of a client's; theory in tcp_exchange.pyx.
from proxy.relay.context.context cimport Context
from proxy.relay.endpoints.cluster cimport Cluster
from proxy.relay.exchange.exchange cimport Exchange
from proxy.wire.stream cimport Deadlines, Stream

cdef class TcpExchange(Exchange):
    cdef object timer                    # ends it when it has been for as long as it may; None: it may

    cdef int carry(self, Stream client, Cluster cluster, dict clusters) except -1
    cdef bint follow(self, dict clusters) except -1
    cdef bint gets_in(self) except -1
    cdef Deadlines idle(self)
    cdef int keep_time(self) except -1
