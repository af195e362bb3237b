# A CONNECT stream as a byte stream; rules in tunnel.pyx.
from proxy.wire.http2.stream cimport Http2Stream
from proxy.wire.http2.session cimport Session
from proxy.wire.stream cimport RAISED

cdef enum:
    MAX_METHOD = 32
    MAX_AUTHORITY = 320             # a DNS name and a port, with room

cdef class Tunnel(Http2Stream):
    cdef readonly bytes method, authority, forwarded
    cdef readonly int status            # the answer, given or received; 0: none yet
    cdef bint answered

    cdef int respond(self, int status) except -1
    cdef int await_answer(self, double seconds) except? RAISED

cdef Tunnel open_tunnel(Session session, bytes authority, bytes forwarded)
