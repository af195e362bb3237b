# A byte stream with a read buffer; theory in stream.pyx.
from libc.stdint cimport int64_t

from proxy.wire.greenlets cimport greenlet
from proxy.wire.http.edits cimport Edits
from proxy.wire.http.head cimport Head

cdef enum Io:                   # what reads and writes say besides a count of bytes, and waits
    READY = 1                   # of a wait: what was waited for may be there
    END = 0                     # the peer has sent its last byte
    FAILED = -1                 # the connection broke; `error` is the errno
    TIMED_OUT = -2
    CANCELLED = -3              # somebody called cancel_read
    RAISED = -100               # a Python exception is set. Between this and those are the Results of http/head.pxd

cdef enum:
    UNHEARD_MS = 25000          # a peer whose host acknowledges nothing for so long is lost: it, or the way to it, has gone

cdef enum Ending:               # how a stream ended
    CONNECTION_ENDED            # with the connection that it is, or that carried it
    STREAM_RESET                # by itself: the connection goes on
    PROTOCOL_BROKEN             # with its connection, which we have ended: what the peer sent on it is wrong
    HEAD_BROKEN                 # ... and that was the head of this one's answer
    NEVER_SPOKE                 # with a connection on which the peer never took the request
    SPOKE_OTHERWISE             # ... for it answered in another protocol
    TLS_REFUSED                 # with the connection: the peer's TLS did not accept us
    TUNNEL_ENDED                # with the tunnel that it is, or that carried it: the connection under that goes on

cdef enum IdleEvent:            # what a stream that nobody reads has to say
    PEER_CLOSED, PEER_RESET, DATA_WAITS, IDLE_TOO_LONG,
    QUIET                       # nothing

cdef class IdleListener:
    cdef int idle_event(self, Stream stream, int event) except -1

cdef class Permit:
    cdef int release(self) except -1

cdef class Consumer:
    cdef int consume(self, Stream stream) except -1

cdef class Deadlines:
    cdef readonly int64_t duration
    cdef Stream first, last
    cdef int add(self, Stream stream) except -1
    cdef int remove(self, Stream stream) except -1
    cdef int expire(self, int64_t now) except -1
    cdef int end_unheard(self, int64_t now) except -1

cdef class Stream:
    cdef char* buffer
    cdef Py_ssize_t start, end, capacity
    cdef Py_ssize_t pinned      # bytes at the buffer's beginning that must stay: a request head while it is served
    cdef int error
    cdef int64_t written        # bytes the kernel has taken so far
    cdef int64_t frames_in, frames_out  # bytes of an HTTP/2 message's frames, that came and went
    cdef bint eof, timed_out, closed
    cdef greenlet reader        # who waits for bytes to come, and what it is told when woken
    cdef int reader_result
    cdef IdleListener listener
    cdef Consumer consumer      # of what fill brings, where a stream has it in pieces; None: it waits in the buffer
    cdef readonly bytes local, peer     # "ip:port"
    cdef readonly bytes identity        # the peer's, by its certificate: a SPIFFE URI; None without one
    cdef readonly bytes baggage         # in a tunnel: what the client's ztunnel says of the client; else None
    cdef readonly bytes target          # in a tunnel: the CONNECT authority, what the client asked for; else None
    cdef readonly bint http2            # the messages on it came in HTTP/2
    cdef bint extended                  # ... and its request is an extended CONNECT (RFC 8441), or is to be one
    cdef Head head              # of the message that comes, where it comes in fields; None: it is read from the buffer
    cdef bint in_pieces                 # its body comes as data alone, and ends with its stream (Framing PIECES)
    cdef bint bare                      # trailers that come on it go on nowhere
    cdef bint in_records                # it is TLS: put_now_both is worth it
    cdef object origin                  # what its TLS to an endpoint was made with; None: there is none
    cdef Permit permit                  # given back when it is closed
    # membership in one Deadlines list
    cdef Deadlines deadlines
    cdef Stream before, after
    cdef int64_t deadline

    cdef Py_ssize_t fill(self) except? RAISED
    cdef Py_ssize_t fill_now(self) except? RAISED
    cdef int put(self, const char* data, Py_ssize_t length) except? RAISED
    cdef int put_two(
            self, const char* volatile_head, Py_ssize_t head_length, const char* data, Py_ssize_t length) except? RAISED
    cdef int put_request(
        self, const char* source, Head head, Edits edits, bytes path, const char* lines, Py_ssize_t lines_length,
        const char* data, Py_ssize_t length, Stream giver, bint last) except? RAISED
    cdef int put_response(
        self, const char* source, Head head, bint rechunk, Edits edits, const char* lines, Py_ssize_t lines_length,
        const char* data, Py_ssize_t length, Stream giver, bint last) except? RAISED
    cdef int put_piece(self, const char* data, Py_ssize_t length, Stream ending) except? RAISED
    cdef Py_ssize_t put_now(self, const char* data, Py_ssize_t length) except? RAISED
    cdef Py_ssize_t put_now_both(
            self, const char* first, Py_ssize_t first_length, const char* second, Py_ssize_t length) except? RAISED
    cdef int finish(self) except? RAISED
    cdef int close(self) except -1
    cdef int abort(self) except -1
    cdef int watch(self) except -1
    cdef int look(self) except -1
    cdef bint was_quiet(self) except -1
    cdef bint alive(self) noexcept
    cdef bint pending(self) noexcept

    cdef bint at_end(self) noexcept
    cdef Head trailers(self, const char** text, Py_ssize_t* length)
    cdef bint may_have_trailers(self) noexcept
    cdef bint leave_open(self) noexcept

    cdef bint put_away(self) except -1
    cdef bint leaving(self) noexcept
    cdef bint crowded(self, int64_t for_ns) noexcept
    cdef int how_it_ended(self) noexcept
    cdef bint was_ignored(self) noexcept
    cdef int64_t unheard_ms(self) noexcept
    cdef bint first_loss(self, int who) except -1
    cdef str last_word(self)

    cdef int make_room(self, Py_ssize_t wanted) except -1
    cdef void release(self) noexcept
    cdef int wait_readable(self) except? RAISED
    cdef int wake_reader(self, int result) except -1
    cdef int cancel_read(self) except -1
    cdef int end_read(self, int result) except -1
    cdef int give_up_permit(self) except -1
    cdef int arm(self, Deadlines deadlines) except -1
    cdef int disarm(self) except -1

cdef object get_hub()
cdef greenlet current()
cdef int64_t polls() except -1
cdef int run_soon(object callback) except -1
cdef int wake_soon(greenlet sleeper) except -1
