# What is done to a request beside sending it on; theory in affected.pyx.
from libc.stdint cimport int64_t

from proxy.relay.exchange.exchange cimport Exchange
from proxy.relay.routing.effects cimport CrossOrigin, Effects

cdef class Affected(Exchange):
    cdef int64_t delayed                 # ns that it was made to wait
    cdef bytes origin                    # whose pages may read the answer; None: there is no such

    cdef object affect(self, Effects effects)
    cdef object inject(self, Effects effects)
    cdef object wait(self, int64_t delay)
    cdef object cross_origin(self, CrossOrigin cors)
    cdef bytes field(self, bytes name)
    cdef int affect_rest(self, Effects effects, dict clusters) except -1
