# A CONNECT stream as a byte stream; rules in tunnel.pyx.
from proxy.wire.session cimport Http2Stream, Session

cdef enum:
    MAX_AUTHORITY = 320             # a DNS name and a port, with room

cdef class Tunnel(Http2Stream):
    cdef readonly bytes method, authority, forwarded, baggage
    cdef readonly int status            # client role: the answer; 0: none yet
    cdef object answer                  # client role: the greenlet that waits for it
    cdef int field_bytes

    cdef int respond(self, int status) except -1

cdef Tunnel open_tunnel(Session session, bytes authority, bytes forwarded)
