# HTTP/2 connections to endpoints; theory in client.pyx.
from libc.stdint cimport int64_t

from proxy.wire.buffers cimport Buffer
from proxy.wire.http.head cimport Head
from proxy.wire.http2.http_stream cimport HttpStream
from proxy.wire.http2.session cimport Session
from proxy.wire.stream cimport RAISED, Deadlines, Stream

cdef class Http2Client(Session):
    cdef HttpClientStream new_stream(self)
    cdef int takes_extended(self, double seconds) except? RAISED

cdef class HttpClientStream(HttpStream):
    cdef readonly int status    # of the head that comes, or came last
    cdef bint by_text           # a 1xx came: it and what follows are read from the buffer, head by head
    cdef Buffer heading         # the head that comes, until it is whole
    cdef int64_t starts_at      # what the connection had sent, and was about to send, before the request
    cdef bint whole             # the answer was read to its end

    cdef int tell_head(self) except -1
    cdef const char* scheme(self, Head head) noexcept
