# A worker's way out; see drain.pyx.
from proxy.scoreboard.scoreboard cimport Scoreboard

cdef class Drain:
    cdef readonly bint begun            # the worker takes no new connections; HTTP/2 clients are told GOAWAY
    cdef public bint ending             # connections between two requests end
    cdef readonly set sessions          # HTTP/2 connections of clients, to be told
    cdef Scoreboard board

    cdef bint saying_close(self) noexcept
