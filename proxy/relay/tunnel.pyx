"""Two streams as one pipe: bytes both ways until both ends have finished, half closes passed on (WebSocket after
101)."""

import gevent

from proxy.scoreboard cimport monotonic_ns
from proxy.wire.stream cimport TIMED_OUT


cdef class Tunnel:
    cdef Stream left, right
    cdef Deadlines idle
    cdef int64_t forth, back, moved

    cdef bint other_way_moves(self) noexcept:
        return monotonic_ns() - self.moved < self.idle.duration

    def copy(self, bint forward):
        """One direction, to its end."""
        cdef Stream source = self.left if forward else self.right
        cdef Stream target = self.right if forward else self.left
        cdef Py_ssize_t length
        while True:
            length = source.end - source.start
            if length:
                if target.put(source.buffer + source.start, length) < 0:
                    break
                if forward:
                    self.forth += length
                else:
                    self.back += length
                source.start = source.end
                source.release()
                self.moved = monotonic_ns()
            source.arm(self.idle)
            got = source.fill()
            source.disarm()
            if got == 0:
                target.finish()
                return
            if got < 0 and not (got == TIMED_OUT and self.other_way_moves()):
                break
        source.close()          # broken: neither direction can go on
        target.close()


cdef int run_tunnel(
        Stream client, Stream endpoint, Deadlines idle, int64_t* received, int64_t* sent) except -1:
    """Copies until both directions have ended; `received` and `sent` get what went from and to the client."""
    cdef Tunnel tunnel = Tunnel()
    tunnel.left, tunnel.right, tunnel.idle = client, endpoint, idle
    other = gevent.spawn(tunnel.copy, True)
    tunnel.copy(False)
    other.join()
    received[0] += tunnel.forth
    sent[0] += tunnel.back
    return 0
