# An HTTP/2 connection and its streams; theory in session.pyx.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t

from proxy.wire.greenlets cimport greenlet
from proxy.wire.nghttp2 cimport nghttp2_data_provider, nghttp2_session
from proxy.wire.stream cimport Deadlines, Stream

cdef enum:
    STREAM_WINDOW = 4194304         # what a peer may send before it was read: of a stream, ...
    CONNECTION_WINDOW = 16777216    # ... and of all streams of a connection together (ztunnel's own sizes)
    MAX_STREAMS = 1000              # concurrent streams a peer may open; ztunnel plans with 100

cdef class Session:
    cdef nghttp2_session* h2        # NULL once the connection has ended
    cdef readonly Stream transport
    cdef readonly bint server
    cdef readonly bint draining     # no new streams: GOAWAY was sent or has come
    cdef readonly bint settled      # the peer's SETTINGS have come
    cdef dict streams               # id -> Http2Stream, those open
    cdef uint32_t most_streams      # of ours at a time, as far as is known
    cdef list woken                 # streams on which something has come since the last read
    cdef object failure             # an exception out of a callback
    cdef Deadlines patience         # how long the peer may be silent before it is pinged; None: no pings
    cdef int pings                  # sent and not answered
    cdef int empties, prepaid       # frames that carry nothing, in a row; what a peer may still waste
    cdef const char* fault          # why the connection was broken off, a few words for the log; NULL: it was not
    cdef uint32_t fault_code
    cdef bint busy                  # inside nghttp2, which must not be entered again
    cdef int64_t refilled
    cdef int64_t stall_ns           # for its streams: how long one wait to write may take; 0: for ever
    # what nghttp2 has made and the transport has not taken
    cdef char* out
    cdef Py_ssize_t out_start, out_end, out_capacity
    cdef bint flush_due, sending, broken

    # for subclasses: the server's side of a stream's life
    cdef Http2Stream make_stream(self)
    cdef int serve(self, Http2Stream stream) except -1
    cdef int silence(self) except -1

    cdef int open(self, int32_t stream_window, int32_t connection_window) except -1
    cdef bint has_room(self) noexcept
    cdef int attach(self, Http2Stream stream, int32_t id) except -1
    cdef int touch(self, Http2Stream stream) except -1
    cdef int pull(self) except -1
    cdef int reserve(self, Py_ssize_t length) except -1
    cdef bint going_on(self) noexcept
    cdef int receive(self) except -1
    cdef int wake(self) except -1
    cdef int hear_silence(self) except -1
    cdef int shutdown(self) except -1
    cdef int break_off(self) except -1
    cdef int end(self) except -1
    cdef int credit(self, Http2Stream stream, Py_ssize_t length) except -1
    cdef bint charge(self) noexcept

cdef class Http2Stream(Stream):
    cdef Session session
    cdef readonly int32_t id
    cdef bint live                  # nghttp2 knows the stream: neither closed nor lost
    cdef bint lost                  # ended by a reset, or with its connection
    cdef bint broken                # ... and before the peer had said that it was at its end
    cdef bint refused               # ... before the peer did anything with it (RFC 9113 8.7): may be tried again
    cdef readonly uint32_t reset_code
    cdef int64_t stall_ns           # how long one wait to write may take; 0: for ever
    # received, not yet asked for
    cdef char* inbox
    cdef Py_ssize_t inbox_start, inbox_end, inbox_capacity
    cdef Py_ssize_t inbox_framing   # of it, what did not come in DATA frames: the peer is not credited for it
    cdef Py_ssize_t fresh           # put into `buffer` while the reader waited
    cdef int64_t given              # DATA bytes in `buffer` that the peer was not credited for
    # to be sent: two pieces, then the end
    cdef const char* first
    cdef const char* second
    cdef Py_ssize_t first_left, second_left
    cdef bint end_wanted, end_sent, deferred
    cdef greenlet writer
    cdef int writer_result
    cdef object stall_timer

    # what the session tells it; none of these may switch
    cdef int on_field(self, const char* name, size_t name_length, const char* value, size_t value_length) except -1
    cdef int on_head(self, int category, bint last) except -1
    cdef int on_data(self, const char* data, size_t length) except -1
    cdef int on_end(self) except -1
    cdef int on_malformed(self) except -1
    cdef int on_close(self, uint32_t code) except -1
    cdef bint on_finish(self) except -1
    cdef bint reads_as_broken(self, uint32_t code) noexcept

    cdef nghttp2_data_provider body(self) noexcept
    cdef int receive(self, const char* data, size_t length) except -1
    cdef char* place(self, Py_ssize_t length, Py_ssize_t credited) except NULL
    cdef Py_ssize_t take_inbox(self) except -1
    cdef int drop_inbox(self) except -1
    cdef void count_given(self, Py_ssize_t length) noexcept
    cdef void free_inbox(self) noexcept
    cdef int credit_given(self) except -1
    cdef int tell(self) except -1
    cdef bint writable(self) noexcept
    cdef int send_pieces(self) except? -100
    cdef int wait_sent(self) except? -100
    cdef int wake_writer(self, int result) except -1
    cdef int leave(self) except -1
    cdef int reset(self, uint32_t code) except -1
