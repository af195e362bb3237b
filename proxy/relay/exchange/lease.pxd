# A connection for an attempt; theory in lease.pyx.
from proxy.relay.exchange.attempt cimport Attempt

cdef class Lease(Attempt):
    cdef bint pooled                    # it was there before
    cdef bint upgrading                 # the connection may become another protocol's
    cdef bint over, alone               # of a dial aside: it has ended; nobody waits for it

    cdef bint lease_in_time(self, bint pooled) except -1
    cdef bint has_connection(self, bint pooled) except -1
    cdef Lease aside(self)
    cdef int go_alone(self) except -1
    cdef bint lease(self, bint pooled) except -1
    cdef bint lease_stream(self, bint pooled) except -1
