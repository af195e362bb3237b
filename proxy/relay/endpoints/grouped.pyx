"""Endpoints in groups, by where they are: first a group, then one of its endpoints by the cluster's algorithm.

The controller has decided who is in which group (proxy/mesh/resolving/localities.py); groups stand one behind the other
in the cluster's list. Each has a chooser of its own, which knows its endpoints from 0 on. How many of the requests a
group gets follows from how many of it are in (proxy/policy/balance/groups.py), and is worked out when that changes.

A request whose first endpoint has failed goes to a group that it has not tried: where a whole zone is lost, nobody has
to find that out one endpoint after the other (Envoy's previous_priorities).
"""

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport free

from proxy.policy.balance.consistent_hash cimport mixed
from proxy.policy.balance.groups cimport distribute, fail_over, group_of
from proxy.relay.endpoints.chooser cimport NEVER, room
from proxy.scoreboard.atomics cimport wp_loadu
from proxy.scoreboard.layout cimport GROUPS
from proxy.scoreboard.scoreboard cimport Scoreboard


cdef class Grouped(Drawing):
    """`parts`: a chooser for each group. Groups with `shares` get requests by these, without (an empty list) the first
    gets what it can take, and so on. `by_key`: a request's key decides for the group, too."""

    def __cinit__(
            self, Scoreboard scoreboard, list slots, list weights, int cluster, bint ejects, list parts, list shares,
            bint by_key):
        cdef int count = len(parts), at, first = 0
        self.parts, self.by_key, self.fails_over = parts, by_key, not shares
        self.firsts = <int32_t*>room(count, sizeof(int32_t))
        self.sizes = <int32_t*>room(count, sizeof(int32_t))
        self.present = <int32_t*>room(count, sizeof(int32_t))
        self.shares = <int32_t*>room(count, sizeof(int32_t))
        self.marked = <int32_t*>room(count, sizeof(int32_t))
        self.loads = <int64_t*>room(count, sizeof(int64_t))
        self.panicking = <unsigned char*>room(count, 1)
        for at in range(count):
            self.firsts[at], self.sizes[at] = first, (<Chooser>parts[at]).view.count
            self.shares[at] = 1 if self.fails_over else shares[at]
            first += self.sizes[at]
        self.groups.count = count
        self.groups.sizes, self.groups.present, self.groups.weights = self.sizes, self.present, self.shares
        self.groups.loads, self.groups.panicking = self.loads, self.panicking

    def __dealloc__(self):
        free(self.firsts)
        free(self.sizes)
        free(self.present)
        free(self.shares)
        free(self.marked)
        free(self.loads)
        free(self.panicking)

    cdef void renew(self, int64_t now) noexcept:
        cdef Chooser part
        cdef int at
        if self.changes != NULL:
            self.seen = wp_loadu(self.changes)
        self.soonest, self.offers = NEVER, 0
        for at in range(self.groups.count):
            part = <Chooser>self.parts[at]
            part.renew(now)
            self.present[at] = part.view.present
            self.soonest = min(self.soonest, part.soonest)
            self.offers += part.offers if self.shares[at] else 0
        if self.fails_over:
            self.total = fail_over(&self.groups, self.min_health)
        else:
            self.total = distribute(&self.groups, self.min_health)
        for at in range(self.groups.count):
            if self.panicking[at]:
                part = <Chooser>self.parts[at]
                part.bring_all_in()
                part.count_out()
                self.present[at] = part.view.present

    cdef int take_offer(self) noexcept:
        cdef Chooser part
        cdef int at, position, taken = -1
        self.offers = 0
        for at in range(self.groups.count):
            part = <Chooser>self.parts[at]
            if taken < 0 and part.offers and self.shares[at]:
                position = part.take_offer()
                if position >= 0:
                    taken = self.firsts[at] + position
            self.offers += part.offers if self.shares[at] else 0
        return taken

    cdef bint has(self, int position) noexcept:
        cdef int group = self.group_at(position)
        self.look()
        return (<Chooser>self.parts[group]).here[position - self.firsts[group]]

    cdef void mark(self, int position, unsigned char mark) noexcept:
        cdef int group = self.group_at(position)
        (<Chooser>self.parts[group]).mark(position - self.firsts[group], mark)
        self.marked[group] += 1 if mark else -1
        self.all_marked += 1 if mark else -1

    cdef int group_at(self, int position) noexcept:
        cdef int group = 0
        while position >= self.firsts[group] + self.sizes[group]:
            group += 1
        return group

    cdef int choose(self, uint64_t key) noexcept:
        if self.all_marked:
            return self.choose_elsewhere(key)
        cdef uint64_t lot = self.draw() if key == 0 or not self.by_key else mixed(key)
        cdef int group = group_of(lot, self.total, &self.groups)
        return -1 if group < 0 else self.choose_of(group, key)

    cdef int choose_elsewhere(self, uint64_t key) noexcept:
        """For a request that has tried some: of the first group that it has not tried, else any endpoint."""
        cdef int at, position = -1
        for at in range(self.groups.count):
            if self.marked[at] == 0 and self.shares[at] and self.present[at]:
                return self.choose_of(at, key)
        for at in range(self.groups.count):
            if position < 0 and self.shares[at]:
                position = self.choose_of(at, key)
        return position

    cdef int choose_of(self, int group, uint64_t key) noexcept:
        cdef int position = (<Chooser>self.parts[group]).choose(key)
        if position < 0:
            return -1
        if self.picks != NULL:
            self.picks[min(group, GROUPS - 1)] += 1
        return self.firsts[group] + position
