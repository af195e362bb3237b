"""How many requests a cluster takes in a time: its rate limits, as a snapshot's RateLimitForm has them.

Each limit is asked in its order; one that refuses ends it, and what those before have counted is taken back. Decisions
are proxy/policy/rate_limit.py's; what is counted lies on the scoreboard, so that limits are exact over the workers.
"""

cimport cython
from libc.stdint cimport int64_t, uint64_t

from proxy.clock cimport monotonic_ns
from proxy.policy.balance.consistent_hash cimport hash_of, mixed
from proxy.policy.rate_limit cimport arrival_after, share_burst, share_interval, wait_before
from proxy.scoreboard.atomics cimport wp_add64, wp_load64, wp_swap64
from proxy.scoreboard.keys cimport key_under
from proxy.scoreboard.rate_limits cimport bucket_of_key, bucket_of_rule
from proxy.wire.http.head cimport Field
from proxy.wire.http.names cimport is_text, span_of

cdef dict KINDS = {"none": TOGETHER, "header": BY_FIELD, "path": BY_PATH, "identity": BY_PEER}
cdef int64_t SECOND = 1_000_000_000


cdef class RateLimits:
    """Those of a cluster."""

    def __init__(self, Memory memory not None, list forms):
        cdef Limiter limiter
        self.limiters = [Limiter(memory, form) for form in forms]
        for limiter in self.limiters:
            self.by_path |= limiter.counted == BY_PATH

    cdef Limiter refuses(self, Head head, Stream client):
        """The one that does not let the request in; None: it is let in, and counted."""
        cdef Limiter limiter, other
        cdef int64_t now = monotonic_ns()
        for limiter in self.limiters:
            if not limiter.take(head, client, now):
                for other in self.limiters:
                    if other is limiter:
                        return limiter
                    other.give_back()
        return None

    cdef void give_back(self) noexcept:
        """What was taken for the request that was let in last: somebody else refuses it."""
        cdef Limiter limiter
        for limiter in self.limiters:
            limiter.give_back()


@cython.final
cdef class Limiter:
    """One limit. Of the request that it was asked for last it knows what it has counted."""

    def __init__(self, Memory memory not None, dict form):
        self.memory = memory
        self.id = form["id"]
        self.limit.interval, self.limit.burst = form["interval_ns"], form["burst"]
        self.counted = KINDS[form["key"]]
        self.fleet = form["fleet"]
        self.header, self.text = form["header"].encode(), form["text"].encode()

    cdef bint take(self, Head head, Stream client, int64_t now) noexcept:
        """Counts the request, or leaves in `wait` how long it had to wait."""
        if self.counted == TOGETHER:
            self.bucket = bucket_of_rule(self.memory, self.id, now)
        else:
            self.bucket = bucket_of_key(self.memory, self.key_of(head, client), now)
        return self.take_leased(now) if self.fleet else self.take_own(&self.limit, now)

    cdef bint take_leased(self, int64_t now) noexcept:
        """Out of what the fleet has leased to this replica. Without a lease, and without word that there is none to be
        had, the replica counts by itself, for its share, and owes it to the fleet."""
        cdef Bucket* bucket = self.bucket
        wp_add64(&bucket.asked, 1)
        self.leased = wp_load64(&bucket.lapses_at) > now and wp_load64(&bucket.leased) > 0
        if self.leased:
            self.leased = wp_add64(&bucket.leased, -1) >= 0
            if not self.leased:
                wp_add64(&bucket.leased, 1)
        self.wait = 0 if self.leased else max(0, wp_load64(&bucket.refused_until) - now)
        if self.leased or self.wait:
            return self.leased
        cdef int64_t replicas = self.replicas(now)
        cdef RateLimit share
        share.interval, share.burst = share_interval(&self.limit, replicas), share_burst(&self.limit, replicas)
        if not self.take_own(&share, now):
            return False
        wp_add64(&bucket.owed, 1)
        return True

    cdef int64_t replicas(self, int64_t now) noexcept:
        """How many there are. Of a key that is new, the limit's own bucket says it."""
        cdef int64_t found = wp_load64(&self.bucket.replicas)
        if found == 0 and self.counted != TOGETHER:
            found = wp_load64(&bucket_of_rule(self.memory, self.id, now).replicas)
        return found

    cdef bint take_own(self, const RateLimit* limit, int64_t now) noexcept:
        """Counts it here."""
        cdef int64_t seen
        while True:
            seen = wp_load64(&self.bucket.arrival)
            self.wait = wait_before(limit, seen, now)
            if self.wait or wp_swap64(&self.bucket.arrival, seen, arrival_after(limit, seen, now, 1)):
                self.interval = limit.interval
                return self.wait == 0

    cdef void give_back(self) noexcept:
        """What was taken for the request: another limit refuses it."""
        if self.leased:
            wp_add64(&self.bucket.leased, 1)
            return
        if self.fleet:
            wp_add64(&self.bucket.owed, -1)
        wp_add64(&self.bucket.arrival, -self.interval)

    cdef uint64_t key_of(self, Head head, Stream client) noexcept:
        """The number of what counts together. Requests that have nothing to go by count together, too."""
        cdef const char* text = client.buffer
        cdef uint64_t number = 0
        cdef Py_ssize_t length = 0
        cdef Field* field
        cdef int at
        if self.counted == BY_PEER and client.identity is not None:
            number = hash_of(<const unsigned char*>client.identity, len(client.identity))
        elif self.counted == BY_PATH:
            while length < head.path.length and text[head.path.at + length] not in (c"?", c"#"):
                length += 1
            number = hash_of(<const unsigned char*>text + head.path.at, length)
        elif self.counted == BY_FIELD:
            for at in range(head.count):
                field = &head.fields[at]
                if is_text(text, span_of(field.name, field.name_length), self.header, len(self.header)):
                    number += hash_of(<const unsigned char*>text + field.value, field.value_length)
        number = mixed(number + self.id)
        if self.fleet:
            return key_under(self.id, number)
        return number if number else 1

    cdef bytes fields(self, int64_t now):
        """What a client is told that has to wait: when to come again, and what there is."""
        cdef int64_t full = self.wait if self.fleet else max(0, wp_load64(&self.bucket.arrival) - now)
        return b"retry-after: %d\r\nx-ratelimit-limit: %d\r\nx-ratelimit-remaining: 0\r\nx-ratelimit-reset: %d" % (
            seconds(self.wait), self.limit.burst, seconds(full))


cdef int64_t seconds(int64_t ns) noexcept:
    """Whole ones, none too few."""
    return (ns + SECOND - 1) // SECOND
