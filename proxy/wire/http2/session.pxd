# An HTTP/2 connection; theory in session.pyx.
from libc.stdint cimport int32_t, int64_t, uint32_t

from proxy.wire.http2.input cimport Input
from proxy.wire.http2.stream cimport Http2Stream
from proxy.wire.stream cimport Deadlines

cdef enum:
    MAX_STREAMS = 1000              # concurrent streams a peer may open; ztunnel plans with 100
    NARROW_STREAMS = 2              # streams of a connection that are served whatever becomes of their answers

cdef class Session(Input):
    cdef bint refusing              # GOAWAY was sent, and was final
    cdef bint extends               # the server's side: its clients are told that they may send extended CONNECTs
    cdef uint32_t most_streams      # of ours at a time, as far as is known
    cdef Deadlines patience         # how long the peer may be silent before it is pinged; None: no pings
    cdef Deadlines last_patience    # ... and then, before it is given up; None: as long, and once more
    cdef int narrow                 # of these, begun though their client could not take an answer
    cdef int running                # streams of the peer's that are served, or wait for it
    cdef int64_t idle_since         # the server's side: when the last of them ended; 0: there are some
    cdef set beside                 # the connections of clients of this worker
    cdef int lot                    # how many may be begun or wait before more are
    cdef int doubtful               # begun, and nothing has shown yet that answers are read, or that they take long
    cdef int patient                # how often in a row it was waited for that
    cdef int64_t standing_since     # when its client was last seen to take something, while many answers wait; else 0
    cdef int64_t granted_then       # ... and what it had given by then
    cdef object timer               # while streams wait to be served
    cdef object pace                # ... for others that have only begun
    cdef int64_t idle_ns            # ... and how long that may be; 0: for ever

    cdef int open(self) except -1
    cdef bint has_room(self) noexcept
    cdef int32_t left(self) noexcept
    cdef int look_whether_crowded(self) except -1
    cdef int hear_silence(self) except -1
    cdef void take_on(self) noexcept
    cdef int let_off(self, Http2Stream stream) except -1
    cdef int count_off(self, Http2Stream stream) except -1
    cdef int let_go(self, Http2Stream stream) except -1
    cdef int serve_in_turn(self, Http2Stream stream) except -1
    cdef int begin_stream(self, Http2Stream stream) except -1
    cdef bint may_begin(self, Http2Stream stream) noexcept
    cdef bint has_turns(self) noexcept
    cdef bint is_in_doubt(self) except -1
    cdef void doubt_less(self) noexcept
    cdef bint stands(self, int64_t now) noexcept
    cdef int give_up(self, int but) except -1
    cdef int advance(self) except -1
    cdef list without_gone(self, list queue)
    cdef int wait_for_lot(self) except -1
    cdef int stop_timers(self) except -1
    cdef int take_breath(self) except -1
    cdef int leave_if_idle(self) except -1
    cdef int shutdown(self) except -1
    cdef int end(self) except -1
