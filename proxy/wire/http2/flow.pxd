# Shares of a connection's window; theory in flow.pyx.
from libc.stdint cimport int32_t, int64_t

from proxy.wire.http2.output cimport Output
from proxy.wire.http2.stream cimport Http2Stream

cdef enum:
    FIRST_WINDOW = 262144           # what a client may send on a stream before it was read: at first, ...
    CLIENT_WINDOW = 4194304         # ... and at most (ztunnel's own size)
    ENDPOINT_WINDOW = 1048576       # ... and an endpoint, whose connections many clients share, always
    CLIENT_GROWTH = 16777216        # what all streams of a connection may be enlarged by together
    CLIENT_UNREAD = 67108864        # what a connection holds for its readers before its window is theirs too
    ENDPOINT_UNREAD = 268435456
    CONNECTION_WINDOW = 16777216
    LEAST = 1024                    # smaller shares are not worth their frames
    ANSWER = 4096                   # a share that small answers fit in, and of which Go lets the sender know

cdef int64_t STILL_NS               # a stream or connection on which nothing was taken for so long stands still

cdef int64_t share_of(int64_t left, int64_t most, int64_t unacked) noexcept nogil
cdef int64_t room_of(Output connection, Http2Stream stream) noexcept
cdef bint brings_half(Output connection, Http2Stream stream, int64_t now) noexcept
cdef void count_movers(Output connection, int64_t now) noexcept
cdef void stream_grew(Output connection, Http2Stream stream, int32_t increment) noexcept
cdef void connection_grew(Output connection) noexcept
cdef int64_t first_window(Output connection) noexcept
cdef int arrived(Output connection, Http2Stream stream, int64_t length) noexcept
cdef int was_read(Output connection, Http2Stream stream, int64_t length) noexcept
