# What an HTTP/2 connection receives; theory in input.pyx.
from libc.stdint cimport int32_t, int64_t

from proxy.wire.http2.closed cimport Closed
from proxy.wire.http2.output cimport Output
from proxy.wire.http2.stream cimport Http2Stream

cdef enum:
    HEADER_LIST = 61440             # as for HTTP/1.1 heads

cdef class Input(Output):
    cdef list woken                 # streams on which something has come since the last read
    cdef void* headed               # the stream whose fields come, while they do: nothing closes it before they are here
    cdef int pings                  # sent and not answered
    cdef int prepaid                # what a client may still waste, and when that was refilled
    cdef int64_t refilled
    cdef Closed closed              # of a client's streams, what is to be known when they are
    cdef int64_t stall_ns           # for its streams: how long one wait to write may take; 0: for ever

    # for subclasses: the server's side of a stream's life
    cdef Http2Stream make_stream(self)
    cdef int serve(self, Http2Stream stream) except -1

    cdef int receive(self) except -1
    cdef ssize_t feed(self, const char* data, Py_ssize_t length) except? -1
    cdef ssize_t feed_looking(self, const char* data, Py_ssize_t length) except? -1
    cdef int look_up(self) except -1
    cdef int hear_late(self) except -1
    cdef void note_end(self, int32_t id) noexcept
    cdef int attach(self, Http2Stream stream, int32_t id) except -1
    cdef bint charge(self) noexcept
