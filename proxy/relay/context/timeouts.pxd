# How long the data path waits; see timeouts.pyx.
from libc.stdint cimport int64_t

from proxy.wire.stream cimport Deadlines

cdef class Timeouts:
    cdef readonly Deadlines idle_timeout                # a client connection without a request
    cdef readonly Deadlines before_rest                 # ... before it rests; idle_timeout itself if that is brief
    cdef readonly Deadlines resting                     # ... and while it rests: what is left of idle_timeout
    cdef readonly Deadlines tunnel_idle_timeout         # the same of bytes both ways, which a drain does not end
    cdef readonly Deadlines request_headers_timeout     # a request head's arrival
    cdef readonly Deadlines stream_idle_timeout         # a body, or an answer, that does not move
    cdef readonly Deadlines protocol_detection_timeout  # a client's first bytes on a port of undeclared protocol
    cdef readonly Deadlines endpoint_idle_timeout       # a pooled connection
    cdef readonly Deadlines linger                      # an unwanted body is read and thrown away
    cdef readonly Deadlines ping_interval               # silence on an HTTP/2 connection
    cdef readonly double handshake_seconds              # request_headers_timeout, for TLS
    cdef readonly double stream_idle_seconds            # stream_idle_timeout, for one wait to write; 0: for ever
    cdef int64_t looked                                 # when it was looked for peers that are lost

    cdef int tick(self) except -1
    cdef int look_for_the_lost(self, int64_t now) except -1
