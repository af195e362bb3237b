"""TCP sockets as streams, straight on the descriptor.

The read watcher is started once and stays: while a greenlet reads, its firing resumes that greenlet; while none does,
it is told to the listener, or stopped when data simply waits its turn. So a request costs one recv and one send on each
side and no system call about polling. Reading comes after the wake-up, never before it: no recv only to learn EAGAIN.
But what was accepted is read at once, for a request is often there, and then a short connection is over before the loop
need hear of it: who only wants to know whether the peer leaves meanwhile (`watch`) is told a moment later.
"""

from libc.errno cimport EAGAIN, ECONNRESET, EINTR, errno
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy
from posix.unistd cimport close as close_fd

from proxy.wire.address cimport socklen_t
from proxy.wire.buffers cimport LARGE
from proxy.wire.passage cimport NO_WAY
from proxy.wire.sockets cimport *
from proxy.wire.stream cimport (
    DATA_WAITS,
    END,
    FAILED,
    PEER_CLOSED,
    PEER_RESET,
    QUIET,
    RAISED,
    READY,
    TIMED_OUT,
    current,
    get_hub,
)
from proxy.wire.greenlets cimport PyGreenlet_Import, PyGreenlet_Switch, greenlet

cdef extern from "string.h" nogil:
    void* memset(void*, int, size_t)

PyGreenlet_Import()

# Bytes read in a row before other connections get their turn.
cdef enum:
    BURST = 262144
    JOINED = 4096
cdef char joined[JOINED]            # two pieces that are sent as one; free again at once
cdef int READ = 1, WRITE = 2
cdef int MORE_LATER = MSG_NOSIGNAL | MSG_MORE
cdef double LATER = 0.02


cdef class TcpStream(Stream):
    """A connected, non-blocking TCP socket. Owns the descriptor."""

    def __cinit__(self):
        self.fd = -1

    def __dealloc__(self):
        if self.fd >= 0:
            close_fd(self.fd)

    # -- reading ------------------------------------------------------------------------------------------------------

    cdef Py_ssize_t fill(self) except? RAISED:
        cdef Py_ssize_t n, room
        cdef int woken
        if self.closed:
            return FAILED
        if self.eof:
            return END
        while True:
            if not self.more:
                if not self.watching:
                    self.start_watching()
                woken = self.wait_readable()
                if woken != READY:
                    return woken
                if self.closed:
                    return FAILED
                self.burst = 0
            n = self.read_once(&room)
            if n > 0:
                # A full buffer says there is more: read on without waiting, into a larger one, unless others wait.
                self.burst += n
                self.more = n == room and self.burst < BURST
                return n
            self.more = False
            if n == 0:
                self.eof = True
                return END
            if errno != EAGAIN and errno != EINTR:
                self.error = errno
                self.eof = True
                return FAILED
            self.release()

    cdef Py_ssize_t read_once(self, Py_ssize_t* room) except? RAISED:
        """As recv, of as many bytes as there is room for: into the passage, if they may pass, else into the buffer."""
        cdef Py_ssize_t n
        if self.passage is not None:
            room[0] = self.passage.offered
            n = self.passage.take_in(self.fd) if room[0] else NO_WAY
            if n != NO_WAY:
                return n
            self.passage.used = False
        self.make_room(LARGE if self.burst else 2048)
        room[0] = self.capacity - self.end
        if self.sip:
            room[0] = min(room[0], self.sip)
        n = recv(self.fd, self.buffer + self.end, room[0], 0)
        if n > 0:
            self.end += n
            self.sipped = self.sip > 0 and n == room[0]
            self.sip = 0
        return n

    cdef Py_ssize_t fill_now(self) except? RAISED:
        cdef Py_ssize_t n
        if self.closed or self.eof:
            return 0
        self.make_room(2048)
        n = recv(self.fd, self.buffer + self.end, self.capacity - self.end, MSG_DONTWAIT)
        if n > 0:
            self.end += n
            return n
        if n < 0 and (errno == EAGAIN or errno == EINTR):
            return 0
        self.error = errno if n < 0 else 0
        self.eof = True
        return 0

    cdef int start_watching(self) except -1:
        if self.watcher is None:
            self.watcher = get_hub().loop.io(self.fd, READ)
        self.watcher.start(self._readable)
        self.watching = True
        return 0

    cdef int stop_watching(self) except -1:
        if self.watching:
            self.watcher.stop()
            self.watching = False
        return 0

    cdef int watch(self) except -1:
        if not self.watching and not self.closed:
            watch_later(self)
        return 0

    def _readable(self) -> None:
        cdef int event
        if self.reader is not None:
            self.wake_reader(READY)
            return
        if self.listener is None:
            self.stop_watching()
            return
        event = self.look()
        if event != QUIET:
            self.stop_watching()
            self.listener.idle_event(self, event)

    cdef int look(self) except -1:
        cdef char byte
        cdef ssize_t n = recv(self.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT)
        if n < 0 and errno == EAGAIN:
            return QUIET
        if n < 0:
            self.error = errno
            return PEER_RESET
        return DATA_WAITS if n > 0 else PEER_CLOSED

    cdef bint was_quiet(self) except -1:
        return self.watching and not self.watcher.pending

    cdef bint alive(self) noexcept:
        return self.look() == QUIET

    cdef bint pending(self) noexcept:
        return self.look() == DATA_WAITS

    cdef int64_t unheard_ms(self) noexcept:
        """A host that takes nothing (its window is shut) still acknowledges, so it is heard. TCP_USER_TIMEOUT would end that
        connection too, which is why it is not used."""
        cdef tcp_info info
        cdef socklen_t length = sizeof(info)
        if self.closed or getsockopt(self.fd, IPPROTO_TCP, TCP_INFO, &info, &length) < 0 or info.tcpi_unacked == 0:
            return 0
        return info.tcpi_last_ack_recv

    # -- writing ------------------------------------------------------------------------------------------------------

    cdef int put(self, const char* data, Py_ssize_t length) except? RAISED:
        cdef Py_ssize_t n
        cdef int waited
        while length > 0:
            n = self.put_now(data, length)
            if n < 0:
                return FAILED
            data += n
            length -= n
            if length:
                waited = self.wait_writable(self.stall_ns / 1e9)
                if waited != READY:
                    return waited
        return 0

    cdef Py_ssize_t put_now(self, const char* data, Py_ssize_t length) except? RAISED:
        cdef ssize_t n
        if self.closed:
            return FAILED
        while True:
            n = send(self.fd, data, length, MSG_NOSIGNAL)
            if n >= 0:
                self.written += n
                return n
            if errno == EAGAIN:
                return 0
            if errno != EINTR:
                self.error = errno
                return FAILED

    cdef int put_two(
            self, const char* volatile_head, Py_ssize_t head_length, const char* data, Py_ssize_t length) except? RAISED:
        cdef ssize_t n
        cdef int result
        cdef char* copy
        if self.closed:
            return FAILED
        n = send_both(self.fd, volatile_head, head_length, data, length, MORE_LATER if self.last_words else MSG_NOSIGNAL)
        if n < 0:
            if errno != EAGAIN and errno != EINTR:
                self.error = errno
                return FAILED
            n = 0
        self.written += n
        if n >= head_length:
            return self.put(data + n - head_length, length - (n - head_length))
        head_length -= n
        copy = <char*>malloc(head_length)
        if copy == NULL:
            raise MemoryError
        try:
            memcpy(copy, volatile_head + n, head_length)
            result = self.put(copy, head_length)
        finally:
            free(copy)
        return result if result else self.put(data, length)

    cdef int wait_writable(self, double seconds) except? RAISED:
        """READY when the socket takes bytes again (or has an error to tell), TIMED_OUT, or FAILED when it was closed
        meanwhile."""
        cdef object timer = None
        if self.writer_watcher is None:
            self.writer_watcher = get_hub().loop.io(self.fd, WRITE)
        self.writer = current()
        self.writer_watcher.start(self._wake_writer, READY)
        if seconds > 0:
            timer = get_hub().loop.timer(seconds)
            timer.start(self._wake_writer, TIMED_OUT)
        try:
            PyGreenlet_Switch(<greenlet>get_hub(), NULL, NULL)
        finally:
            self.writer = None
            if self.writer_watcher is not None:
                self.writer_watcher.stop()
            if timer is not None:
                timer.stop()
                timer.close()
        return self.writer_result

    def _wake_writer(self, int result) -> None:
        cdef object writer = self.writer
        if writer is not None:
            self.writer = None
            self.writer_result = result
            PyGreenlet_Switch(<greenlet>writer, NULL, NULL)

    cdef int finish(self) except? RAISED:
        if self.closed:
            return FAILED
        self.last_words = False
        return FAILED if shutdown(self.fd, SHUT_WR) < 0 else 0

    cdef int close_watchers(self) except -1:
        if self.watcher is not None:
            self.watcher.stop()
            self.watcher.close()
            self.watcher = None
            self.watching = False
        if self.writer_watcher is not None:
            self.writer_watcher.stop()
            self.writer_watcher.close()
            self.writer_watcher = None
        return 0

    cdef int close(self) except -1:
        """Closes the socket; whoever waits on it is told FAILED. Closing twice is nothing."""
        if self.closed:
            return 0
        self.closed = True
        self.disarm()
        self.listener = None
        self.close_watchers()
        if self.last_words:         # with their end behind them; a close alone forgets them if something is unread
            shutdown(self.fd, SHUT_WR)
        close_fd(self.fd)
        self.fd = -1
        self.error = ECONNRESET
        self.cancel_read()
        if self.writer is not None:
            get_hub().loop.run_callback(self._wake_writer, FAILED)
        return self.give_up_permit()

    cdef int abort(self) except -1:
        cdef linger now
        if not self.closed:
            now.l_onoff, now.l_linger = 1, 0
            self.last_words = False
            setsockopt(self.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now))
        return self.close()


cdef ssize_t send_both(
        int fd, const char* first, Py_ssize_t first_length, const char* second, Py_ssize_t length, int flags) noexcept:
    """Sends two pieces in one go. To copy little costs the processor less than the kernel's reading of a list."""
    cdef iovec[2] parts
    cdef msghdr message
    if length == 0:
        return send(fd, first, first_length, flags)
    if first_length + length <= JOINED:
        memcpy(joined, first, first_length)
        memcpy(joined + first_length, second, length)
        return send(fd, joined, first_length + length, flags)
    memset(&message, 0, sizeof(message))
    parts[0].iov_base, parts[0].iov_len = <void*>first, first_length
    parts[1].iov_base, parts[1].iov_len = <void*>second, length
    message.msg_iov, message.msg_iovlen = parts, 2
    return sendmsg(fd, &message, flags)


cdef int end_follows(Stream stream) except -1:
    """What is put next (`put_two`) is the last, and the stream is closed behind it: both go together, if it is plain TCP."""
    if type(stream) is TcpStream:
        (<TcpStream>stream).last_words = True
    return 0


# -- streams that are to be watched -----------------------------------------------------------------------------------

cdef list _latecomers = []
cdef object _timer = None


cdef int watch_later(TcpStream stream) except -1:
    """Has what happens on a stream that nobody reads told, from in LATER seconds on: most of what one waits for meanwhile
    is there by then."""
    global _timer
    if stream.watch_due:
        return 0
    stream.watch_due = True
    if not _latecomers:
        if _timer is None:
            _timer = get_hub().loop.timer(LATER)
        _timer.start(watch_all, update=False)
    _latecomers.append(stream)
    return 0


def watch_all() -> None:
    global _latecomers
    cdef list streams = _latecomers
    cdef TcpStream stream
    _latecomers = []
    for stream in streams:
        stream.watch_due = False
        if not stream.watching and not stream.closed:
            stream.start_watching()
