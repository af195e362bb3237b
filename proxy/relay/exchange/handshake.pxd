# What a request for a WebSocket needs besides; theory in handshake.pyx.
from proxy.wire.http.head cimport Head
from proxy.wire.stream cimport Stream


cdef class Handshake:
    cdef bytes asked            # the client's key, if it is one
    cdef bytes key              # ours, that the endpoint's answer is held against; None: the client looks itself
    cdef bytes line             # ... as a field, or None
    cdef bint withheld          # the client's key does not go on

    cdef bint prepare(self, Head head, Stream client, bint http2) except -1
    cdef int take(self, Head answer, const char* text, Stream client, Stream stream) except -1
    cdef bytes lines(self)
