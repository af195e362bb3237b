# A connection for an attempt; theory in lease.pyx.
from proxy.relay.endpoints.breaker cimport Waiter
from proxy.relay.exchange.attempt cimport Attempt
from proxy.wire.stream cimport Stream

cdef class Lease(Attempt):
    cdef bint pooled                    # it was there before
    cdef bint upgrading                 # the connection may become another protocol's
    cdef bint over, alone               # of a dial aside: it has ended; nobody waits for it
    cdef bint overflowed                # the cluster has as many connections, and as many who wait, as it may
    cdef Stream lent                    # a pooled connection that was found before it is leased
    cdef Waiter waiter                  # while it waits for one

    cdef bint lease_in_time(self, bint pooled) except -1
    cdef bint has_connection(self, bint pooled) except -1
    cdef bint over_http2(self) noexcept
    cdef Lease aside(self)
    cdef int go_alone(self) except -1
    cdef bint lease(self, bint pooled) except -1
    cdef bint lease_stream(self, bint pooled) except -1

    cdef bint find_room(self, bint pooled) except -1
    cdef bint find_room_for_stream(self, bint pooled) except -1
    cdef bint wait(self, Waiter waiter) except -1
    cdef int begin_to_wait(self) except -1
    cdef bint gave_up(self) except -1
    cdef int use(self, Waiter waiter) except -1
