# Endpoints by lot; theory in draws.pyx.
from libc.stdint cimport uint64_t

from proxy.relay.endpoints.chooser cimport Chooser

cdef class Drawing(Chooser):
    cdef uint64_t state

    cdef uint64_t draw(self) noexcept
    cdef int any_turn(self) noexcept

cdef class Random(Drawing):
    pass

cdef class LeastRequest(Drawing):
    cdef int drawn_turn(self) noexcept
    cdef int best_of_two(self) noexcept
