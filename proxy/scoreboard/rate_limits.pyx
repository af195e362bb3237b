"""Where it is counted how many requests came in a time, for all workers of a replica together: buckets.

A bucket is found by the number of what counts together, which has BUCKET_WAYS places where it may be. Nobody gives
buckets out or takes them back: one whose times are past says nothing, and is whoever's wants it. Where all eight
places are in use, the bucket that would say nothing soonest is given away, and its requests begin anew. So there is
never no bucket; and those of limits under which all requests count together, of which configuration says how many there
are, have places of their own, that no client's choice of keys takes from them.

Two workers may make one for the same number at the same moment. Each looks, after it has taken a place, whether there is
another now, and if so gives its own back and begins again; one of them has looked last, and finds what the other has.
Who counts in a bucket at the very moment in which its time is over, and another takes it, counts for that one: one
request, at a time when there was nothing to count.

Where the whole fleet counts by keys, the number of each says which limit it is under (keys.pxd), so that buckets say who is
in use. Where the whole fleet counts, the worker that leads puts leases into the bucket (proxy/fleet/lending.py), which all
workers take from: `leased` may for a moment be less than 0, while somebody finds that there is nothing left.
"""

from libc.stdint cimport int64_t, uint64_t

from proxy.scoreboard.atomics cimport wp_add64, wp_fence, wp_load64, wp_store64, wp_swap64
from proxy.scoreboard.keys cimport is_under
from proxy.scoreboard.layout cimport BUCKET_WAYS, KEY_BUCKETS, RULE_BUCKETS

from proxy.scoreboard.views import Lent

cdef enum:
    TURNS = 8           # after which two that make the same bucket both have it

cdef int64_t LATELY = 2_000_000_000


cdef class RateLimits:
    """For who lends: the buckets of limits that the fleet keeps. `key` is not 0; `by_key`: it is one of many of a limit,
    whose bucket is there only while somebody asks."""

    def __init__(self, Memory memory not None):
        self.memory = memory

    def in_use(self, uint64_t limit, int most) -> list:
        """Keys of a limit that somebody has asked for lately; `most` of them."""
        cdef list found = []
        cdef int64_t since = self.memory.now() - LATELY
        cdef Bucket* bucket
        cdef int at
        for at in range(KEY_BUCKETS):
            bucket = self.memory.key_buckets + at
            if is_under(limit, bucket.key) and (wp_load64(&bucket.owed) or in_use_until(bucket) > since):
                found.append(bucket.key)
                if len(found) == most:
                    break
        return found

    def lent(self, uint64_t key, bint by_key=False) -> Lent:
        """How a bucket stands."""
        cdef Bucket* bucket = bucket_of(self.memory, key, by_key)
        if bucket == NULL:
            return Lent(0, 0, 0)
        cdef int64_t left = max(0, wp_load64(&bucket.leased)) if bucket.lapses_at > self.memory.now() else 0
        return Lent(left, wp_load64(&bucket.asked), wp_load64(&bucket.owed))

    def settle(self, uint64_t key, bint by_key=False) -> int:
        """How many were let in on this replica's own account since this was asked last, less those that were leased
        and have lapsed."""
        cdef Bucket* bucket = bucket_of(self.memory, key, by_key)
        if bucket == NULL:
            return 0
        cdef int64_t owed = wp_load64(&bucket.owed), lapsed = 0
        wp_add64(&bucket.owed, -owed)
        if bucket.lapses_at <= self.memory.now():
            lapsed = max(0, wp_load64(&bucket.leased))
            wp_add64(&bucket.leased, -lapsed)
        return owed - lapsed

    def lend(
        self, uint64_t key, int64_t count, int64_t lapses_at, int64_t refused_until, int64_t replicas, bint by_key=False,
    ) -> None:
        """So many more; times in ns."""
        cdef Bucket* bucket = bucket_of(self.memory, key, by_key)
        if bucket == NULL:
            return
        wp_add64(&bucket.leased, count)
        wp_store64(&bucket.lapses_at, lapses_at)
        wp_store64(&bucket.refused_until, refused_until)
        wp_store64(&bucket.replicas, replicas)

    def disown(self, uint64_t key, bint by_key=False) -> None:
        """The fleet does not answer: what this replica lets in is its own business."""
        cdef Bucket* bucket = bucket_of(self.memory, key, by_key)
        if bucket != NULL:
            wp_store64(&bucket.owed, 0)
            wp_store64(&bucket.refused_until, 0)


cdef Bucket* bucket_of(Memory memory, uint64_t key, bint by_key) noexcept:
    """NULL: there is none."""
    if by_key:
        return with_key(places_of_key(memory, key), key, NULL)
    return bucket_of_rule(memory, key, memory.now())


cdef Bucket* bucket_of_rule(Memory memory, uint64_t key, int64_t now) noexcept:
    """Of a limit under which all requests count together; `key` is not 0."""
    return found_or_made(memory.rule_buckets + (key % RULE_BUCKETS & ~<uint64_t>(BUCKET_WAYS - 1)), key, now)


cdef Bucket* bucket_of_key(Memory memory, uint64_t key, int64_t now) noexcept:
    """Of any other."""
    return found_or_made(places_of_key(memory, key), key, now)


cdef Bucket* places_of_key(Memory memory, uint64_t key) noexcept:
    return memory.key_buckets + (key % KEY_BUCKETS & ~<uint64_t>(BUCKET_WAYS - 1))


cdef Bucket* found_or_made(Bucket* places, uint64_t key, int64_t now) noexcept:
    cdef Bucket* found = NULL
    cdef int turn
    for turn in range(TURNS):
        found = with_key(places, key, NULL)
        if found != NULL:
            return found
        found = made(places, key, now)
        if found != NULL and with_key(places, key, found) == NULL:
            return found
        if found != NULL and turn < TURNS - 1:
            wp_swap64(<int64_t*>&found.key, <int64_t>key, 0)
    return found if found != NULL else places


cdef Bucket* with_key(Bucket* places, uint64_t key, Bucket* other) noexcept:
    """The one that has the key, but for that `other`; NULL: there is none."""
    cdef int at
    for at in range(BUCKET_WAYS):
        if <uint64_t>wp_load64(<int64_t*>&places[at].key) == key and places + at != other:
            return places + at
    return NULL


cdef Bucket* made(Bucket* places, uint64_t key, int64_t now) noexcept:
    """A place is the key's from now on, as if nothing had come; NULL: another was faster."""
    cdef Bucket* best = NULL
    cdef int64_t until, soonest = 0
    cdef uint64_t seen
    cdef int at
    for at in range(BUCKET_WAYS):
        until = in_use_until(places + at)
        if best == NULL or until < soonest:
            best, soonest = places + at, until
    seen = best.key
    if not wp_swap64(<int64_t*>&best.key, <int64_t>seen, <int64_t>key):
        return NULL
    if soonest > now:
        wp_store64(&best.arrival, 0)
    best.leased = best.lapses_at = best.refused_until = best.owed = best.asked = best.replicas = 0
    wp_fence()
    return best


cdef int64_t in_use_until(Bucket* bucket) noexcept:
    """Nobody's are before all others."""
    if wp_load64(<int64_t*>&bucket.key) == 0:
        return -1
    return max(wp_load64(&bucket.arrival), wp_load64(&bucket.lapses_at))
