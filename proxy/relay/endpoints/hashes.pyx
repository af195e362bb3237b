"""Endpoints by a key of the request: consistentHash. What they decide by is in proxy/policy/balance/consistent_hash.py."""

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport free

from proxy.policy.balance.consistent_hash cimport fill, hash_of, in_table, rendezvous, weighted_rendezvous
from proxy.relay.endpoints.chooser cimport room
from proxy.scoreboard.scoreboard cimport Scoreboard


cdef class ByKey(Drawing):
    """An endpoint is known by its address, in every replica alike. A request without a key goes to any."""

    def __cinit__(
            self, Scoreboard scoreboard, list slots, list weights, int cluster, bint ejects, list addresses,
            *_: object):
        cdef int position
        cdef bytes address
        self.seeds = <uint64_t*>room(len(addresses), sizeof(uint64_t))
        self.lined = <uint64_t*>room(len(addresses), sizeof(uint64_t))
        for position, address in enumerate(addresses):
            self.seeds[position] = hash_of(address, len(address))

    def __dealloc__(self):
        free(self.seeds)
        free(self.lined)

    cdef void count_out(self) noexcept:
        cdef int turn
        Drawing.count_out(self)
        for turn in range(self.view.present):
            self.lined[turn] = self.seeds[self.members[turn]]

    cdef int choose(self, uint64_t key) noexcept:
        return self.of_key(key if key else self.draw())

    cdef int of_key(self, uint64_t key) noexcept:
        return -1


cdef class RingHash(ByKey):
    """RING_HASH, by rendezvous."""

    def __cinit__(self, Scoreboard scoreboard, list slots, list weights, *_: object):
        cdef int at, position
        self.by_weight = <int32_t*>room(len(weights), sizeof(int32_t))
        self.order = <int32_t*>room(len(weights), sizeof(int32_t))
        for at, position in enumerate(sorted(range(len(weights)), key=lambda each: -weights[each])):
            self.by_weight[at] = position

    def __dealloc__(self):
        free(self.by_weight)
        free(self.order)

    cdef void count_out(self) noexcept:
        cdef int at, turn = 0
        ByKey.count_out(self)
        if not self.unequal:
            return
        for at in range(self.view.count):
            if self.here[self.by_weight[at]]:
                self.order[turn] = self.by_weight[at]
                self.lined[turn] = self.seeds[self.order[turn]]
                turn += 1

    cdef int of_key(self, uint64_t key) noexcept:
        if self.unequal:
            return weighted_rendezvous(key, self.lined, self.order, &self.view)
        return rendezvous(key, self.lined, &self.view)


cdef class Maglev(ByKey):
    """MAGLEV, by a table of `size` places."""

    def __cinit__(
            self, Scoreboard scoreboard, list slots, list weights, int cluster, bint ejects, list addresses,
            int size):
        cdef int count = len(slots)
        cdef uint64_t* places = <uint64_t*>room(count, sizeof(uint64_t))
        cdef int64_t* credits = <int64_t*>room(count, sizeof(int64_t))
        self.table = <int32_t*>room(size, sizeof(int32_t))
        self.size = size
        fill(self.table, size, self.seeds, places, credits, &self.view)
        free(places)
        free(credits)

    def __dealloc__(self):
        free(self.table)

    cdef int of_key(self, uint64_t key) noexcept:
        return in_table(key, self.table, self.size, self.here, &self.view)
