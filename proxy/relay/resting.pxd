# Clients without a request; theory in resting.pyx.
from proxy.relay.context.context cimport Context
from proxy.wire.stream cimport Stream
from proxy.wire.work cimport Work

cdef class Served(Work):
    cdef bint rests                     # `serve` has ended because nothing is asked for
    cdef bint over                      # it has rested for too long

    cdef Stream stream(self)
    cdef Context context(self)
    cdef int serve(self) except -1
    cdef int leave(self) except -1

cdef void tidy() noexcept
