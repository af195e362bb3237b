"""Endpoints by lot: RANDOM, and LEAST_REQUEST, which holds two lots against each other."""

import os

from libc.stdint cimport uint64_t

from proxy.policy.balance.least_request cimport second_is_lighter
from proxy.policy.balance.round_robin cimport from_turn
from proxy.policy.balance.weighted cimport turn_of
from proxy.scoreboard.atomics cimport wp_load
from proxy.scoreboard.scoreboard cimport Scoreboard

cdef enum:
    DRAWS = 5           # Envoy's host_selection_retry_max_attempts: a request that is tried again looks for another so often


cdef class Drawing(Chooser):
    """With lots of its own: what one worker draws says nothing about what another does."""

    def __cinit__(self, *_: object):
        self.state = int.from_bytes(os.urandom(8), "little") | 1

    cdef uint64_t draw(self) noexcept:
        """A number of 64 bits (xorshift64*, Vigna); nobody is to be kept from guessing it."""
        self.state ^= self.state >> 12
        self.state ^= self.state << 25
        self.state ^= self.state >> 27
        return self.state * <uint64_t>0x2545F4914F6CDD1D

    cdef int any_turn(self) noexcept:
        """Of those that are in, one as likely as another; 0 where there are none."""
        return ((self.draw() >> 32) * <uint64_t>self.view.present) >> 32


cdef class Random(Drawing):
    """Each that is in as likely as the others, whatever their weights (Envoy's random_lb)."""

    cdef int choose(self, uint64_t key) noexcept:
        return from_turn(self.any_turn(), &self.view)


cdef class LeastRequest(Drawing):
    """What is in flight is the replica's, of all workers."""

    cdef int choose(self, uint64_t key) noexcept:
        cdef int position = -1, _
        if self.view.present == 0:
            return -1
        for _ in range(DRAWS):
            position = self.best_of_two()
            if not self.tried[position]:
                return position
        return from_turn(self.rank[position] + 1, &self.view)

    cdef int best_of_two(self) noexcept:
        cdef int first = self.members[self.drawn_turn()], second = self.members[self.drawn_turn()]
        if second_is_lighter(
                wp_load(&self.rows[first].in_flight), wp_load(&self.rows[second].in_flight),
                self.weights[first], self.weights[second]):
            return second
        return first

    cdef int drawn_turn(self) noexcept:
        return turn_of(self.draw(), &self.view) if self.unequal else self.any_turn()
