# distutils: libraries = nghttp2
"""One stream of an HTTP/2 connection as a byte stream: its DATA are the bytes (RFC 9113 5, 6.9).

What arrives while the reader is busy waits in an inbox of the stream's own, so that nobody's pointers into the read
buffer move; the peer is credited when the reader comes back for more. So a stream that is not read fills up to its
window and harms no other. What is written goes into frames out of the writer's own memory; what flow control or the
output does not allow yet, the writer waits for. The `on_...` methods are called out of nghttp2: they move bytes and take
notes, and may not switch greenlets. Subclasses give meaning to heads (tunnel.pyx, http_stream.pyx).
"""

import gevent

from libc.errno cimport ECONNRESET
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from proxy.wire.buffers cimport LARGE, drop, free_buffer, reserve
from proxy.wire.greenlets cimport PyGreenlet_GetCurrent, PyGreenlet_Import, PyGreenlet_Switch, greenlet
from proxy.wire.http2.nghttp2 cimport *
from proxy.wire.http2.output cimport may_go_on
from proxy.wire.message cimport BEHIND
from proxy.wire.stream cimport (
    CANCELLED,
    DATA_WAITS,
    END,
    FAILED,
    PEER_CLOSED,
    PEER_RESET,
    QUIET,
    RAISED,
    READY,
    TIMED_OUT,
    get_hub,
    run_soon,
    wake_soon,
)

PyGreenlet_Import()


cdef class Http2Stream(Stream):
    """One stream, its DATA as bytes. `id` 0 until it is open."""

    def __dealloc__(self):
        drop(&self.inbox)

    # -- what the session tells ---------------------------------------------------------------------------------------

    cdef int on_field(self, const char* name, size_t name_length, const char* value, size_t value_length) except -1:
        """A field of a head or of trailers; a `:name` too."""
        return 0

    cdef int on_head(self, int category, bint last) except -1:
        """The fields told so far are complete. `last`: nothing follows."""
        return 0

    cdef int on_data(self, const char* data, size_t length) except -1:
        self.receive(data, length)
        return 0

    cdef int on_end(self) except -1:
        """The peer has sent its last byte."""
        self.eof = True
        return self.session.touch(self)

    cdef int on_malformed(self) except -1:
        """nghttp2 found a frame of the stream malformed, and resets it."""
        return 0

    cdef int on_close(self, uint32_t code) except -1:
        """nghttp2 forgets the stream: both sides have ended, or it was reset, or its connection is lost."""
        self.live = False
        self.reset_code = code
        self.lost = not (self.eof and self.end_sent and code == NGHTTP2_NO_ERROR)
        if not self.eof:
            self.eof = True
            self.broken = self.reads_as_broken(code)
            self.error = ECONNRESET
        self.refused = code == NGHTTP2_REFUSED_STREAM
        if self.writer is not None:
            self.wake_writer(FAILED)
        return self.session.touch(self)

    cdef bint reads_as_broken(self, uint32_t code) noexcept:
        """Whether a reset in place of an END_STREAM is a failure to whoever reads."""
        return True

    cdef bint on_finish(self) except -1:
        """All is sent: True if trailers follow, which carry the END_STREAM."""
        return False

    # -- reading ------------------------------------------------------------------------------------------------------

    cdef int receive(self, const char* data, size_t length) except -1:
        """DATA for the reader."""
        if self.closed:
            return self.session.credit(self, length)
        memcpy(self.place(length, length), data, length)
        return 0

    cdef char* place(self, Py_ssize_t length, Py_ssize_t credited) except NULL:
        """Where the next `length` bytes for the reader go: straight into its buffer while it waits for them, else they
        wait in the inbox. `credited` of them came in DATA frames. Not for a closed stream."""
        if not self.touched:
            self.session.touch(self)
        if self.reader is not None and self.inbox.end == self.inbox.start:
            self.make_room(length + self.spare())
            self.end += length
            self.given += credited
            self.fresh += length
            return self.buffer + self.end - length
        reserve(&self.inbox, length + self.spare())
        self.inbox.end += length
        self.inbox_framing += length - credited
        return self.inbox.bytes + self.inbox.end - length

    cdef inline Py_ssize_t spare(self) noexcept:
        """How much is to be free behind what comes."""
        return BEHIND if self.in_pieces else 0

    cdef Py_ssize_t fill(self) except? RAISED:
        cdef Py_ssize_t got
        cdef int woken
        while True:
            if self.closed:
                return FAILED
            if self.given and self.start == self.end:
                self.credit_given()
            if self.inbox.end != self.inbox.start:
                return self.take_inbox()
            if self.eof:
                return FAILED if self.broken else END
            self.fresh = 0
            woken = self.wait_readable()
            got = self.fresh
            self.fresh = 0
            if got and woken != CANCELLED:
                return got
            if woken != READY:
                return woken

    cdef Py_ssize_t fill_now(self) except? RAISED:
        if self.given and self.start == self.end:
            self.credit_given()
        return 0 if self.closed or self.inbox.end == self.inbox.start else self.take_inbox()

    cdef Py_ssize_t take_inbox(self) except -1:
        """What waits goes into the reader's buffer: by changing buffers if that one is empty."""
        cdef Py_ssize_t length = self.inbox.end - self.inbox.start
        if self.pinned == 0 and self.start == self.end:
            free_buffer(self.buffer, self.capacity)
            self.buffer, self.capacity = self.inbox.bytes, self.inbox.capacity
            self.start, self.end = self.inbox.start, self.inbox.end
            self.inbox.bytes = NULL
            drop(&self.inbox)
        else:
            length = min(length, LARGE)
            self.make_room(length + self.spare())
            memcpy(self.buffer + self.end, self.inbox.bytes + self.inbox.start, length)
            self.end += length
            self.inbox.start += length
            if self.inbox.start == self.inbox.end:
                drop(&self.inbox)
        self.count_given(length)
        return length

    cdef int drop_inbox(self) except -1:
        """Nobody will read it."""
        self.count_given(self.inbox.end - self.inbox.start)
        drop(&self.inbox)
        return self.credit_given()

    cdef void count_given(self, Py_ssize_t length) noexcept:
        """So much has left the inbox. Its framing is taken off first: the sum is right once the inbox is empty."""
        cdef Py_ssize_t framing = min(self.inbox_framing, length)
        self.inbox_framing -= framing
        self.given += length - framing

    cdef int credit_given(self) except -1:
        cdef int64_t given = self.given
        self.given = 0
        return self.session.credit(self, given)

    cdef int tell(self) except -1:
        """Something has come: wakes the reader, or tells the listener if nobody reads."""
        cdef int event
        if self.reader is not None:
            return self.end_read(READY)
        if self.listener is None or self.closed:
            return 0
        event = self.state()
        return 0 if event == QUIET else self.listener.idle_event(self, event)

    cdef int state(self) noexcept:
        if self.lost:
            return PEER_RESET
        if self.inbox.end != self.inbox.start:
            return DATA_WAITS
        return PEER_CLOSED if self.eof else QUIET

    cdef int look(self) except -1:
        """What waits on the connection may be this stream's: its reader has its turn first."""
        cdef Stream transport = self.session.transport
        if not transport.closed and transport.pending():
            transport.end_read(READY)
            gevent.sleep(0)
        return PEER_CLOSED if self.closed else self.state()

    cdef int watch(self) except -1:
        if self.lost or self.eof or self.inbox.end != self.inbox.start:
            run_soon(self._tell)
        return 0

    def _tell(self) -> None:
        self.tell()

    cdef bint alive(self) noexcept:
        return not self.closed and not self.eof and self.live and self.inbox.end == self.inbox.start

    cdef bint leaving(self) noexcept:
        return self.session.draining

    cdef bint crowded(self, int64_t for_ns) noexcept:
        return self.session.crowded(for_ns)

    cdef bint first_loss(self, int who) except -1:
        if self.session is None or self.session.h2 != NULL and not (self.refused and self.session.draining):
            return True
        if self.session.fault_code != NGHTTP2_NO_ERROR and self.session.heading not in (0, self.id):
            return False        # another's answer has ended the connection
        return self.session.first_loss(who)

    # -- writing ------------------------------------------------------------------------------------------------------

    cdef bint writable(self) noexcept:
        return self.live and not self.closed and not self.end_wanted

    cdef int put(self, const char* data, Py_ssize_t length) except? RAISED:
        return self.put_two(NULL, 0, data, length)

    cdef int put_two(
            self, const char* volatile_head, Py_ssize_t head_length, const char* data, Py_ssize_t length) except? RAISED:
        cdef char* copy
        cdef int result
        if not self.writable():
            return FAILED
        self.first, self.first_left = volatile_head, head_length
        self.second, self.second_left = data, length
        result = self.send_pieces()
        if result or not self.first_left:
            return result if result or not self.second_left else self.wait_sent()
        copy = <char*>malloc(self.first_left)
        if copy == NULL:
            raise MemoryError
        memcpy(copy, self.first, self.first_left)
        self.first = copy
        try:
            return self.wait_sent()
        finally:
            self.first_left = 0
            free(copy)

    cdef int send_pieces(self) except? RAISED:
        """Has as much of both pieces put into frames as flow control and output allow now: 0 or FAILED."""
        if self.deferred:
            self.deferred = False
            nghttp2_session_resume_data(self.session.h2, self.id)
        self.session.pull()
        if (self.first_left or self.second_left) and not self.live:
            return FAILED
        return 0

    cdef Py_ssize_t put_now(self, const char* data, Py_ssize_t length) except? RAISED:
        if not self.writable():
            return FAILED
        self.second, self.second_left = data, length
        self.send_pieces()
        length -= self.second_left
        self.second_left = 0
        return length if self.live or length else FAILED

    cdef int wait_sent(self) except? RAISED:
        """Until both pieces are in frames: 0, FAILED or TIMED_OUT."""
        cdef object timer = None
        self.writer = PyGreenlet_GetCurrent()
        self.writer_result = 0
        self.session.waiting += 1
        self.grow_up()
        if self.stall_ns:
            self.written_then = self.written
            timer = get_hub().loop.timer(self.stall_ns / 1e9, self.stall_ns / 1e9)
            timer.start(self._look_whether_stalled)
        try:
            PyGreenlet_Switch(<greenlet>get_hub(), NULL, NULL)
        finally:
            self.writer = None
            self.session.waiting -= 1
            may_go_on(self.session)
            self.first_left = self.second_left = 0
            if timer is not None:
                timer.stop()
                timer.close()
        return self.writer_result

    def _look_whether_stalled(self) -> None:
        """Slow is not stalled: the pieces may be large, and the windows small."""
        if self.written != self.written_then:
            self.written_then = self.written
        elif self.writer is not None:
            self.wake_writer(TIMED_OUT)

    cdef void grow_up(self) noexcept:
        """It is known what becomes of the answer: its client reads it, or does not."""
        if self.epoch and self.epoch == self.session.epoch:
            self.session.young -= 1
        self.epoch = 0

    cdef int wake_writer(self, int result) except -1:
        cdef greenlet writer = self.writer
        self.writer = None
        self.writer_result = result
        return wake_soon(writer)

    cdef int finish(self) except? RAISED:
        if not self.live or self.closed:
            return FAILED
        if not self.end_wanted:
            self.end_wanted = True
            self.send_pieces()
        return 0

    # -- the end ------------------------------------------------------------------------------------------------------

    cdef int close(self) except -1:
        """Lets go of the stream; whoever waits on it is told FAILED. Closing twice is nothing."""
        if self.closed:
            return 0
        self.disarm()
        self.listener = None
        if self.session is not None:
            if self.live and self.session.h2 != NULL:
                self.leave()
            self.drop_inbox()
        self.closed = True
        self.error = ECONNRESET
        self.end_read(CANCELLED)
        if self.writer is not None:
            self.wake_writer(FAILED)
        return self.give_up_permit()

    cdef int leave(self) except -1:
        """Ends an open stream: our end, and if the peer has not ended its side, word that nobody reads it any more."""
        self.first_left = self.second_left = 0
        self.finish()
        if not self.live:
            return 0
        if not self.end_sent:
            return self.reset(NGHTTP2_CANCEL)
        return 0 if self.eof else self.reset(NGHTTP2_NO_ERROR if self.session.server else NGHTTP2_CANCEL)

    cdef int abort(self) except -1:
        """Closes so that the peer sees a reset (RFC 9113 8.5)."""
        if not self.closed and self.live:
            self.reset(NGHTTP2_CONNECT_ERROR)
        return self.close()

    cdef int reset(self, uint32_t code) except -1:
        if self.session.h2 == NULL or not self.live:
            return 0
        nghttp2_submit_rst_stream(self.session.h2, NGHTTP2_FLAG_NONE, self.id, code)
        return self.session.pull()
