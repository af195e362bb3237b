# distutils: libraries = nghttp2
"""HTTP/2 connections over any byte stream, and their streams as byte streams (RFC 9113, by libnghttp2).

One greenlet runs a connection (`run`): it reads, gives the bytes to nghttp2, and wakes the greenlets of the streams on
which something came. Whoever writes to a stream has nghttp2 make the frames at once, out of the writer's own buffer
into the connection's output (`pull`); the output goes to the transport once in every turn of the event loop.

* A peer that does not read stops the transport, then the output (at most OUTPUT bytes of it), then the writers.
* A stream that is not read fills up to its window and harms no other: what arrives while its reader is busy waits in
  an inbox of its own; the peer is credited when the reader comes back for more.
* Callbacks of nghttp2 only move bytes and take notes; nothing in them may switch greenlets.
* What costs the peer little and us much is counted (`charge`), beside the limits nghttp2 has (settings, outbound acks,
  continuations, header lists): resets, empty frames, priorities.
* A connection that is silent is asked (PING) every `patience`, and given up when two were not answered.
"""

import logging

import gevent
from cpython.exc cimport PyErr_Occurred
from libc.errno cimport ECONNRESET
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memmove

from proxy.scoreboard cimport monotonic_ns
from proxy.wire.greenlets cimport PyGreenlet_GetCurrent, PyGreenlet_Import, PyGreenlet_Switch, greenlet
from proxy.wire.nghttp2 cimport *
from proxy.wire.stream cimport (
    CANCELLED,
    DATA_WAITS,
    END,
    FAILED,
    LARGE,
    PEER_CLOSED,
    PEER_RESET,
    SMALL,
    TIMED_OUT,
    Deadlines,
    Stream,
    free_buffer,
    get_hub,
    new_buffer,
    run_soon,
)

PyGreenlet_Import()

log = logging.getLogger("worker")

cdef enum:
    OUTPUT = 65536              # bytes made and not taken by the transport before writers wait
    FRAME = 65536               # the largest DATA frame made, if the peer allows it
    FRAME_HEADER = 9
    UNSETTLED_STREAMS = 100     # of ours before the peer's SETTINGS have come: RFC 9113 6.5.2 recommends no less
    RECORD = 16384              # of TLS, full
    PREFACE_MAX_SETTINGS = 32
    HEADER_LIST = 61440         # as for HTTP/1.1 heads
    WASTE = 900                 # useless frames a peer may send at once (nghttp2 itself bears 1000 resets), ...
    WASTE_PER_SECOND = 33       # ... and how many more every second (nghttp2's own rate for resets)
    UNANSWERED_PINGS = 2

cdef nghttp2_session_callbacks* callbacks = make_callbacks()
cdef nghttp2_option* options = make_options()


cdef class Session:
    """One HTTP/2 connection. Subclasses say what its streams are and who serves them."""

    def __cinit__(self):
        self.streams = {}
        self.woken = []
        self.prepaid = WASTE
        self.most_streams = UNSETTLED_STREAMS

    def __dealloc__(self):
        if self.h2 != NULL:
            nghttp2_session_del(self.h2)
        free_buffer(self.out, self.out_capacity)

    cdef int open(self, int32_t stream_window, int32_t connection_window) except -1:
        """Makes the session and its first frames."""
        cdef nghttp2_settings_entry[4] settings
        cdef int count = 0
        if self.server:
            nghttp2_session_server_new2(&self.h2, callbacks, <void*>self, options)
            settings[0].settings_id, settings[0].value = NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, MAX_STREAMS
        else:
            nghttp2_session_client_new2(&self.h2, callbacks, <void*>self, options)
            settings[0].settings_id, settings[0].value = NGHTTP2_SETTINGS_ENABLE_PUSH, 0
        if self.h2 == NULL:
            raise MemoryError
        settings[1].settings_id, settings[1].value = NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, stream_window
        settings[2].settings_id, settings[2].value = NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HEADER_LIST
        nghttp2_submit_settings(self.h2, NGHTTP2_FLAG_NONE, settings, 3)
        nghttp2_session_set_local_window_size(self.h2, NGHTTP2_FLAG_NONE, 0, connection_window)
        return self.pull()

    # -- for subclasses -----------------------------------------------------------------------------------------------

    cdef Http2Stream make_stream(self):
        """The object for a stream that the peer opens; None refuses it."""
        return None

    cdef int serve(self, Http2Stream stream) except -1:
        """The head of a stream the peer opened is complete. May not switch."""
        return 0

    cdef int silence(self) except -1:
        """No stream is open."""
        return 0

    # -- reading ------------------------------------------------------------------------------------------------------

    def run(self):
        """Serves the connection to its end. What the transport's buffer already holds comes first."""
        cdef Stream transport = self.transport
        cdef Py_ssize_t got
        try:
            while True:
                if transport.start != transport.end:
                    self.receive()
                self.pull()         # what nghttp2 itself resets is closed only when that goes out
                self.wake()
                if not self.going_on():
                    break
                transport.release()
                if self.patience is not None:
                    transport.arm(self.patience)
                got = transport.fill()
                if self.patience is not None:
                    transport.disarm()
                if got == TIMED_OUT and self.hear_silence() or got == CANCELLED:
                    continue
                if got <= 0:
                    break
        finally:
            self.end()

    cdef bint going_on(self) noexcept:
        return not self.broken and self.fault == NULL and self.failure is None and (
            nghttp2_session_want_read(self.h2) != 0 or nghttp2_session_want_write(self.h2) != 0)

    cdef int receive(self) except -1:
        """Gives nghttp2 what has come."""
        cdef Stream transport = self.transport
        cdef ssize_t n
        self.busy = True
        n = nghttp2_session_mem_recv(
            self.h2, <const uint8_t*>transport.buffer + transport.start, transport.end - transport.start)
        self.busy = False
        transport.start = transport.end
        self.pings = 0
        if n < 0 and self.fault == NULL:
            self.fault, self.fault_code = nghttp2_strerror(<int>n), NGHTTP2_PROTOCOL_ERROR
        if self.failure is not None:
            log.error("an HTTP/2 callback failed", exc_info=self.failure)
        return 0

    cdef int wake(self) except -1:
        """Lets those run, soon, on whose streams something has come."""
        cdef Http2Stream stream
        cdef list woken = self.woken
        if woken:
            self.woken = []
            for stream in woken:
                stream.tell()
        return 0

    cdef int touch(self, Http2Stream stream) except -1:
        """Something has come on the stream."""
        if not self.woken or self.woken[len(self.woken) - 1] is not stream:
            self.woken.append(stream)
        return 0

    cdef int hear_silence(self) except -1:
        """Nothing has come for as long as patience says: 1 if the peer is asked once more, 0 if it is given up."""
        if self.pings >= UNANSWERED_PINGS:
            self.fault, self.fault_code = b"no answer to PING", NGHTTP2_NO_ERROR
            return 0
        self.pings += 1
        nghttp2_submit_ping(self.h2, NGHTTP2_FLAG_NONE, NULL)
        self.silence()
        self.pull()
        return 1

    cdef int credit(self, Http2Stream stream, Py_ssize_t length) except -1:
        """The peer may send so much more: of this stream if it is still open, and of all."""
        if self.h2 == NULL or length == 0:
            return 0
        nghttp2_session_consume_connection(self.h2, length)
        if stream.live and not stream.eof:
            nghttp2_session_consume_stream(self.h2, stream.id, length)
        return self.pull()

    cdef bint charge(self) noexcept:
        """Counts a frame that only costs; False when the peer has sent too many."""
        cdef int64_t now
        self.prepaid -= 1
        if self.prepaid > 0:
            return True
        now = monotonic_ns()
        if self.refilled == 0:
            self.refilled = now - 1_000_000_000
        self.prepaid = <int>min((now - self.refilled) // (1_000_000_000 // WASTE_PER_SECOND), WASTE)
        self.refilled = now
        if self.prepaid == 0:
            self.fault, self.fault_code = b"too many frames of no use", NGHTTP2_ENHANCE_YOUR_CALM
        return self.fault == NULL

    # -- writing ------------------------------------------------------------------------------------------------------

    cdef int pull(self) except -1:
        """Has nghttp2 make what it can, up to OUTPUT bytes, and sees that it is sent."""
        cdef const uint8_t* frame
        cdef ssize_t n
        if self.h2 == NULL or self.busy:
            return 0
        while self.out_end - self.out_start < OUTPUT:
            self.busy = True
            n = nghttp2_session_mem_send(self.h2, &frame)
            self.busy = False
            if n <= 0:
                if n < 0:
                    self.fault, self.fault_code = nghttp2_strerror(<int>n), NGHTTP2_PROTOCOL_ERROR
                    self.break_off()
                break
            self.reserve(n)
            memcpy(self.out + self.out_end, frame, n)
            self.out_end += n
        if self.out_end != self.out_start and not self.flush_due and not self.sending:
            self.flush_due = True
            run_soon(self.flush)
        if self.failure is not None:
            self.break_off()
        return 0

    cdef int reserve(self, Py_ssize_t length) except -1:
        """Room for `length` more bytes of output."""
        cdef Py_ssize_t capacity
        cdef char* grown
        if self.out == NULL:
            self.out = new_buffer()
            self.out_capacity = SMALL
            self.out_start = self.out_end = 0
        if self.out_capacity - self.out_end >= length:
            return 0
        if self.out_start:
            memmove(self.out, self.out + self.out_start, self.out_end - self.out_start)
            self.out_end -= self.out_start
            self.out_start = 0
        capacity = self.out_capacity
        while capacity - self.out_end < length:
            capacity *= 2
        if capacity != self.out_capacity:
            grown = <char*>realloc(self.out, capacity)
            if grown == NULL:
                raise MemoryError
            self.out = grown
            self.out_capacity = capacity
        return 0

    def flush(self):
        """Gives the output to the transport, in the hub; what it does not take now is left to a greenlet."""
        cdef Py_ssize_t taken, length
        if self.sending or self.h2 == NULL:
            self.flush_due = False
            return
        while self.out_end != self.out_start:       # flush_due: pull need not ask for a flush, this is one
            length = self.out_end - self.out_start
            if length > RECORD:         # what is over waits for what comes next: no small records between full ones
                length -= length % RECORD
            taken = self.transport.put_now(self.out + self.out_start, length)
            if taken < 0:
                self.break_off()
                break
            self.out_start += taken
            if taken != length:
                self.sending = True
                gevent.spawn(self.send_rest)
                break
            self.pull()
            self.wake()
        self.flush_due = False
        if self.out_end != self.out_start:
            return
        free_buffer(self.out, self.out_capacity)
        self.out = NULL
        self.out_capacity = self.out_start = self.out_end = 0
        if not self.going_on():
            self.transport.cancel_read()

    def send_rest(self):
        """Sends until the output is empty, waiting for the transport."""
        cdef char* chunk
        cdef Py_ssize_t start, end, capacity
        cdef int result = 0
        while result == 0 and self.out_end != self.out_start:
            chunk, start, end, capacity = self.out, self.out_start, self.out_end, self.out_capacity
            self.out = NULL
            self.out_capacity = self.out_start = self.out_end = 0
            result = self.transport.put(chunk + start, end - start)
            free_buffer(chunk, capacity)
            self.pull()
            self.wake()
        self.sending = False
        if result < 0:
            self.break_off()
        elif self.h2 != NULL and not self.going_on():
            self.transport.cancel_read()

    # -- the end ------------------------------------------------------------------------------------------------------

    cdef int shutdown(self) except -1:
        """Begins to drain: the peer is told to open no more streams here; those there are go on (RFC 9113 6.8)."""
        if self.draining or self.h2 == NULL:
            return 0
        self.draining = True
        if self.server:
            nghttp2_submit_shutdown_notice(self.h2)
        return self.pull()

    def refuse_new(self):
        """The second GOAWAY of a graceful shutdown: what was opened until now is served, and nothing after it."""
        if self.h2 != NULL:
            nghttp2_submit_goaway(self.h2, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(self.h2),
                                  NGHTTP2_NO_ERROR, NULL, 0)
            self.pull()
            if not self.going_on():
                self.transport.cancel_read()

    cdef int break_off(self) except -1:
        """Ends the connection as soon as its greenlet runs."""
        self.broken = True
        return self.transport.cancel_read()

    cdef int end(self) except -1:
        """The connection is over, and every stream on it with it."""
        cdef Http2Stream stream
        cdef list left = list(self.streams.values())
        if self.fault != NULL and not self.broken:
            nghttp2_session_terminate_session(self.h2, self.fault_code)
        if not self.broken and not self.sending:
            self.pull()
            if self.out_end != self.out_start:
                self.transport.put_now(self.out + self.out_start, self.out_end - self.out_start)
        self.broken = self.draining = True
        for stream in left:
            stream.on_close(NGHTTP2_INTERNAL_ERROR)
        self.streams.clear()
        nghttp2_session_del(self.h2)
        self.h2 = NULL
        self.transport.close()
        self.wake()
        return 0

    cdef bint has_room(self) noexcept:
        """The client's side: whether the peer takes one more stream now."""
        if self.h2 == NULL or self.draining or not self.going_on():
            return False
        if self.settled:
            self.most_streams = min(
                nghttp2_session_get_remote_settings(self.h2, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS),
                <uint32_t>MAX_STREAMS)
        return <uint32_t>len(self.streams) < self.most_streams

    cdef int attach(self, Http2Stream stream, int32_t id) except -1:
        """The stream is open under this id."""
        stream.session = self
        stream.id = id
        stream.live = True
        stream.local, stream.peer = self.transport.local, self.transport.peer
        stream.identity, stream.target = self.transport.identity, self.transport.target
        stream.stall_ns = self.stall_ns
        self.streams[id] = stream
        return 0


cdef class Http2Stream(Stream):
    """One stream, its DATA as bytes. `id` 0 until it is open."""

    def __cinit__(self):
        self.deferred = False

    def __dealloc__(self):
        free_buffer(self.inbox, self.inbox_capacity)

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
        cdef Py_ssize_t capacity
        cdef char* grown
        self.session.touch(self)
        if self.reader is not None and self.inbox_end == self.inbox_start:
            self.make_room(length)
            self.end += length
            self.given += credited
            self.fresh += length
            return self.buffer + self.end - length
        if self.inbox == NULL:
            self.inbox = new_buffer()
            self.inbox_capacity = SMALL
            self.inbox_start = self.inbox_end = 0
        if self.inbox_capacity - self.inbox_end < length:
            if self.inbox_start:
                memmove(self.inbox, self.inbox + self.inbox_start, self.inbox_end - self.inbox_start)
                self.inbox_end -= self.inbox_start
                self.inbox_start = 0
            capacity = self.inbox_capacity
            while capacity - self.inbox_end < length:
                capacity *= 2
            if capacity != self.inbox_capacity:
                grown = <char*>realloc(self.inbox, capacity)
                if grown == NULL:
                    raise MemoryError
                self.inbox = grown
                self.inbox_capacity = capacity
        self.inbox_end += length
        self.inbox_framing += length - credited
        return self.inbox + self.inbox_end - length

    cdef Py_ssize_t fill(self) except? -100:
        cdef Py_ssize_t got
        cdef int woken
        while True:
            if self.closed:
                return FAILED
            if self.given and self.start == self.end:
                self.credit_given()
            if self.inbox_end != self.inbox_start:
                return self.take_inbox()
            if self.eof:
                return FAILED if self.broken else END
            self.fresh = 0
            woken = self.wait_readable()
            got = self.fresh
            self.fresh = 0
            if got and woken != CANCELLED:
                return got
            if woken != 1:
                return woken

    cdef Py_ssize_t take_inbox(self) except -1:
        """What waits goes into the reader's buffer: by changing buffers if that one is empty."""
        cdef Py_ssize_t length = self.inbox_end - self.inbox_start
        if self.pinned == 0 and self.start == self.end:
            free_buffer(self.buffer, self.capacity)
            self.buffer, self.capacity = self.inbox, self.inbox_capacity
            self.start, self.end = self.inbox_start, self.inbox_end
            self.inbox = NULL
            self.inbox_capacity = self.inbox_start = self.inbox_end = 0
        else:
            length = min(length, LARGE)
            self.make_room(length)
            memcpy(self.buffer + self.end, self.inbox + self.inbox_start, length)
            self.end += length
            self.inbox_start += length
            if self.inbox_start == self.inbox_end:
                self.free_inbox()
        self.count_given(length)
        return length

    cdef int drop_inbox(self) except -1:
        """Nobody will read it."""
        self.count_given(self.inbox_end - self.inbox_start)
        self.free_inbox()
        return self.credit_given()

    cdef void count_given(self, Py_ssize_t length) noexcept:
        """So much has left the inbox. Its framing is taken off first: the sum is right once the inbox is empty."""
        cdef Py_ssize_t framing = min(self.inbox_framing, length)
        self.inbox_framing -= framing
        self.given += length - framing

    cdef void free_inbox(self) noexcept:
        free_buffer(self.inbox, self.inbox_capacity)
        self.inbox = NULL
        self.inbox_capacity = self.inbox_start = self.inbox_end = 0

    cdef int credit_given(self) except -1:
        cdef int64_t given = self.given
        self.given = 0
        return self.session.credit(self, given)

    cdef int tell(self) except -1:
        """Something has come: wakes the reader, or tells the listener if nobody reads."""
        if self.reader is not None:
            return self.end_read(1)
        if self.listener is None or self.closed:
            return 0
        if self.lost:
            return self.listener.idle_event(self, PEER_RESET)
        if self.inbox_end != self.inbox_start:
            return self.listener.idle_event(self, DATA_WAITS)
        if self.eof:
            return self.listener.idle_event(self, PEER_CLOSED)
        return 0

    cdef int watch(self) except -1:
        if self.lost or self.eof or self.inbox_end != self.inbox_start:
            run_soon(self._tell)
        return 0

    def _tell(self):
        self.tell()

    cdef bint alive(self) noexcept:
        return not self.closed and not self.eof and self.live and self.inbox_end == self.inbox_start

    # -- writing ------------------------------------------------------------------------------------------------------

    cdef bint writable(self) noexcept:
        return self.live and not self.closed and not self.end_wanted

    cdef int put(self, const char* data, Py_ssize_t length) except? -100:
        return self.put_two(NULL, 0, data, length)

    cdef int put_two(
            self, const char* volatile_head, Py_ssize_t head_length, const char* data, Py_ssize_t length) except? -100:
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

    cdef int send_pieces(self) except? -100:
        """Has as much of both pieces put into frames as flow control and output allow now: 0 or FAILED."""
        if self.deferred:
            self.deferred = False
            nghttp2_session_resume_data(self.session.h2, self.id)
        self.session.pull()
        if (self.first_left or self.second_left) and not self.live:
            return FAILED
        return 0

    cdef Py_ssize_t put_now(self, const char* data, Py_ssize_t length) except? -100:
        if not self.writable():
            return FAILED
        self.second, self.second_left = data, length
        self.send_pieces()
        length -= self.second_left
        self.second_left = 0
        return length if self.live or length else FAILED

    cdef int wait_sent(self) except? -100:
        """Until both pieces are in frames: 0, FAILED or TIMED_OUT."""
        cdef object timer = None
        self.writer = PyGreenlet_GetCurrent()
        self.writer_result = 0
        if self.stall_ns:
            timer = get_hub().loop.timer(self.stall_ns / 1e9)
            timer.start(self._stalled)
        try:
            PyGreenlet_Switch(<greenlet>get_hub(), NULL, NULL)
        finally:
            self.writer = None
            self.first_left = self.second_left = 0
            if timer is not None:
                timer.stop()
                timer.close()
        return self.writer_result

    def _stalled(self):
        if self.writer is not None:
            self.wake_writer(TIMED_OUT)

    cdef int wake_writer(self, int result) except -1:
        cdef greenlet writer = self.writer
        self.writer = None
        self.writer_result = result
        return run_soon(writer.switch)

    cdef nghttp2_data_provider body(self) noexcept:
        """For nghttp2: what is sent on this stream comes from its pieces."""
        cdef nghttp2_data_provider provider
        provider.source.ptr = <void*>self
        provider.read_callback = read_pieces
        return provider

    cdef int finish(self) except? -100:
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
        return 0

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


# -- callbacks: they find the object and note what went wrong; the object does the rest --------------------------------

cdef int failed(Session session) noexcept:
    """An exception must not pass through nghttp2: it is kept, and ends the connection."""
    import sys
    session.failure = sys.exc_info()
    return NGHTTP2_ERR_CALLBACK_FAILURE


cdef int on_begin_headers(nghttp2_session* h2, const nghttp2_frame* frame, void* data) noexcept:
    cdef Session session = <Session>data
    cdef Http2Stream stream
    if frame.hd.type != NGHTTP2_HEADERS or frame.headers.cat != NGHTTP2_HCAT_REQUEST:
        return 0
    try:
        stream = session.make_stream()
        if stream is None:
            nghttp2_submit_rst_stream(h2, NGHTTP2_FLAG_NONE, frame.hd.stream_id, NGHTTP2_REFUSED_STREAM)
            return 0
        session.attach(stream, frame.hd.stream_id)
        nghttp2_session_set_stream_user_data(h2, frame.hd.stream_id, <void*>stream)
        return 0
    except BaseException:
        return failed(session)


cdef int on_header(
        nghttp2_session* h2, const nghttp2_frame* frame, const uint8_t* name, size_t name_length, const uint8_t* value,
        size_t value_length, uint8_t flags, void* data) noexcept:
    cdef void* stream = nghttp2_session_get_stream_user_data(h2, frame.hd.stream_id)
    if stream == NULL:
        return 0
    try:
        (<Http2Stream>stream).on_field(<const char*>name, name_length, <const char*>value, value_length)
        return 0
    except BaseException:
        return failed(<Session>data)


cdef int on_frame_recv(nghttp2_session* h2, const nghttp2_frame* frame, void* data) noexcept:
    cdef Session session = <Session>data
    cdef void* stream
    cdef bint last = frame.hd.flags & NGHTTP2_FLAG_END_STREAM
    try:
        if frame.hd.type == NGHTTP2_DATA or frame.hd.type == NGHTTP2_HEADERS:
            stream = nghttp2_session_get_stream_user_data(h2, frame.hd.stream_id)
            if frame.hd.type == NGHTTP2_DATA and frame.hd.length == frame.data.padlen and not last:
                session.charge()
            elif stream != NULL:
                heard(session, <Http2Stream>stream, frame, last)
        elif frame.hd.type == NGHTTP2_RST_STREAM or frame.hd.type == NGHTTP2_PRIORITY:
            session.charge()
        elif frame.hd.type == NGHTTP2_SETTINGS and not frame.hd.flags & NGHTTP2_FLAG_ACK:
            if session.settled:
                session.charge()
            session.settled = True
        elif frame.hd.type == NGHTTP2_GOAWAY:
            session.draining = True
        return 0 if session.fault == NULL else NGHTTP2_ERR_CALLBACK_FAILURE
    except BaseException:
        return failed(session)


cdef int heard(Session session, Http2Stream stream, const nghttp2_frame* frame, bint last) except -1:
    """A whole HEADERS or DATA frame of a stream."""
    if frame.hd.type == NGHTTP2_HEADERS:
        stream.on_head(frame.headers.cat, last)
    if last:
        stream.on_end()
    if frame.hd.type == NGHTTP2_HEADERS and frame.headers.cat == NGHTTP2_HCAT_REQUEST:
        session.serve(stream)
    return 0


cdef int on_data_chunk(
        nghttp2_session* h2, uint8_t flags, int32_t id, const uint8_t* chunk, size_t length, void* data) noexcept:
    cdef void* stream = nghttp2_session_get_stream_user_data(h2, id)
    try:
        if stream == NULL:
            nghttp2_session_consume_connection(h2, length)
        else:
            (<Http2Stream>stream).on_data(<const char*>chunk, length)
        return 0
    except BaseException:
        return failed(<Session>data)


cdef int on_stream_close(nghttp2_session* h2, int32_t id, uint32_t code, void* data) noexcept:
    cdef Session session = <Session>data
    cdef Http2Stream stream
    try:
        stream = session.streams.pop(id, None)
        if stream is not None:
            stream.on_close(code)
        return 0
    except BaseException:
        return failed(session)


cdef int on_invalid_frame(nghttp2_session* h2, const nghttp2_frame* frame, int code, void* data) noexcept:
    cdef Session session = <Session>data
    cdef void* stream = nghttp2_session_get_stream_user_data(h2, frame.hd.stream_id)
    try:
        if stream != NULL:
            (<Http2Stream>stream).on_malformed()
        return 0 if session.charge() else NGHTTP2_ERR_CALLBACK_FAILURE
    except BaseException:
        return failed(session)


cdef int on_invalid_header(
        nghttp2_session* h2, const nghttp2_frame* frame, const uint8_t* name, size_t name_length, const uint8_t* value,
        size_t value_length, uint8_t flags, void* data) noexcept:
    """A field with an illegal name or value makes its message malformed (RFC 9113 8.2.1); nghttp2 would drop it."""
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE


cdef int on_frame_not_send(nghttp2_session* h2, const nghttp2_frame* frame, int code, void* data) noexcept:
    """A request that cannot be sent any more (a GOAWAY came first) opened no stream that could be closed."""
    cdef Session session = <Session>data
    cdef Http2Stream stream
    if frame.hd.type != NGHTTP2_HEADERS or frame.headers.cat != NGHTTP2_HCAT_REQUEST:
        return 0
    try:
        stream = session.streams.pop(frame.hd.stream_id, None)
        if stream is not None:
            stream.on_close(NGHTTP2_REFUSED_STREAM)
        return 0
    except BaseException:
        return failed(session)


cdef ssize_t read_pieces(
        nghttp2_session* h2, int32_t id, uint8_t* buffer, size_t length, uint32_t* flags, nghttp2_data_source* source,
        void* data) noexcept:
    """How much the next DATA frame holds; send_frame copies it."""
    cdef Http2Stream stream = <Http2Stream>source.ptr
    cdef Py_ssize_t left = stream.first_left + stream.second_left
    if left == 0 and not stream.end_wanted:
        stream.deferred = True
        return NGHTTP2_ERR_DEFERRED
    flags[0] |= NGHTTP2_DATA_FLAG_NO_COPY
    if left <= <Py_ssize_t>length and stream.end_wanted:
        flags[0] |= NGHTTP2_DATA_FLAG_EOF
        stream.end_sent = True
        try:
            if stream.on_finish():
                flags[0] |= NGHTTP2_DATA_FLAG_NO_END_STREAM
        except BaseException:
            return failed(<Session>data)
    return min(left, <Py_ssize_t>length)


cdef int send_frame(
        nghttp2_session* h2, nghttp2_frame* frame, const uint8_t* header, size_t length, nghttp2_data_source* source,
        void* data) noexcept:
    """A DATA frame into the output, out of the writer's own buffers."""
    cdef Session session = <Session>data
    cdef Http2Stream stream = <Http2Stream>source.ptr
    cdef Py_ssize_t piece
    try:
        session.reserve(FRAME_HEADER + length)
    except BaseException:
        return failed(session)
    memcpy(session.out + session.out_end, header, FRAME_HEADER)
    session.out_end += FRAME_HEADER
    stream.written += length
    piece = min(<Py_ssize_t>length, stream.first_left)
    if piece:
        memcpy(session.out + session.out_end, stream.first, piece)
        session.out_end += piece
        stream.first += piece
        stream.first_left -= piece
        length -= piece
    if length:
        memcpy(session.out + session.out_end, stream.second, length)
        session.out_end += length
        stream.second += length
        stream.second_left -= length
    if stream.writer is not None and not stream.first_left and not stream.second_left:
        try:
            stream.wake_writer(0)
        except BaseException:
            return failed(session)
    return 0


cdef ssize_t frame_length(
        nghttp2_session* h2, uint8_t frame_type, int32_t id, int32_t connection_window, int32_t stream_window,
        uint32_t largest, void* data) noexcept:
    return min(min(connection_window, stream_window), min(<int32_t>largest, FRAME))


cdef nghttp2_session_callbacks* make_callbacks() except NULL:
    cdef nghttp2_session_callbacks* made = NULL
    if nghttp2_session_callbacks_new(&made):
        raise MemoryError
    nghttp2_session_callbacks_set_on_begin_headers_callback(made, on_begin_headers)
    nghttp2_session_callbacks_set_on_header_callback(made, on_header)
    nghttp2_session_callbacks_set_on_frame_recv_callback(made, on_frame_recv)
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(made, on_data_chunk)
    nghttp2_session_callbacks_set_on_stream_close_callback(made, on_stream_close)
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(made, on_invalid_frame)
    nghttp2_session_callbacks_set_on_invalid_header_callback(made, on_invalid_header)
    nghttp2_session_callbacks_set_on_frame_not_send_callback(made, on_frame_not_send)
    nghttp2_session_callbacks_set_send_data_callback(made, send_frame)
    nghttp2_session_callbacks_set_data_source_read_length_callback(made, frame_length)
    return made


cdef nghttp2_option* make_options() except NULL:
    cdef nghttp2_option* made = NULL
    if nghttp2_option_new(&made):
        raise MemoryError
    nghttp2_option_set_no_auto_window_update(made, 1)
    nghttp2_option_set_no_closed_streams(made, 1)
    nghttp2_option_set_max_settings(made, PREFACE_MAX_SETTINGS)
    return made
