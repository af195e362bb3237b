# What an HTTP/2 connection sends; theory in output.pyx.
from libc.stdint cimport int32_t, int64_t, uint32_t

from proxy.wire.buffers cimport Buffer
from proxy.wire.http2.nghttp2 cimport nghttp2_session
from proxy.wire.stream cimport Consumer, Stream

cdef enum:
    FRAME = 65500                   # the largest DATA frame made, if the peer allows it
    RECORD = 16384                  # what a record of TLS holds at most (RFC 8446 5.1)

cdef class Output(Consumer):
    cdef nghttp2_session* h2        # NULL once the connection has ended
    cdef readonly Stream transport
    cdef readonly bint server
    cdef readonly bint draining     # no new streams: GOAWAY was sent or has come
    cdef readonly bint settled      # the peer's SETTINGS have come
    cdef object settling            # an Event for those who wait for that, or for the end; None: nobody does
    cdef readonly bint foreign      # ... and never will: it has answered our preface in HTTP/1
    cdef bint busy                  # inside nghttp2, which must not be entered again
    cdef bint broken                # the transport takes nothing more
    cdef object failure             # an exception out of a callback
    cdef const char* fault          # why the connection was broken off, a few words for the log; NULL: it was not
    cdef uint32_t fault_code
    cdef int32_t heading            # the stream whose head is coming, if one is: the one that breaks it, if it is broken
    cdef char[80] words             # nghttp2's own for it
    cdef set losers                 # who has told of the connection's end as a loss
    cdef dict streams               # id -> Http2Stream, those open
    # the peer's windows (flow.pyx)
    cdef int64_t window             # the most there was of the connection's
    cdef int64_t tight_since        # when its last quarter was begun; 0: it is not
    cdef list held                  # streams that have used their share
    cdef bint looking               # they are looked at, one after the other
    cdef bint counted               # ... and for that it was counted, over all streams:
    cdef int64_t unacked            # what they have on its way
    cdef int movers                 # how many are read and have more to send
    cdef list queue                 # streams of a client's that are not served yet: it reads nothing
    cdef int gone                   # ... of which so many have ended
    cdef bint thaw                  # some of them may go on
    cdef bint spoken                # something of an answer has gone since then
    cdef bint moved                 # its client has taken something since that was looked at
    cdef bint unreading             # answers wait, and its client has taken nothing since that was looked at
    cdef int64_t granted            # what the peer has given, of all windows
    cdef int waiting                # writers that wait for the peer to read
    cdef int young                  # streams served since `epoch` began of which it is not known whether they will
    cdef int epoch
    # ours
    cdef int64_t unread             # bytes held for readers
    cdef int64_t owed               # ... of which the connection's window has not been given back
    cdef int64_t grown              # by how much streams' windows are larger than at first
    cdef Buffer out                 # what nghttp2 has made and the transport has not taken
    cdef bint flush_due, sending
    cdef int64_t stuck_since        # when the transport last took something, while it does not take all; else 0

    cdef int pull(self) except -1
    cdef int make(self) except -1
    cdef bint send(self) except -1
    cdef int wait_to_send(self) except -1
    cdef Py_ssize_t send_with(self, const char* data, Py_ssize_t length) except -1
    cdef bint going_on(self) noexcept
    cdef int break_off(self) except -1
    cdef bint first_loss(self, int who) except -1
    cdef bint crowded(self, int64_t for_ns) noexcept

    # what streams need of their connection besides
    cdef int touch(self, Stream stream) except -1
    cdef int credit(self, Stream stream, Py_ssize_t length) except -1
    cdef int go_on(self) except -1
    cdef int wake(self) except -1

cdef void may_go_on(Output connection) noexcept
cdef int failed(Output connection) noexcept
