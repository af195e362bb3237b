# distutils: libraries = nghttp2
"""What an HTTP/2 connection sends: frames from nghttp2 to the transport.

Whoever writes has nghttp2 make the frames at once (`pull`); they go to the transport together, once in every turn of the
event loop (`flush`), or at once what is large: under TLS out of the writer's own memory, but for the record that the
frame's header is in (`send_with`). The transport may take less than there is: then a greenlet waits for it, the output fills up to
OUTPUT bytes, and writers wait for that. nghttp2 must not be entered from its own callbacks: `pull` does nothing then,
and whoever let nghttp2 work pulls afterwards.
"""

import sys

import gevent
from libc.string cimport memcpy

from proxy.clock cimport monotonic_ns
from proxy.wire.buffers cimport Buffer, drop, reserve
from proxy.wire.http2.nghttp2 cimport *
from proxy.wire.stream cimport run_soon

cdef enum:
    OUTPUT = 65536              # bytes made and not taken by the transport before writers wait


cdef class Output(Consumer):
    """The sending half of a Session (session.pyx)."""

    def __dealloc__(self):
        if self.h2 != NULL:
            nghttp2_session_del(self.h2)
        drop(&self.out)

    cdef int touch(self, Stream stream) except -1:
        """Something has come on the stream."""
        raise NotImplementedError

    cdef int credit(self, Stream stream, Py_ssize_t length) except -1:
        """The peer may send so much more."""
        raise NotImplementedError

    cdef int go_on(self) except -1:
        """Streams that wait for the peer to read go on, if they may now."""
        raise NotImplementedError

    cdef int wake(self) except -1:
        """Lets those run, soon, on whose streams something has come."""
        raise NotImplementedError

    cdef int pull(self) except -1:
        """Has nghttp2 make what it can, and sees that it is sent: soon, or at once what is a lot already, while it is in
        the processor's cache."""
        if self.h2 == NULL or self.busy:
            return 0
        self.make()
        while self.out.end - self.out.start >= OUTPUT and self.send():
            self.make()
        if self.out.bytes != NULL and not self.flush_due and not self.sending:
            self.flush_due = True
            run_soon(self.flush)
        if self.failure is not None:
            self.break_off()
        return 0

    cdef int make(self) except -1:
        """Has nghttp2 make frames, up to OUTPUT bytes."""
        cdef const uint8_t* frame
        cdef ssize_t n
        while self.out.end - self.out.start < OUTPUT:
            if self.thaw:
                self.go_on()
            self.busy = True
            n = nghttp2_session_mem_send(self.h2, &frame)
            self.busy = False
            if n <= 0:
                if n == 0 and self.thaw:
                    continue
                if n < 0:
                    self.fault, self.fault_code = nghttp2_strerror(<int>n), NGHTTP2_PROTOCOL_ERROR
                    self.break_off()
                break
            reserve(&self.out, n)
            memcpy(self.out.bytes + self.out.end, frame, n)
            self.out.end += n
        return 0

    cdef bint send(self) except -1:
        """Gives the transport what it takes without waiting; False if that is not all it was given: a greenlet sees to
        the rest then."""
        cdef Py_ssize_t taken, length = self.out.end - self.out.start
        if self.sending or self.broken:
            return False
        if length > RECORD:             # what is over waits for what comes next: no small records between full ones
            length -= length % RECORD
        taken = self.transport.put_now(self.out.bytes + self.out.start, length)
        if taken < 0:
            self.break_off()
            return False
        self.out.start += taken
        if taken != length:
            self.wait_to_send()
        return taken == length

    cdef Py_ssize_t send_with(self, const char* data, Py_ssize_t length) except -1:
        """As `send` for an output of whole records, and for `data` behind it: how much of that is gone."""
        cdef Py_ssize_t due = self.out.end - self.out.start
        cdef Py_ssize_t taken = self.transport.put_now_both(self.out.bytes + self.out.start, due, data, length)
        if taken < 0:
            self.break_off()
            return 0
        self.out.start += min(taken, due)
        if taken != due + length:
            self.wait_to_send()
        return max(taken - due, 0)

    def flush(self) -> None:
        """Sends what there is, in the hub."""
        if self.h2 != NULL:
            while self.out.end != self.out.start and self.send():
                self.make()
            self.wake()
        self.flush_due = False
        if self.out.end == self.out.start:
            drop(&self.out)
            self.look_whether_over()

    cdef int wait_to_send(self) except -1:
        self.sending = True
        self.stuck_since = monotonic_ns()
        gevent.spawn(self.send_rest)
        return 0

    def send_rest(self) -> None:
        """Sends until the output is empty, waiting for the transport."""
        cdef Buffer chunk
        cdef int result = 0
        while result == 0 and self.out.end != self.out.start:
            chunk = self.out
            self.out.bytes = NULL       # others go on filling the output meanwhile
            drop(&self.out)
            result = self.transport.put(chunk.bytes + chunk.start, chunk.end - chunk.start)
            drop(&chunk)
            self.stuck_since = monotonic_ns()
            self.pull()
            self.wake()
        self.sending = False
        self.stuck_since = 0
        if result < 0:
            self.break_off()
        else:
            self.look_whether_over()

    def look_whether_over(self) -> None:
        """The connection's greenlet waits for the peer; if nothing is to come any more, it need not."""
        if self.h2 != NULL and not self.going_on():
            self.transport.cancel_read()

    cdef bint going_on(self) noexcept:
        return not self.broken and self.fault == NULL and self.failure is None and (
            nghttp2_session_want_read(self.h2) != 0 or nghttp2_session_want_write(self.h2) != 0)

    cdef int break_off(self) except -1:
        """Ends the connection as soon as its greenlet runs."""
        self.broken = True
        return self.transport.cancel_read()

    cdef bint first_loss(self, int who) except -1:
        """The connection has ended, or takes no more: whether this is the first that `who` loses by it."""
        if self.losers is None:
            self.losers = set()
        if not self.transport.first_loss(who) or who in self.losers:
            return False
        self.losers.add(who)
        return True

    cdef bint crowded(self, int64_t for_ns) noexcept:
        """Whether for so long the peer's window was used up but for a quarter, or the transport has taken nothing: by
        streams that nobody reads. Or what carries this connection is."""
        cdef int64_t since = self.tight_since or self.stuck_since
        return since != 0 and monotonic_ns() - since > for_ns or self.transport.crowded(for_ns)


cdef void may_go_on(Output connection) noexcept:
    """Something has changed for streams that wait for the peer to read: they are looked at before the next frames."""
    connection.thaw = len(connection.held) > 0 or len(connection.queue) > 0


cdef int failed(Output connection) noexcept:
    """An exception must not pass through nghttp2: it is kept, and ends the connection."""
    connection.failure = sys.exc_info()
    return NGHTTP2_ERR_CALLBACK_FAILURE
