# A TCP connection of a client's; theory in tcp_exchange.pyx.
from proxy.relay.context.context cimport Context
from proxy.relay.endpoints.cluster cimport Cluster
from proxy.relay.exchange.exchange cimport Exchange
from proxy.wire.stream cimport Stream

cdef class TcpExchange(Exchange):
    cdef int carry(self, Stream client, Cluster cluster) except -1
    cdef bint gets_in(self) except -1
