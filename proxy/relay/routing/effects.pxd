# What is done beside sending a request on; theory in effects.pyx.
from libc.stdint cimport int64_t

from proxy.wire.http.edits cimport Edits

cdef class Mirror:
    cdef readonly str cluster           # its name
    cdef readonly int64_t numerator, denominator    # the part of the requests that it gets

cdef class CrossOrigin:
    cdef object policy                  # proxy.policy.cors.CorsPolicy
    cdef readonly bint forward_unmatched    # preflights of origins that are not allowed go on
    cdef dict known                     # (origin, edits of a route) -> Edits with what is said besides

    cdef Edits answering(self, bytes origin, Edits edits)

cdef class Effects:
    cdef readonly int64_t delay         # ns
    cdef readonly int64_t delay_ppm, abort_ppm  # of a million requests
    cdef readonly int abort_status, abort_grpc
    cdef readonly CrossOrigin cors      # None: nothing is said of other origins
    cdef readonly list mirrors

cdef Effects effects_of(dict form)
