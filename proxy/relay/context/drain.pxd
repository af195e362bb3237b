# A worker's way out; see drain.pyx.
cimport cython
from libc.stdint cimport int32_t

from proxy.scoreboard.atomics cimport wp_load
from proxy.scoreboard.scoreboard cimport Scoreboard


@cython.final
cdef class Drain:
    cdef readonly bint begun            # the worker takes no new connections; HTTP/2 clients are told GOAWAY
    cdef public bint ending             # connections between two requests end
    cdef readonly set sessions          # HTTP/2 connections of clients, to be told
    cdef Scoreboard board
    cdef int32_t* draining              # its word for it

    cdef inline bint saying_close(self) noexcept:
        """Whether an answer is the last one on its connection (RFC 9112 9.6): the worker drains, or the replica will."""
        return self.begun or wp_load(self.draining) != 0
