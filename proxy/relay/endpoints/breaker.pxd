# What a cluster may have at once; theory in breaker.pyx.
cimport cython
from libc.stdint cimport int64_t

from proxy.relay.context.context cimport Context
from proxy.relay.endpoints.allowance cimport Allowance
from proxy.relay.endpoints.lifetimes cimport Lifetimes
from proxy.scoreboard.layout cimport ClusterRow, Counters, Holding
from proxy.wire.stream cimport IdleListener, Permit, Stream

cdef class Member(IdleListener):
    cdef Seat give_up_one(self)
    cdef bint has_room(self)
    cdef int drain_one(self) except -1
    cdef int end_drained(self) except -1
    cdef int end_idle(self, int64_t begun_before) except -1

@cython.final
cdef class Seat(Permit):
    cdef Breaker breaker
    cdef ClusterRow* row                # NULL: it is given back
    cdef Holding* own

    cdef int64_t begun                  # when the connection was made
    cdef int64_t requests               # ... and how many it has had

    cdef int sit(self, Stream stream) except -1
    cdef void drop(self) noexcept

@cython.final
cdef class Waiter:
    cdef Member member                  # a connection to it will do; None: nothing but a seat will
    cdef bint shared                    # ... and so will room on one that others have, too
    cdef int64_t since
    cdef object event                   # set when there is something, or the wait has lost its sense
    cdef Stream stream                  # what there is: a connection, ...
    cdef Seat seat                      # ... or the right to one

    cdef int end(self) except -1
    cdef bint served(self) noexcept

@cython.final
cdef class Breaker:
    cdef Context context
    cdef int slot
    cdef ClusterRow* row
    cdef Holding* own
    cdef Counters* counters
    cdef Allowance allowance
    cdef readonly bint limited          # ... or connections end before they must
    cdef dict pool                      # what both are made from
    cdef Lifetimes lifetimes
    cdef list members                   # Members
    cdef list waiting                   # Waiters, who came first first
    cdef object timer                   # while there are any
    cdef int looks, passed_over

    cdef int limit(self, dict pool, list members) except -1
    cdef int tick(self, int64_t now) except -1
    cdef int shrink(self) except -1
    cdef Seat seat(self)
    cdef Seat counted(self)
    cdef Seat take(self)
    cdef Seat free_seat(self)
    cdef Seat from_idle(self)
    cdef bint exceeded(self) noexcept
    cdef int64_t first_here(self) noexcept

    cdef bint wait(self, Waiter waiter, double seconds) except -1
    cdef int enter(self, Waiter waiter) except -1
    cdef int leave(self, Waiter waiter) except -1
    cdef int hand(self, Waiter waiter, Seat seat) except -1

    cdef int take_back(self, Seat seat) except -1
    cdef bint wants(self, Member member, Stream stream) except -1
    cdef bint worn(self, Seat seat) noexcept
    cdef int sent(self, Stream stream) except -1
    cdef int stream_ended(self, Member member) except -1
    cdef int make_room(self) except -1
    cdef int serve(self) except -1
    cdef int nudge(self, int worker) except -1
    cdef int drain_one(self) except -1
    cdef int nudge_all(self, bint idle) except -1
