"""Which of a cluster's endpoints a request gets: an index of those that are in, and the algorithm that goes by it.

Who is in stands on the scoreboard. Looking there for every request would cost as much as there are endpoints; so what
was seen is kept, and looked at again when the cluster's `changes` on the scoreboard have moved (whoever takes an
endpoint out or back moves them, after it has), or when the first of those that are out has served its time, which
nobody tells. While fewer are in than `panic_below` says, all are.

An algorithm is a subclass (HAProxy's lb_ops): `choose` says whose turn it is; `up` and `down` tell it that an endpoint
has come in or gone out, `take` and `drop` that an attempt on one has begun or ended. What it decides by itself is in
proxy/policy/balance. Positions are those in the cluster's list of endpoints, which does not change. Round robin is here,
the others in draws.pyx and hashes.pyx.
"""

from libc.stdint cimport INT64_MAX, uint64_t
from libc.stdlib cimport calloc, free

from proxy.clock cimport monotonic_ns
from proxy.policy.balance.panic cimport panics
from proxy.policy.balance.round_robin cimport from_turn, round_robin
from proxy.policy.balance.warmup cimport warmth
from proxy.policy.balance.weighted cimport spread, turn_of
from proxy.scoreboard.atomics cimport wp_add, wp_add64, wp_load, wp_load64, wp_loadu, wp_swap
from proxy.scoreboard.layout cimport GROUPS, PROBE_OFFERED
from proxy.scoreboard.probes cimport take_probe

cdef int64_t NEVER = INT64_MAX
cdef int64_t MS = 1_000_000
cdef int64_t HEAVIEST_SUM = 1 << 31     # weights of all together stay below (policy/balance/weighted.py)
cdef enum:
    STEPS = 200         # so often weights are renewed while an endpoint warms up ...
    SHORTEST_MS = 20    # ... but not more often than this
    FINEST = 1024       # parts that a weight of 1 is cut into


cdef class Chooser:
    """`slots` are the endpoints' on the scoreboard, `weights` theirs; `cluster` is their cluster's slot, and only if that
    `ejects` may one be out."""

    def __cinit__(self, Scoreboard scoreboard, list slots, list weights, int cluster, bint ejects, *_: object):
        cdef int count = len(slots), position
        self.rows = <EndpointRow**>room(count, sizeof(EndpointRow*))
        self.members = <int32_t*>room(count, sizeof(int32_t))
        self.rank = <int32_t*>room(count, sizeof(int32_t))
        self.offering = <int32_t*>room(count, sizeof(int32_t))
        self.here = <unsigned char*>room(count, 1)
        self.tried = <unsigned char*>room(count, 1)
        self.view.count = count
        self.weights = <int32_t*>room(count, sizeof(int32_t))
        self.sums = <int64_t*>room(count, sizeof(int64_t))
        self.view.members, self.view.rank, self.view.tried = self.members, self.rank, self.tried
        self.view.weights, self.view.sums = self.weights, self.sums
        for position in range(count):
            self.rows[position] = scoreboard.memory.endpoint(slots[position])
            self.weights[position] = weights[position]
        self.unequal = len(set(weights)) > 1
        self.soonest = NEVER
        if ejects:
            self.changes = &scoreboard.memory.cluster(cluster).changes

    def __init__(self, Scoreboard scoreboard, list slots, list weights, int cluster, bint ejects, *_: object):
        self.renew(monotonic_ns())

    def panic_below(self, int min_health_percent) -> None:
        """While fewer than so many percent of the endpoints are in, those that are out get requests, too; 0: never."""
        self.min_health = min_health_percent
        self.renew(monotonic_ns())

    def warm(self, double window_ms, double least_percent, double aggression, list joined) -> None:
        """Endpoints take their share over so long, from when they joined on (`joined`: CLOCK_MONOTONIC ns, by position).
        Those of 0 did when they were seen first, as the scoreboard has it."""
        cdef int position
        cdef int64_t sum = 0
        self.warm_up = <WarmUp*>room(1, sizeof(WarmUp))
        self.warm_up.joined = <int64_t*>room(self.view.count, sizeof(int64_t))
        self.warm_up.whole = <int32_t*>room(self.view.count, sizeof(int32_t))
        for position in range(self.view.count):
            sum += self.weights[position]
        self.warm_up.scale = max(1, min(FINEST, HEAVIEST_SUM // max(1, sum)))
        for position in range(self.view.count):
            self.warm_up.joined[position] = joined[position]
            self.warm_up.whole[position] = <int32_t>(self.weights[position] * self.warm_up.scale)
        self.warm_up.window_ms, self.warm_up.aggression = window_ms, aggression
        self.warm_up.least = least_percent / 100
        self.warm_up.step = max(SHORTEST_MS, <int64_t>window_ms // STEPS) * MS
        self.renew(monotonic_ns())

    def __dealloc__(self):
        if self.warm_up != NULL:
            free(self.warm_up.joined)
            free(self.warm_up.whole)
            free(self.warm_up)
        free(self.rows)
        free(self.members)
        free(self.rank)
        free(self.offering)
        free(self.here)
        free(self.tried)
        free(self.weights)
        free(self.sums)

    cdef int pick(self, uint64_t key) noexcept:
        """The position of the endpoint that gets the next request, -1 if there is none; none that is marked as
        tried. `key` is the request's number for consistent hashing, 0 if it has none."""
        cdef int position
        self.look()
        if self.offers:
            position = self.take_offer()
            if position >= 0:
                return position
        return self.choose(key)

    cdef inline void look(self) noexcept:
        """Renews the index if there is need."""
        if self.changes != NULL and wp_loadu(self.changes) != self.seen:
            self.renew(monotonic_ns())
        elif self.soonest != NEVER and monotonic_ns() >= self.soonest:
            self.renew(monotonic_ns())

    cdef bint has(self, int position) noexcept:
        """Whether it is in."""
        self.look()
        return self.here[position]

    cdef void mark(self, int position, unsigned char mark) noexcept:
        """The request has tried this one (1); it has been marked for long enough (0)."""
        self.tried[position] = mark

    cdef int take_offer(self) noexcept:
        """One that is out and is tried by this request all the same, as it offers itself to one; -1 if none does any
        more. Another worker may have been the first: that is no change, so whoever finds it forgets the offer."""
        cdef int at = 0, position
        while at < self.offers:
            position = self.offering[at]
            if not self.tried[position] and take_probe(self.rows[position]):
                return position
            if wp_load(&self.rows[position].probe) == PROBE_OFFERED:
                at += 1
                continue
            self.offers -= 1
            self.offering[at] = self.offering[self.offers]
        return -1

    # -- the index ----------------------------------------------------------------------------------------------------

    cdef void renew(self, int64_t now) noexcept:
        """Looks at every endpoint. The version is read first: what changes meanwhile is seen the next time."""
        cdef int position
        if self.changes != NULL:
            self.seen = wp_loadu(self.changes)
        self.soonest = NEVER
        self.offers = 0
        for position in range(self.view.count):
            self.look_at(position, now)
        if self.warm_up != NULL:
            self.weigh(now)
        self.count_out()
        if panics(self.view.present, self.view.count, self.min_health):
            self.bring_all_in()
            self.count_out()

    cdef void bring_all_in(self) noexcept:
        cdef int position
        for position in range(self.view.count):
            if not self.here[position]:
                self.up(position)

    cdef void look_at(self, int position, int64_t now) noexcept:
        cdef int64_t until = wp_load64(&self.rows[position].ejected_until) if self.changes != NULL else 0
        if until <= now:
            if not self.here[position]:
                self.up(position)
            return
        if self.here[position]:
            self.down(position)
        self.soonest = min(self.soonest, until)
        if wp_load(&self.rows[position].probe) == PROBE_OFFERED:
            self.offering[self.offers] = position
            self.offers += 1

    cdef void weigh(self, int64_t now) noexcept:
        """What each weighs at its age. While one is young, this is soon to be done again."""
        cdef WarmUp* known = self.warm_up
        cdef int position
        cdef int64_t joined
        cdef double age_ms, part
        self.unequal = False
        for position in range(self.view.count):
            joined = known.joined[position]
            if joined == 0:
                joined = wp_load64(&self.rows[position].since)
            age_ms = <double>(now - joined) / MS
            part = warmth(age_ms, known.window_ms, known.least, known.aggression)
            self.weights[position] = max(1, <int32_t>(known.whole[position] * part + 0.5))
            self.unequal |= self.weights[position] != self.weights[0]
            if age_ms < known.window_ms:
                self.soonest = min(self.soonest, now + known.step)

    cdef void count_out(self) noexcept:
        cdef int position, present = 0
        cdef int64_t sum = 0
        for position in range(self.view.count):
            self.rank[position] = present
            if self.here[position]:
                sum += self.weights[position]
                self.members[present], self.sums[present] = position, sum
                present += 1
        self.view.present = present

    # -- the algorithm ------------------------------------------------------------------------------------------------

    cdef int choose(self, uint64_t key) noexcept:
        """The position whose turn it is among those that are in and were not tried, -1 if there is none."""
        return -1

    cdef void up(self, int position) noexcept:
        """The endpoint has come in."""
        self.here[position] = 1

    cdef void down(self, int position) noexcept:
        """It has gone out."""
        self.here[position] = 0

    cdef void take(self, EndpointRow* row, int32_t* share) noexcept:
        """An attempt on the endpoint begins. Load is the replica's, on the scoreboard; `share` is this worker's part."""
        wp_add(&row.in_flight, 1)
        share[0] += 1
        wp_add64(&row.requests, 1)

    cdef void drop(self, EndpointRow* row, int32_t* share) noexcept:
        """It has ended."""
        share[0] -= 1
        wp_add(&row.in_flight, -1)


cdef class RoundRobin(Chooser):
    """Strictly in turn, or as often as weights say. The cursor is the replica's: a turn taken by another worker meanwhile is
    taken into account, so that all workers together go round as one."""

    def __cinit__(self, Scoreboard scoreboard, list slots, list weights, int cluster, bint ejects, *_: object):
        self.cursor = &scoreboard.memory.cluster(cluster).cursor

    def go_alone(self) -> None:
        """The turns of others do not matter, nor ours to them."""
        self.cursor = &self.own_cursor

    def go_as_group(self, Scoreboard scoreboard, int cluster, int group) -> None:
        """These are a group of the cluster's endpoints, with turns of their own; beyond so many groups those of this
        worker alone."""
        if group < GROUPS:
            self.cursor = &scoreboard.memory.cluster(cluster).cursors[group]
        else:
            self.go_alone()

    cdef int choose(self, uint64_t key) noexcept:
        return self.choose_by_weight() if self.unequal else self.choose_in_turn()

    cdef int choose_by_weight(self) noexcept:
        if self.view.present == 0:
            return -1
        return from_turn(turn_of(spread(<uint32_t>wp_add(self.cursor, 1)), &self.view), &self.view)

    cdef int choose_in_turn(self) noexcept:
        cdef int cursor, position
        while True:
            cursor = wp_load(self.cursor)
            position = round_robin(cursor - 1, &self.view)
            if position < 0 or wp_swap(self.cursor, cursor, position + 1):
                return position


cdef void* room(int count, size_t size) except NULL:
    """Zeroes for so many."""
    cdef void* made = calloc(count + 1, size)
    if made == NULL:
        raise MemoryError
    return made
