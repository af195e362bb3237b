# Which endpoint a request gets; theory in chooser.pyx.
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from proxy.policy.facts cimport View
from proxy.scoreboard.layout cimport EndpointRow
from proxy.scoreboard.scoreboard cimport Scoreboard

cdef int64_t NEVER

cdef struct WarmUp:                      # of endpoints that join
    double window_ms, least, aggression
    int64_t scale                        # by how much weights are larger, so that parts of them are numbers
    int64_t step                         # ns from one look to the next while one is young
    int64_t* joined                      # CLOCK_MONOTONIC ns, by position
    int32_t* whole                       # weights that are not young

cdef class Chooser:
    cdef View view                       # what an algorithm goes by; its arrays are those below
    cdef EndpointRow** rows              # by position, as all arrays here
    cdef int32_t* members
    cdef int32_t* rank
    cdef int32_t* offering               # those that are out and offer themselves to one request
    cdef int offers
    cdef unsigned char* here             # 1: is in
    cdef unsigned char* tried
    cdef int32_t* weights
    cdef int64_t* sums
    cdef readonly bint unequal           # weights are
    cdef uint32_t* changes               # the cluster's, on the scoreboard; NULL: nobody here is ever out
    cdef uint32_t seen                   # what they were when the index was made
    cdef int64_t soonest                 # when the first of those that are out comes back
    cdef int min_health                  # percent of them; while fewer are in, those that are out get requests too
    cdef WarmUp* warm_up                 # NULL: an endpoint that joins has its whole share at once

    cdef int pick(self, uint64_t key) noexcept
    cdef void look(self) noexcept
    cdef bint has(self, int position) noexcept
    cdef void mark(self, int position, unsigned char mark) noexcept
    cdef int take_offer(self) noexcept
    cdef void renew(self, int64_t now) noexcept
    cdef void bring_all_in(self) noexcept
    cdef void look_at(self, int position, int64_t now) noexcept
    cdef void count_out(self) noexcept
    cdef void weigh(self, int64_t now) noexcept

    cdef int choose(self, uint64_t key) noexcept
    cdef void up(self, int position) noexcept
    cdef void down(self, int position) noexcept
    cdef void take(self, EndpointRow* row, int32_t* share) noexcept
    cdef void drop(self, EndpointRow* row, int32_t* share) noexcept

cdef class RoundRobin(Chooser):
    cdef int32_t* cursor                 # 1 + position of the endpoint picked last; the replica's
    cdef int32_t own_cursor

    cdef int choose_by_weight(self) noexcept
    cdef int choose_in_turn(self) noexcept

cdef void* room(int count, size_t size) except NULL
