# distutils: libraries = nghttp2
"""How much of a connection one stream of it may take, so that those nobody reads leave the others at speed (RFC 9113
5.2: how windows are used is left to the ends).

Sending. What the peer's readers have not taken, its windows hold: `unacked` of a stream, `window - left` of all. Nobody
can know which of its streams are read before it acknowledges (WINDOW_UPDATE), which receivers do late: when a third or
half of a window was read. So a stream may use all of its window until the last eighth of the connection's is begun;
that is dealt out in shares of a thirty-second of what is left, or of a small answer, so that something is left for whoever
comes. A stream of which something was acknowledged within the last ten seconds was read: it may have three eighths of that last
part. No more, as it may have come to a stop since, and who comes later would have nothing; but if it is the only
such, and others hold no more than half of the window, to the end: there are receivers that acknowledge a connection when half of
its window was read, and have to be given that half. With a ztunnel's windows, 4 MiB and 16 MiB, four streams that nobody
reads take 14 MiB; sixteen of them leave 1.4 MiB, ninety-nine 90 KiB; if they were read before, half of it. Long
before, when three quarters are taken, the connection is `tight`; if it stays so, new streams are better off on another
(`Output.crowded`). A stream that has a connection for itself is not bounded.

Receiving. What comes is credited to the connection as it comes, so that no stream can hold another's. What is held for
readers is bounded by the streams' windows: of a client FIRST_WINDOW each, doubled for those whose readers keep up, within
bounds for each and for all; of an endpoint ENDPOINT_WINDOW, since Envoy, as one, cuts short what a server said before it
closed and a smaller window has not let through. Where even so more is held than ..._UNREAD, the connection is credited only for what is read: hundreds
of streams that nobody reads do stop their own connection.
"""

from proxy.clock cimport monotonic_ns
from proxy.wire.http2.nghttp2 cimport *
from proxy.wire.http2.output cimport may_go_on

cdef int64_t STILL_NS = 1_000_000_000
cdef int64_t READ_NS = 10_000_000_000       # a stream of which nothing was acknowledged for longer is not read


cdef int64_t share_of(int64_t left, int64_t most, int64_t unacked) noexcept nogil:
    """How many bytes more a stream may send that has `unacked` on its way, on a connection with a window of `most`, of
    which `left` are left."""
    cdef int64_t others_leave = left + unacked
    if left - most // 8 >= LEAST:
        return left - most // 8
    return max(others_leave // 32, min(others_leave * 3 // 4, ANSWER), LEAST) - unacked


cdef int64_t room_of(Output connection, Http2Stream stream) noexcept:
    """How much the stream may send now, as far as its share goes. Notes when the connection became tight."""
    cdef int64_t left = nghttp2_session_get_remote_window_size(connection.h2)
    cdef int64_t now, room
    if left > connection.window // 4 or len(connection.streams) == 1:
        return left
    now = monotonic_ns()
    if connection.tight_since == 0:
        connection.tight_since = now
    room = share_of(left, connection.window, stream.unacked)
    if now - stream.moved_at >= READ_NS:
        return room
    room = max(room, left - connection.window // 8 * 5 // 8)
    return left if room < LEAST and brings_half(connection, stream, now) else room


cdef bint brings_half(Output connection, Http2Stream stream, int64_t now) noexcept:
    """Whether it is this stream alone that can bring a receiver to half of its connection's window."""
    cdef bint moves = stream.first_left + stream.second_left and now - stream.moved_at < READ_NS
    if not connection.counted:
        count_movers(connection, now)
    return connection.movers <= moves and \
        connection.unacked - stream.unacked <= connection.window // 2 + connection.window // 16


cdef void count_movers(Output connection, int64_t now) noexcept:
    """Of all streams. Once for all that have waited, when they are looked at one after the other."""
    cdef Http2Stream stream
    connection.counted = connection.looking
    connection.unacked = 0
    connection.movers = 0
    for stream in connection.streams.values():
        connection.unacked += stream.unacked
        if stream.first_left + stream.second_left and now - stream.moved_at < READ_NS:
            connection.movers += 1


cdef void stream_grew(Output connection, Http2Stream stream, int32_t increment) noexcept:
    """The peer takes so much more on the stream."""
    if stream.unacked:
        stream.moved_at = monotonic_ns()
        stream.unacked = max(stream.unacked - increment, 0)
    may_go_on(connection)


cdef void connection_grew(Output connection) noexcept:
    """The peer takes more on all streams together."""
    cdef int64_t left = nghttp2_session_get_remote_window_size(connection.h2)
    connection.window = max(connection.window, left)
    if left > connection.window // 4:
        connection.tight_since = 0
    may_go_on(connection)


cdef int64_t first_window(Output connection) noexcept:
    """What a peer may send on a stream at first."""
    return FIRST_WINDOW if connection.server else ENDPOINT_WINDOW


cdef int arrived(Output connection, Http2Stream stream, int64_t length) noexcept:
    """So much has come for the stream's reader. Who goes on talking has read what it was sent before, if that had all
    gone: a tunnel carries many small messages before a receiver acknowledges any."""
    if stream.first_left + stream.second_left == 0:
        stream.unacked = 0
    connection.unread += length
    if connection.unread > (CLIENT_UNREAD if connection.server else ENDPOINT_UNREAD):
        connection.owed += length
        return 0
    return nghttp2_session_consume_connection(connection.h2, length)


cdef int was_read(Output connection, Http2Stream stream, int64_t length) noexcept:
    """So much has been taken, or will never be; its reader asks for more."""
    cdef int64_t due = min(connection.owed, length)
    connection.unread -= length
    if due:
        connection.owed -= due
        nghttp2_session_consume_connection(connection.h2, due)
    if stream.live and not stream.eof:
        nghttp2_session_consume_stream(connection.h2, stream.id, length)
        stream.taken += length
        if stream.taken >= stream.window:
            enlarge(connection, stream)
    return 0


cdef void enlarge(Output connection, Http2Stream stream) noexcept:
    """The reader has taken all of its window: it is doubled, within bounds."""
    stream.taken = 0
    if not connection.server or stream.window >= CLIENT_WINDOW or connection.grown + stream.window > CLIENT_GROWTH:
        return
    connection.grown += stream.window
    stream.window *= 2
    nghttp2_session_set_local_window_size(connection.h2, NGHTTP2_FLAG_NONE, stream.id, <int32_t>stream.window)
