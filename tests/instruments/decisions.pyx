"""The decisions of proxy/policy as they are compiled, called with the shapes that the interpreted ones take."""

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport free, malloc

from proxy.policy cimport cause, outlier, retry, route
from proxy.policy.balance cimport consistent_hash, groups as spreading, least_request, panic, round_robin as balance
from proxy.policy.balance cimport warmup, weighted
from proxy.policy.facts cimport Ending, Facts, Groups, OutlierRule, RetryRule, View


def place_of(facts) -> int:
    cdef Facts made
    made.tunnelled, made.connect = facts.tunnelled, facts.connect
    return route.place_of(&made)


cdef class Seen:
    """A View, and what it points at."""

    cdef View view
    cdef bytes tried
    cdef int32_t* members
    cdef int32_t* rank
    cdef int32_t* weights
    cdef int64_t* sums

    def __init__(self, view):
        self.tried = bytes(view.tried)
        self.members, self.rank, self.weights = numbers(view.members), numbers(view.rank), numbers(view.weights)
        self.sums = long_numbers(view.sums)
        self.view.count, self.view.present = view.count, view.present
        self.view.members, self.view.rank, self.view.weights = self.members, self.rank, self.weights
        self.view.sums = self.sums
        self.view.tried = self.tried

    def __dealloc__(self):
        free(self.members)
        free(self.rank)
        free(self.weights)
        free(self.sums)


def round_robin(int last, view) -> int:
    cdef Seen seen = Seen(view)
    return balance.round_robin(last, &seen.view)


def from_turn(int turn, view) -> int:
    cdef Seen seen = Seen(view)
    return balance.from_turn(turn, &seen.view)


def spread(uint64_t counter) -> int:
    return weighted.spread(counter)


def turn_of(uint64_t draw, view) -> int:
    cdef Seen seen = Seen(view)
    return weighted.turn_of(draw, &seen.view)


def second_is_lighter(first_active, second_active, first_weight, second_weight) -> bool:
    return least_request.second_is_lighter(first_active, second_active, first_weight, second_weight)


def hash_of(bytes octets) -> int:
    return consistent_hash.hash_of(octets, len(octets))


def rendezvous(uint64_t key, seeds, view) -> int:
    cdef Seen seen = Seen(view)
    cdef int64_t* numbers = long_numbers(seeds)
    try:
        return consistent_hash.rendezvous(key, <uint64_t*>numbers, &seen.view)
    finally:
        free(numbers)


def weighted_rendezvous(uint64_t key, seeds, positions, view) -> int:
    cdef Seen seen = Seen(view)
    cdef int64_t* numbers = long_numbers(seeds)
    cdef int32_t* order = numbers_of(len(positions))
    try:
        for at, position in enumerate(positions):
            order[at] = position
        return consistent_hash.weighted_rendezvous(key, <uint64_t*>numbers, order, &seen.view)
    finally:
        free(numbers)
        free(order)


def table_of(uint64_t size, seeds, view) -> list[int]:
    """As Maglev fills it."""
    cdef Seen seen = Seen(view)
    cdef int64_t* numbers = long_numbers(seeds)
    cdef int64_t* places = long_numbers([0] * view.count)
    cdef int64_t* credits = long_numbers([0] * view.count)
    cdef int32_t* table = numbers_of(size)
    try:
        taken = consistent_hash.fill(table, size, <uint64_t*>numbers, <uint64_t*>places, credits, &seen.view)
        return [table[place] for place in range(taken)]
    finally:
        free(numbers)
        free(places)
        free(credits)
        free(table)


def in_table(uint64_t key, table, bytes here, view) -> int:
    cdef Seen seen = Seen(view)
    cdef int32_t* places = numbers(table)
    try:
        return consistent_hash.in_table(key, places, len(table), here, &seen.view)
    finally:
        free(places)


def panics(int present, int count, int min_health_percent) -> bool:
    return panic.panics(present, count, min_health_percent)


cdef class Spread:
    """Groups, and what they point at."""

    cdef Groups groups
    cdef int32_t* sizes
    cdef int32_t* present
    cdef int32_t* weights
    cdef int64_t* loads
    cdef bytearray panicking

    def __init__(self, groups):
        self.sizes, self.present, self.weights = numbers(groups.sizes), numbers(groups.present), numbers(groups.weights)
        self.loads, self.panicking = long_numbers(groups.loads), bytearray(groups.panicking)
        self.groups.count, self.groups.sizes, self.groups.present = groups.count, self.sizes, self.present
        self.groups.weights, self.groups.loads, self.groups.panicking = self.weights, self.loads, self.panicking

    def told(self, total):
        """What a decision has said of them."""
        return total, [self.loads[at] for at in range(self.groups.count)], list(self.panicking[:self.groups.count])

    def __dealloc__(self):
        free(self.sizes)
        free(self.present)
        free(self.weights)
        free(self.loads)


def fail_over(groups, int min_health_percent):
    cdef Spread seen = Spread(groups)
    return seen.told(spreading.fail_over(&seen.groups, min_health_percent))


def distribute(groups, int min_health_percent):
    cdef Spread seen = Spread(groups)
    return seen.told(spreading.distribute(&seen.groups, min_health_percent))


def group_of(uint64_t draw, uint64_t total, groups) -> int:
    cdef Spread seen = Spread(groups)
    return spreading.group_of(draw, total, &seen.groups)


def warmth(double age_ms, double window_ms, double least, double aggression) -> float:
    return warmup.warmth(age_ms, window_ms, least, aggression)


def again(rule, ending) -> int:
    cdef RetryRule made
    cdef Ending end = ending_of(ending)
    made.retries, made.named, made.resets, made.grpc = rule.retries, rule.named, rule.resets, rule.grpc
    for at in range(500):
        made.statuses[at] = rule.statuses[at] if rule.statuses else 0
    return retry.again(&made, &end)


def outcome_of(rule, ending) -> int:
    cdef OutlierRule made
    cdef Ending end = ending_of(ending)
    made.abandoned, made.listed = rule.abandoned, rule.listed
    for at, fails in enumerate(rule.failing):
        made.failing[<int>at] = fails
    return outlier.outcome_of(&made, &end)


def status_of(ending) -> int:
    cdef Ending end = ending_of(ending)
    return outlier.status_of(&end)


def cause_of(ending) -> int:
    cdef Ending end = ending_of(ending)
    return cause.cause_of(&end)


def spoke(int why) -> bool:
    return cause.spoke(why)


cdef Ending ending_of(ending):
    cdef Ending made
    made.how, made.status, made.grpc = ending.how, ending.status, ending.grpc
    made.sent, made.repeatable, made.pooled = ending.sent, ending.repeatable, ending.pooled
    made.answered, made.waits = ending.answered, ending.waits
    made.retries, made.untried, made.waited = ending.retries, ending.untried, ending.waited
    made.trouble = ending.trouble
    made.whole, made.limited = ending.whole, ending.limited
    return made


cdef int32_t* numbers_of(Py_ssize_t count) except NULL:
    cdef int32_t* made = <int32_t*>malloc((count + 1) * sizeof(int32_t))
    if made == NULL:
        raise MemoryError
    return made


cdef int32_t* numbers(values) except NULL:
    cdef int32_t* made = numbers_of(len(values))
    for at, value in enumerate(values):
        made[at] = value
    return made


cdef int64_t* long_numbers(values) except NULL:
    """Those of 64 bits without a sign keep their bits."""
    cdef uint64_t* made = <uint64_t*>malloc((len(values) + 1) * sizeof(uint64_t))
    if made == NULL:
        raise MemoryError
    for at, value in enumerate(values):
        made[at] = value
    return <int64_t*>made
