"""Byte streams as the request path sees them: read into one buffer, written straight out, in blocking style on
greenlets.

A stream owns one read buffer, `buffer[start:end]` being what has arrived and was not consumed. `fill` waits for more
and says how much came; `put` returns when everything is handed to the kernel (or to the tunnel underneath). Both
return one of the `Io` codes, as broken connections are the normal case of a proxy.
* At most one greenlet reads a stream and at most one writes it. While nobody reads, what happens on it goes to
  `listener`.
* The buffer is there only while something is in it, or about to be: an idle connection owns none. `pinned` bytes at its
  beginning stay where they are while the rest is consumed and refilled.
* A read deadline is armed by whoever waits, from one of the worker's `Deadlines`; it is absolute: no byte moves it.
"""

from libc.stdint cimport INT64_MAX
from libc.string cimport memmove

from proxy.clock cimport COARSE_NS, coarse_ns, monotonic_ns
from proxy.wire.buffers cimport free_buffer, more_room
from proxy.wire.greenlets cimport PyGreenlet_GetCurrent, PyGreenlet_Import, PyGreenlet_Switch, greenlet

import sys
import gevent

PyGreenlet_Import()

cdef object _hub = None             # of this process's only gevent thread
cdef object _check = None           # runs after each poll
cdef int64_t _polls = 0
cdef object _run_callback = None
cdef list _sleepers = None          # to be woken; None: none, and nothing is scheduled


cdef object get_hub():
    global _hub
    if _hub is None:
        _hub = gevent.get_hub()
    return _hub


cdef greenlet current():
    return PyGreenlet_GetCurrent()


cdef int64_t polls() except -1:
    """How often the event loop has asked the kernel what is there."""
    global _check
    if _check is None:
        _check = get_hub().loop.check(ref=False)
        _check.start(count_poll)
    return _polls


def count_poll() -> None:
    global _polls
    _polls += 1


cdef int run_soon(object callback) except -1:
    """Runs `callback` in the hub before the next poll."""
    global _run_callback
    if _run_callback is None:
        _run_callback = get_hub().loop.run_callback
    _run_callback(callback)
    return 0


cdef int wake_soon(greenlet sleeper) except -1:
    """Switches to a greenlet that waits in the hub, before the next poll: all woken together in one callback."""
    global _sleepers
    if _sleepers is None:
        _sleepers = []
        run_soon(wake_all)
    _sleepers.append(sleeper)
    return 0


def wake_all() -> None:
    global _sleepers
    cdef list sleepers = _sleepers
    cdef greenlet sleeper
    _sleepers = None
    for sleeper in sleepers:
        try:
            PyGreenlet_Switch(sleeper, NULL, NULL)
        except BaseException:
            get_hub().handle_error(sleeper, *sys.exc_info())


cdef class IdleListener:
    """Told what happens on a stream while nobody reads it."""

    cdef int idle_event(self, Stream stream, int event) except -1:
        raise NotImplementedError


cdef class Permit:
    """What a stream may have that others may not have meanwhile."""

    cdef int release(self) except -1:
        """It has been closed."""
        raise NotImplementedError


cdef class Consumer:
    """Takes what arrives on a stream piece by piece, while it is in the processor's cache. May not switch."""

    cdef int consume(self, Stream stream) except -1:
        """Takes what is in the stream's buffer."""
        raise NotImplementedError


cdef class Deadlines:
    """Streams that wait for the same time, in order of expiry; `duration` is in ns of CLOCK_MONOTONIC; 0: no limit."""

    def __init__(self, double seconds):
        self.duration = <int64_t>(seconds * 1e9)

    cdef int add(self, Stream stream) except -1:
        stream.deadline = coarse_ns() + COARSE_NS + self.duration       # never too early
        stream.deadlines = self
        stream.before = self.last
        stream.after = None
        if self.last is None:
            self.first = stream
        else:
            self.last.after = stream
        self.last = stream
        return 0

    cdef int remove(self, Stream stream) except -1:
        if stream.before is None:
            self.first = stream.after
        else:
            stream.before.after = stream.after
        if stream.after is None:
            self.last = stream.before
        else:
            stream.after.before = stream.before
        stream.before = stream.after = None
        stream.deadlines = None
        return 0

    cdef int expire(self, int64_t now) except -1:
        """Times out what is due; called by the worker's tick."""
        cdef Stream stream = self.first
        while stream is not None and stream.deadline <= now:
            self.remove(stream)
            if stream.reader is not None:
                stream.end_read(TIMED_OUT)
            elif stream.listener is not None:
                stream.listener.idle_event(stream, IDLE_TOO_LONG)
            else:
                stream.timed_out = True
            stream = self.first
        return 0

    cdef int end_unheard(self, int64_t now) except -1:
        """Ends with FAILED the waits for peers whose hosts acknowledge nothing: the kernel would go on for 15 minutes."""
        cdef Stream stream = self.first
        cdef Stream following
        while stream is not None and now - stream.deadline + self.duration > <int64_t>UNHEARD_MS * 1_000_000:
            following = stream.after
            if stream.reader is not None and stream.unheard_ms() > UNHEARD_MS:
                self.remove(stream)
                stream.end_read(FAILED)
            stream = following
        return 0

    def tick(self) -> None:
        """Times out what is due now."""
        if self.duration:
            self.expire(monotonic_ns())

    def end_all(self) -> None:
        """Times out everything, due or not: the worker drains."""
        self.expire(INT64_MAX)

    def __len__(self) -> int:
        cdef Stream stream = self.first
        cdef Py_ssize_t n = 0
        while stream is not None:
            n += 1
            stream = stream.after
        return n


cdef class Stream:
    """The buffer and the waiting; subclasses move the bytes."""

    def __dealloc__(self):
        free_buffer(self.buffer, self.capacity)
        self.buffer = NULL

    cdef Py_ssize_t fill(self) except? RAISED:
        """Waits until more has arrived: how many bytes, or END, FAILED, TIMED_OUT, CANCELLED."""
        raise NotImplementedError

    cdef Py_ssize_t fill_now(self) except? RAISED:
        """As `fill`, of what is here already: 0 if that is nothing, or the end. To be called while nobody reads."""
        return 0

    cdef int put(self, const char* data, Py_ssize_t length) except? RAISED:
        """Writes all of it, waiting as needed: 0, FAILED or TIMED_OUT. `data` must stay valid while it waits."""
        raise NotImplementedError

    cdef int put_two(
            self, const char* volatile_head, Py_ssize_t head_length, const char* data, Py_ssize_t length) except? RAISED:
        """Writes both in one go. `volatile_head` may be overwritten by others as soon as this waits; `data` may not."""
        raise NotImplementedError

    cdef int put_request(
            self, const char* source, Head head, Edits edits, bytes path, const char* lines, Py_ssize_t lines_length,
            const char* data, Py_ssize_t length, Stream giver, bint last) except? RAISED:
        """In HTTP/2: the head at `source`, changed, and `lines` (http1.write_request_lines); then as put_two, or put_piece."""
        raise NotImplementedError

    cdef int put_response(
            self, const char* source, Head head, bint rechunk, Edits edits, const char* lines, Py_ssize_t lines_length,
            const char* data, Py_ssize_t length, Stream giver, bint last) except? RAISED:
        """The same, of a final response. `rechunk`: its body is put in chunks, whatever the head says."""
        raise NotImplementedError

    cdef int put_piece(self, const char* data, Py_ssize_t length, Stream ending) except? RAISED:
        """In HTTP/2: a piece of a body, as `put`, and the end of the message if that of `ending` (else None) is its own."""
        raise NotImplementedError

    cdef Py_ssize_t put_now(self, const char* data, Py_ssize_t length) except? RAISED:
        """Writes what can be written without waiting: how many bytes that were, or FAILED."""
        raise NotImplementedError

    cdef Py_ssize_t put_now_both(
            self, const char* first, Py_ssize_t first_length, const char* second, Py_ssize_t length) except? RAISED:
        """As put_now, of two pieces in a row; the first one consists of whole records."""
        raise NotImplementedError

    cdef int finish(self) except? RAISED:
        """Sends our end (a FIN); the other direction goes on."""
        raise NotImplementedError

    cdef int close(self) except -1:
        raise NotImplementedError

    cdef int abort(self) except -1:
        """Closes so that the peer sees a reset, not an end."""
        return self.close()

    cdef int watch(self) except -1:
        """Lets `listener` know what happens while nobody reads."""
        raise NotImplementedError

    cdef int look(self) except -1:
        """An IdleEvent: what has happened on it until now that nobody has read, QUIET: nothing. May let others run."""
        return QUIET if self.alive() else PEER_CLOSED

    cdef bint was_quiet(self) except -1:
        """Whether nothing had come that nobody has read when the event loop last polled. False: not known, or not free."""
        return False

    cdef bint alive(self) noexcept:
        """Whether the peer has neither closed nor sent anything; a cheap look, not a promise."""
        return False

    cdef bint pending(self) noexcept:
        """Whether there is something to read that has not been read from below."""
        return False

    # -- what a stream may share with others: its connection ----------------------------------------------------------

    cdef bint put_away(self) except -1:
        """Everything asked for has been answered. True: that was the only message it can carry, and it is closed."""
        return False

    cdef bint leaving(self) noexcept:
        """Whether the connection that carries it is to end with the streams it has."""
        return False

    cdef bint crowded(self, int64_t for_ns) noexcept:
        """Whether the connection that carries it has for so long been used up by streams that nobody reads."""
        return False

    cdef int how_it_ended(self) noexcept:
        """An Ending, for whom reading has ended by itself."""
        return CONNECTION_ENDED

    cdef bint was_ignored(self) noexcept:
        """Whether the peer certainly did nothing with what was put."""
        return False

    cdef int64_t unheard_ms(self) noexcept:
        """How long the peer's host has not acknowledged what was sent to it; 0 if there is nothing of that kind."""
        return 0

    cdef bint first_loss(self, int who) except -1:
        """Whether it is the first that `who` loses with the connection that carried it and others."""
        return True

    cdef str last_word(self):
        """Why the connection ended, a few words for the log."""
        return "connection closed"

    # -- the end of a message in HTTP/2 -------------------------------------------------------------------------------

    cdef bint at_end(self) noexcept:
        """Whether a message that comes in pieces has ended, with what is in the buffer."""
        return False

    cdef Head trailers(self, const char** text, Py_ssize_t* length):
        """Those it ended with; at `text` they are laid out, as a last chunk has them. None: it has none."""
        return None

    cdef bint may_have_trailers(self) noexcept:
        """Whether a message of known length, whose body is here, is yet to end, or has ended with trailers."""
        return False

    cdef bint leave_open(self) noexcept:
        """The message that is put will end by put_piece, not with the last byte of its length. False: it will not."""
        return False

    # -- the buffer ---------------------------------------------------------------------------------------------------

    cdef int make_room(self, Py_ssize_t wanted) except -1:
        """At least `wanted` free bytes behind `end`, by moving and then growing."""
        if self.buffer == NULL:
            self.start = self.end = self.pinned = 0
        if self.start == self.end:
            self.start = self.end = self.pinned
        if self.capacity - self.end >= wanted:
            return 0
        if self.start > self.pinned:
            memmove(self.buffer + self.pinned, self.buffer + self.start, self.end - self.start)
            self.end -= self.start - self.pinned
            self.start = self.pinned
        self.buffer = more_room(self.buffer, self.end, &self.capacity, wanted)
        return 0

    cdef void release(self) noexcept:
        """Gives the buffer back if nothing is in it."""
        if self.buffer != NULL and self.start == self.end and self.pinned == 0:
            free_buffer(self.buffer, self.capacity)
            self.buffer = NULL
            self.capacity = self.start = self.end = 0

    cdef int wait_readable(self) except? RAISED:
        """Switches away until wake_reader is called; returns what it was given: READY, or a negative Io."""
        if self.timed_out:
            self.timed_out = False
            return TIMED_OUT
        self.reader = PyGreenlet_GetCurrent()
        PyGreenlet_Switch(<greenlet>get_hub(), NULL, NULL)
        return self.reader_result

    cdef int wake_reader(self, int result) except -1:
        """Runs the reader now; to be called in the hub."""
        cdef greenlet reader = self.reader
        if reader is not None:
            self.reader = None
            self.reader_result = result
            PyGreenlet_Switch(reader, NULL, NULL)
        return 0

    cdef int cancel_read(self) except -1:
        return self.end_read(CANCELLED)

    cdef int end_read(self, int result) except -1:
        """Ends the wait of whoever reads this stream with `result`, soon; callable from any greenlet."""
        cdef greenlet reader = self.reader
        if reader is not None:
            self.reader = None
            self.reader_result = result
            wake_soon(reader)
        return 0

    def time_out(self) -> None:
        """Ends the wait of whoever reads with TIMED_OUT; between two waits, the next one."""
        if self.reader is None:
            self.timed_out = True
        self.end_read(TIMED_OUT)

    cdef int give_up_permit(self) except -1:
        """For `close`, when nothing of the stream is left."""
        cdef Permit permit = self.permit
        if permit is not None:
            self.permit = None
            permit.release()
        return 0

    cdef int arm(self, Deadlines deadlines) except -1:
        """From now on the reader has `deadlines.duration` until it is told TIMED_OUT."""
        if self.deadlines is not None:
            self.deadlines.remove(self)
        self.timed_out = False
        if deadlines.duration:
            deadlines.add(self)
        return 0

    cdef int disarm(self) except -1:
        if self.deadlines is not None:
            self.deadlines.remove(self)
        self.timed_out = False
        return 0
