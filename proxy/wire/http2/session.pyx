# distutils: libraries = nghttp2
"""HTTP/2 connections over any byte stream (RFC 9113, by libnghttp2).

One greenlet runs a connection (`run`): it reads, gives the bytes to nghttp2, and wakes the greenlets of the streams on
which something came. What is received is input.pyx, what is sent output.pyx, the streams are stream.pyx.

* A connection that is silent is asked (PING) every `patience`, and given up when two were not answered.
* A graceful end is two GOAWAYs (6.8): `shutdown` asks for no more streams, `refuse_new` takes no more.
"""

from libc.stdint cimport int32_t

from proxy.clock cimport monotonic_ns
from proxy.wire.http2.closed cimport excuse_all
from proxy.wire.http2.flow cimport CONNECTION_WINDOW, FIRST_WINDOW, STILL_NS, crowded
from proxy.wire.http2.input cimport HEADER_LIST, Input, client_options, input_callbacks, input_options
from proxy.wire.http2.nghttp2 cimport *
from proxy.wire.http2.stream cimport Http2Stream
from proxy.wire.stream cimport CANCELLED, TIMED_OUT, Deadlines, Stream, get_hub

cdef enum:
    UNSETTLED_STREAMS = 100     # of ours before the peer's SETTINGS have come: RFC 9113 6.5.2 recommends no less
    UNANSWERED_PINGS = 2
    LAST_WORDS_SECONDS = 1      # they are there, if there are any


cdef class Session(Input):
    """One HTTP/2 connection. Subclasses say what its streams are and who serves them."""

    def __cinit__(self):
        self.most_streams = UNSETTLED_STREAMS

    cdef int open(self) except -1:
        """Makes the session and its first frames."""
        cdef nghttp2_settings_entry[4] settings
        if self.server:
            self.idle_since = monotonic_ns()
            nghttp2_session_server_new2(&self.h2, input_callbacks, <void*>self, input_options)
            settings[0].settings_id, settings[0].value = NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, MAX_STREAMS
        else:
            nghttp2_session_client_new2(&self.h2, input_callbacks, <void*>self, client_options)
            settings[0].settings_id, settings[0].value = NGHTTP2_SETTINGS_ENABLE_PUSH, 0
        if self.h2 == NULL:
            raise MemoryError
        settings[1].settings_id, settings[1].value = NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, FIRST_WINDOW
        settings[2].settings_id, settings[2].value = NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HEADER_LIST
        nghttp2_submit_settings(self.h2, NGHTTP2_FLAG_NONE, settings, 3)
        nghttp2_session_set_local_window_size(self.h2, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW)
        return self.pull()

    # -- reading ------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Serves the connection to its end. What the transport's buffer already holds comes first."""
        cdef Stream transport = self.transport
        cdef Py_ssize_t got
        transport.consumer = self
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
            self.hear_last()
        finally:
            self.end()

    def hear_last(self) -> None:
        """What we wrote met a reset: what the peer had said before that (GOAWAY, an alert of TLS) lies in the buffer still,
        and is why."""
        cdef Stream transport = self.transport
        if not self.broken or transport.error == 0 or self.fault != NULL or self.failure is not None:
            return
        timer = get_hub().loop.timer(LAST_WORDS_SECONDS)
        timer.start(transport.time_out)
        transport.release()
        while self.fault == NULL and self.failure is None and transport.fill() > 0:
            self.receive()
            transport.release()
        timer.stop()
        timer.close()

    cdef int hear_silence(self) except -1:
        """Nothing has come for as long as patience says: 1 if the peer is asked once more, 0 if it is given up."""
        if self.pings >= UNANSWERED_PINGS:
            self.fault, self.fault_code = b"no answer to PING", NGHTTP2_NO_ERROR
            return 0
        self.pings += 1
        nghttp2_submit_ping(self.h2, NGHTTP2_FLAG_NONE, NULL)
        self.leave_if_idle()
        self.pull()
        return 1

    cdef int look_whether_crowded(self) except -1:
        """The server's side, when a stream is opened: streams that nobody reads have taken the connection for a while, so
        the next are better off on another one, and the client is told so. Those that come are served."""
        if (self.tight_since or self.stuck_since) and not self.draining and crowded(self, STILL_NS):
            return self.shutdown()
        return 0

    cdef void take_on(self) noexcept:
        """One more stream of the peer's is served."""
        self.running += 1
        self.idle_since = 0

    cdef void let_off(self) noexcept:
        """One less."""
        self.running -= 1
        if self.running == 0:
            self.idle_since = monotonic_ns()

    cdef int leave_if_idle(self) except -1:
        """A peer that is there, but has wanted nothing for too long, is left."""
        if self.idle_since and 0 < self.idle_ns < monotonic_ns() - self.idle_since:
            self.shutdown()
            self.refuse_new()
        return 0

    # -- the end ------------------------------------------------------------------------------------------------------

    cdef int shutdown(self) except -1:
        """Begins to drain: the peer is told to open no more streams here; those there are go on (RFC 9113 6.8)."""
        if self.draining or self.h2 == NULL:
            return 0
        self.draining = True
        if self.server:
            nghttp2_submit_shutdown_notice(self.h2)
        return self.pull()

    def refuse_new(self) -> None:
        """The second GOAWAY of a graceful shutdown: what was opened until now is served, and nothing after it."""
        if self.h2 != NULL and not self.refusing:
            self.refusing = True
            excuse_all(&self.closed)
            nghttp2_submit_goaway(self.h2, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(self.h2),
                                  NGHTTP2_NO_ERROR, NULL, 0)
            self.pull()
            self.look_whether_over()

    cdef int end(self) except -1:
        """The connection is over, and every stream on it with it."""
        cdef Http2Stream stream
        if self.fault != NULL and not self.broken:
            nghttp2_session_terminate_session(self.h2, self.fault_code)
        if not self.broken and not self.sending:
            self.pull()
            if self.out.end != self.out.start:
                self.transport.put_now(self.out.bytes + self.out.start, self.out.end - self.out.start)
        self.broken = self.draining = True
        for stream in list(self.streams.values()):
            stream.on_close(NGHTTP2_INTERNAL_ERROR)
        self.streams.clear()
        nghttp2_session_del(self.h2)
        self.h2 = NULL
        self.transport.consumer = None
        self.transport.close()
        self.wake()
        return 0

    cdef bint has_room(self) noexcept:
        """The client's side: whether the peer takes one more stream now."""
        if self.h2 == NULL or self.draining or not self.going_on() or not nghttp2_session_check_request_allowed(self.h2):
            return False
        if self.settled:
            self.most_streams = min(
                nghttp2_session_get_remote_settings(self.h2, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS),
                <uint32_t>MAX_STREAMS)
        return <uint32_t>len(self.streams) < self.most_streams

    cdef int32_t left(self) noexcept:
        """How much of the peer's window for the connection is left."""
        return nghttp2_session_get_remote_window_size(self.h2) if self.h2 != NULL else 0
