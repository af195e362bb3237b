# One stream of an HTTP/2 connection; theory in stream.pyx.
from libc.stdint cimport int32_t, int64_t, uint32_t

from proxy.wire.buffers cimport Buffer
from proxy.wire.greenlets cimport greenlet
from proxy.wire.http2.output cimport Output
from proxy.wire.stream cimport RAISED, Stream

cdef class Http2Stream(Stream):
    cdef Output session             # a Session, as far as streams know it
    cdef readonly int32_t id
    cdef bint live                  # nghttp2 knows the stream: neither closed nor lost
    cdef bint lost                  # ended by a reset, or with its connection
    cdef bint broken                # ... and before the peer had said that it was at its end
    cdef bint refused               # ... before the peer did anything with it (RFC 9113 8.7): may be tried again
    cdef bint touched               # something has come on it, of which its reader is yet to be told
    cdef bint overdue               # we have closed it; the peer has had time to end it too
    cdef readonly uint32_t reset_code
    cdef int64_t stall_ns           # how long a writer waits for anything to go; 0: for ever
    cdef int64_t written_then       # what had gone when that was looked at last
    cdef size_t field_bytes         # of its heads and trailers, so far
    # received, not yet asked for
    cdef Buffer inbox
    cdef Py_ssize_t inbox_framing   # of it, what did not come in DATA frames: the peer is not credited for it
    cdef Py_ssize_t fresh           # put into `buffer` while the reader waited
    cdef int64_t window             # how much the peer may send before it is read, ...
    cdef int64_t taken              # ... and how much was read since that was last enlarged
    cdef int64_t given              # DATA bytes in `buffer` that the peer was not credited for
    # to be sent: two pieces, then the end
    cdef const char* first
    cdef const char* second
    cdef Py_ssize_t first_left, second_left
    cdef bint end_wanted, end_sent, deferred
    cdef int epoch                  # of the session's, when it began to be served; 0: it has ended, or waited to write
    cdef bint queued                # it waits to be served
    cdef bint narrow                # served though its client could not take an answer
    cdef bint held                  # deferred because it had used its share
    cdef int64_t unacked            # sent, and not known to have been taken by a reader there
    cdef int64_t moved_at           # when some of it was; 0: never yet
    cdef greenlet writer
    cdef int writer_result

    # what the session tells it; none of these may switch
    cdef int on_field(self, const char* name, size_t name_length, const char* value, size_t value_length) except -1
    cdef int on_head(self, int category, bint last) except -1
    cdef int on_data(self, const char* data, size_t length) except -1
    cdef int on_end(self) except -1
    cdef int on_malformed(self) except -1
    cdef int on_close(self, uint32_t code) except -1
    cdef bint on_finish(self) except -1
    cdef bint reads_as_broken(self, uint32_t code) noexcept

    cdef int receive(self, const char* data, size_t length) except -1
    cdef char* place(self, Py_ssize_t length, Py_ssize_t credited) except NULL
    cdef Py_ssize_t spare(self) noexcept
    cdef Py_ssize_t take_inbox(self) except -1
    cdef int drop_inbox(self) except -1
    cdef void count_given(self, Py_ssize_t length) noexcept
    cdef int credit_given(self) except -1
    cdef int tell(self) except -1
    cdef int state(self) noexcept
    cdef bint writable(self) noexcept
    cdef int send_pieces(self) except? RAISED
    cdef int wait_sent(self) except? RAISED
    cdef void grow_up(self) noexcept
    cdef int wake_writer(self, int result) except -1
    cdef int leave(self) except -1
    cdef int reset(self, uint32_t code) except -1
