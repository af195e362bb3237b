# HTTP/2 connections of clients; theory in server.pyx.
from libc.stdint cimport int64_t, uint32_t

from proxy.wire.http.head cimport Span
from proxy.wire.http2.http_stream cimport HttpStream
from proxy.wire.http2.session cimport Session
from proxy.wire.stream cimport Deadlines, Stream

cdef class StreamServer:
    cdef Deadlines patience     # how long a client may be silent before it is pinged; None: no pings
    cdef int64_t stall_ns       # how long one wait to write may take; 0: for ever
    cdef int64_t idle_ns        # how long a client that answers pings may be without a request; 0: for ever
    cdef set sessions           # where the connections there are, are kept

    cdef int serve_stream(self, Stream stream) except -1
    cdef bint leaving(self) noexcept

cdef class Http2Server(Session):
    cdef StreamServer handler

cdef class HttpServerStream(HttpStream):
    cdef Span method_text, path, authority  # where they lie in the buffer until the request line is written
    cdef Span protocol                      # ... and what an extended CONNECT asks for
    cdef bint begun                         # it is
    cdef bint has_cookies                   # they wait in the inbox
    cdef bint https                         # what :scheme says

    cdef int begin_text(self) except -1
    cdef bint begin_extended(self) except -1
    cdef int open_pipe(self, size_t count) except -1
    cdef bint line_fits(self) noexcept
    cdef int add_cookie(self, const char* value, size_t length) except -1
    cdef int add_cookies(self) except -1
    cdef int submit(self, size_t count, int framing, int64_t content_length) except -1

cdef int serve_http2(Stream transport, StreamServer handler) except -1
