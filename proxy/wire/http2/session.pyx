# distutils: libraries = nghttp2
"""HTTP/2 connections over any byte stream (RFC 9113, by libnghttp2).

One greenlet runs a connection (`run`): it reads, gives the bytes to nghttp2, and wakes the greenlets of the streams on
which something came. What is received is input.pyx, what is sent output.pyx, the streams are stream.pyx.

* A connection that is silent is asked (PING) every `patience`, and given up when two were not answered, or with
  `last_patience` when one was not for so long.
* A graceful end is two GOAWAYs (6.8): `shutdown` asks for no more streams, `refuse_new` takes no more.
"""

from libc.stdint cimport int32_t, uint32_t

from proxy.clock cimport monotonic_ns
from proxy.wire.http2.callbacks cimport client_options, input_callbacks, input_options
from proxy.wire.http2.closed cimport excuse_all
from proxy.wire.http2.flow cimport CONNECTION_WINDOW, STILL_NS, first_window
from proxy.wire.http2.input cimport HEADER_LIST, Input
from proxy.wire.http2.nghttp2 cimport *
from proxy.wire.http2.output cimport may_go_on
from proxy.wire.http2.stream cimport Http2Stream
from proxy.wire.stream cimport CANCELLED, TIMED_OUT, Deadlines, Stream, get_hub

cdef enum:
    UNSETTLED_STREAMS = 100     # of ours before the peer's SETTINGS have come: RFC 9113 6.5.2 recommends no less
    UNANSWERED_PINGS = 2
    LAST_WORDS_SECONDS = 1      # they are there, if there are any
    NARROW = 16384              # a window below this takes no answer worth asking for
    MANY_ANSWERS = 20           # from so many on that wait for one client it is looked at whether it takes anything
    UNREAD_ANSWERS = 100        # answers that wait for one client before its further requests wait too, ...
    FIRST_LOT = 20              # ... and for one that has taken none yet and would not take much
    WIDE = 262144               # a window from which on it would
    DOUBTFUL = 2 * FIRST_LOT    # begun for all clients of which that is not known, before it is waited for longer
    PATIENT = 2                 # how often that wait is doubled: who only waits for answers waits a third of a second more

cdef double LOT_SECONDS = 0.05
cdef int64_t STANDING_NS = 10_000_000_000


cdef class Session(Input):
    """One HTTP/2 connection. Subclasses say what its streams are and who serves them."""

    def __cinit__(self):
        self.most_streams = UNSETTLED_STREAMS
        self.epoch = 1
        self.lot = FIRST_LOT
        self.beside = set()

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
        settings[1].settings_id, settings[1].value = NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, <uint32_t>first_window(self)
        settings[2].settings_id, settings[2].value = NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HEADER_LIST
        settings[3].settings_id, settings[3].value = NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1
        nghttp2_submit_settings(self.h2, NGHTTP2_FLAG_NONE, settings, 4 if self.extends else 3)
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
                    transport.arm(self.patience if self.pings == 0 or self.last_patience is None else self.last_patience)
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
        if self.pings >= (UNANSWERED_PINGS if self.last_patience is None else 1):
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
        if (self.tight_since or self.stuck_since) and not self.draining and self.crowded(STILL_NS):
            return self.shutdown()
        return 0

    cdef void take_on(self) noexcept:
        """One more stream of the peer's is served."""
        self.running += 1
        self.idle_since = 0

    cdef int let_off(self, Http2Stream stream) except -1:
        """One less."""
        self.count_off(stream)
        return self.pull() if self.queue else 0

    cdef int count_off(self, Http2Stream stream) except -1:
        self.running -= 1
        if self.running == 0:
            self.idle_since = monotonic_ns()
        if stream.narrow:
            stream.narrow = False
            self.narrow -= 1
        self.doubtful = max(self.doubtful - 1, 0)
        if stream.end_sent:
            self.moved = True
            self.lot = min(self.lot + 1, UNREAD_ANSWERS)
            if self.patient:        # it reads: the next lot need not wait for so long
                self.patient = 0
                self.wait_for_lot()
        stream.grow_up()
        may_go_on(self)
        return 0

    # -- clients that read nothing ------------------------------------------------------------------------------------

    cdef int begin_stream(self, Http2Stream stream) except -1:
        """Has the stream served, soon. May not switch."""
        return 0

    cdef int serve_in_turn(self, Http2Stream stream) except -1:
        """Has it served as soon as its client may be expected to read the answer."""
        self.take_on()
        if self.may_begin(stream):
            return self.begin_stream(stream)
        stream.queued = True
        self.queue.append(stream)
        if self.timer is None and self.stall_ns:
            self.timer = get_hub().loop.timer(self.stall_ns / 1e9, self.stall_ns / 1e9)
            self.timer.start(self.refuse_waiting)
        return self.take_breath()

    cdef bint may_begin(self, Http2Stream stream) noexcept:
        """An answer that nobody reads costs memory here, in the kernel and at the endpoint: so what a client asks for and
        cannot take, or while so many of its answers wait for it, is begun for a few of its streams only. Many requests
        at once are begun in lots, for of none it is known yet whether its answer will be read."""
        if self.has_turns() and nghttp2_session_get_stream_remote_window_size(self.h2, stream.id) >= NARROW:
            self.young += 1
            self.doubtful += 1
            stream.epoch = self.epoch
            return True
        if self.narrow >= NARROW_STREAMS:
            return False
        self.narrow += 1
        stream.narrow = True
        return True

    cdef bint has_turns(self) noexcept:
        """Whether one more may be begun whose stream has a window."""
        return not (self.unreading and self.waiting) and self.waiting + self.young < most_of(self)

    cdef int take_breath(self) except -1:
        """Those that have not answered for a moment are slow: the next lot need not wait for them. But if some have, and
        wait for their client, that has to take something first."""
        if self.pace is None and self.young and self.waiting + self.young >= most_of(self):
            self.moved = self.spoken = False
            self.wait_for_lot()
        return 0

    cdef int wait_for_lot(self) except -1:
        if self.pace is not None:
            self.pace.close()
        self.pace = get_hub().loop.timer(LOT_SECONDS * (1 << self.patient))
        self.pace.start(self.begin_lot)
        return 0

    def begin_lot(self) -> None:
        if self.is_in_doubt() and self.patient < PATIENT:
            self.patient += 1
            self.wait_for_lot()
            return
        self.pace.close()
        self.pace = None
        self.patient = 0
        self.unreading = not self.moved and 2 * self.waiting >= most_of(self)
        if self.moved or self.waiting == 0:
            self.doubtful = self.waiting
            self.lot = min(2 * self.lot, UNREAD_ANSWERS)
        self.moved = self.spoken = False
        self.epoch += 1
        self.young = 0
        self.thaw = True
        self.pull()

    cdef bint is_in_doubt(self) except -1:
        """Whether nothing was taken since the last lot was begun, no answer whole and no window given, and of all clients of
        which it is not known that they read so much has been begun that it should be known first. Answers that have begun,
        of which nothing waits, are read as far as they go."""
        cdef Session other
        cdef int begun = 0 if self in self.beside else self.doubtful
        if self.moved or self.spoken and self.waiting == 0 or self.lot == UNREAD_ANSWERS:
            return False
        for other in self.beside:
            if other.lot < UNREAD_ANSWERS:
                begun += other.doubtful
        return begun >= DOUBTFUL

    cdef void doubt_less(self) noexcept:
        """To be told a few times a second: what was begun a while ago and says nothing takes long, and nothing else."""
        self.doubtful = max(self.doubtful - self.doubtful // 8 - 1, self.waiting)

    cdef int go_on(self) except -1:
        Input.go_on(self)
        return self.advance() if self.queue else 0

    cdef int advance(self) except -1:
        """Those have their turn that may be begun now, in their order. Who frees places again and again must not have all
        of them looked at each time: nobody is while there is no place, and those that have ended go when they are half."""
        cdef Http2Stream stream
        cdef list queue = self.queue
        cdef Py_ssize_t at = 0
        cdef list kept = []
        self.queue = []                     # what ends meanwhile finds none that could have its turn
        if 2 * self.gone >= len(queue):
            queue = self.without_gone(queue)
        while at < len(queue) and (self.narrow < NARROW_STREAMS or self.has_turns()):
            stream = queue[at]
            at += 1
            if not stream.live:
                self.let_go(stream)
            elif self.may_begin(stream):
                stream.queued = False
                self.begin_stream(stream)
            else:
                kept.append(stream)
        self.queue = kept + queue[at:]
        return self.take_breath() if self.queue else 0

    cdef list without_gone(self, list queue):
        cdef Http2Stream stream
        cdef list left = [stream for stream in queue if stream.live]
        for stream in queue:
            if not stream.live:
                self.let_go(stream)
        return left

    cdef int let_go(self, Http2Stream stream) except -1:
        """It has ended before it had its turn."""
        self.gone -= 1
        stream.queued = False
        stream.close()
        return self.count_off(stream)

    def refuse_waiting(self) -> None:
        """Nothing was done with those that have waited for as long as a writer would: the client may ask again."""
        cdef Http2Stream stream
        for stream in list(self.queue):
            if stream.overdue:
                stream.reset(NGHTTP2_REFUSED_STREAM)
            stream.overdue = True
        if not self.queue:
            self.stop_timers()

    cdef bint stands(self, int64_t now) noexcept:
        """Whether many answers wait, and their client has taken next to nothing for a while: it must have given more room,
        or the transport must have taken something. To be asked now and then."""
        if self.waiting < MANY_ANSWERS:
            self.standing_since = 0
            return False
        if self.standing_since == 0 or self.granted - self.granted_then >= NARROW or self.stuck_since > self.standing_since:
            self.standing_since, self.granted_then = now, self.granted
        return now - self.standing_since >= STANDING_NS

    cdef int give_up(self, int but) except -1:
        """Ends the answers that wait, the newest first, but for so many."""
        cdef Http2Stream stream
        for stream in list(self.streams.values()):
            if stream.writer is not None:
                but -= 1
                if but < 0:
                    stream.wake_writer(TIMED_OUT)
        return 0

    cdef int stop_timers(self) except -1:
        if self.timer is not None:
            self.timer.close()
        if self.pace is not None:
            self.pace.close()
        self.timer = self.pace = None
        return 0

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
        if self.settling is not None:
            self.settling.set()
        self.stop_timers()
        self.running -= len(self.queue)
        self.queue.clear()
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


cdef int most_of(Session session) noexcept:
    """How many answers may be under way or wait for a client before more are asked for. The first lots of one that takes
    little at a time are small, and each answer that has gone makes the next one larger; who takes much pays for it."""
    if session.h2 == NULL or nghttp2_session_get_remote_settings(
            session.h2, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE) >= WIDE:
        return UNREAD_ANSWERS
    return session.lot
