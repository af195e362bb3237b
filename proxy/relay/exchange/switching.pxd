# An attempt that may become a tunnel of another protocol; theory in switching.pyx.
from proxy.relay.exchange.bounded cimport Bounded
from proxy.wire.http.head cimport Head

cdef class Switching(Bounded):
    cdef int agree(self) except -1
    cdef int agree_over_http2(self) except -1
    cdef bint may_switch(self, Head answer, const char* text) except -1
    cdef bint switches(self, Head answer) noexcept
