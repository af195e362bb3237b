"""Two streams as one pipe: bytes both ways until both ends have finished, half closes and resets passed on (WebSocket
after 101, raw TCP)."""

import gevent

from proxy.clock cimport monotonic_ns
from proxy.wire.spliced cimport offer, passing, put_next
from proxy.wire.stream cimport FAILED, TIMED_OUT

cdef enum:
    GROWTH = 4                  # where much has come at once, so many times as much may pass next


cdef class Pipe:
    cdef Stream left, right
    cdef Deadlines idle
    cdef int64_t forth, back, moved
    cdef int64_t* received
    cdef int64_t* sent

    cdef bint other_way_moves(self) noexcept:
        return monotonic_ns() - self.moved < self.idle.duration

    def copy(self, bint forward) -> None:
        """One direction, to its end."""
        cdef Stream source = self.left if forward else self.right
        cdef Stream target = self.right if forward else self.left
        cdef Py_ssize_t past, length, got
        while True:
            past = passing(source)
            length = past or source.end - source.start
            if length:
                got = put_next(source, target, source.buffer + source.start, length, 0)
                if got == FAILED:
                    return          # it takes no more; what it still has to say comes the other way, and its end too
                if got < 0:
                    break
                if forward:
                    self.forth += length
                    if self.received != NULL:
                        self.received[0] += length
                else:
                    self.back += length
                    if self.sent != NULL:
                        self.sent[0] += length
                source.start = source.end
                source.release()
                self.moved = monotonic_ns()
                offer(source, target, GROWTH * length)
            source.arm(self.idle)
            got = source.fill()
            source.disarm()
            if got == 0:
                target.finish()
                return
            if got < 0 and not (got == TIMED_OUT and self.other_way_moves()):
                break
        if got == TIMED_OUT:    # nothing is lost
            source.close()
            target.close()
        else:
            source.abort()      # broken: neither direction can go on
            target.abort()


cdef int run_pipe(
        Stream client, Stream endpoint, Deadlines idle, int64_t* received, int64_t* sent, int64_t* received_now,
        int64_t* sent_now) except -1:
    """Copies until both directions have ended; `received` and `sent` get what went from and to the client. The same is
    added, as it goes, to the other two, which are on nobody's stack: other greenlets write there. They may be NULL."""
    cdef Pipe pipe = Pipe()
    pipe.left, pipe.right, pipe.idle = client, endpoint, idle
    pipe.received, pipe.sent = received_now, sent_now
    other = gevent.spawn(pipe.copy, True)
    pipe.copy(False)
    other.join()
    received[0] += pipe.forth
    sent[0] += pipe.back
    return 0
