"""Buckets of the scoreboard, counted in by hand, and the decisions about them as they are compiled."""

from libc.stdint cimport int64_t, uint64_t

from proxy.policy cimport rate_limit as policy
from proxy.policy.facts cimport RateLimit
from proxy.relay.endpoints.rate_limits cimport Limiter
from proxy.scoreboard.keys cimport key_under
from proxy.scoreboard.layout cimport Bucket
from proxy.scoreboard.rate_limits cimport bucket_of_key, bucket_of_rule
from proxy.scoreboard.scoreboard cimport Scoreboard


def decided(limit, int64_t arrival, int64_t now, int64_t count) -> tuple:
    """What each decision says."""
    cdef RateLimit made
    made.interval, made.burst = limit.interval, limit.burst
    return (
        policy.wait_before(&made, arrival, now), policy.arrival_after(&made, arrival, now, count),
        policy.share_interval(&made, count), policy.share_burst(&made, count),
    )


cdef Bucket* bucket(Scoreboard board, bint keyed, uint64_t key, int64_t now) noexcept:
    return bucket_of_key(board.memory, key, now) if keyed else bucket_of_rule(board.memory, key, now)


def arrival(Scoreboard board, bint keyed, uint64_t key, int64_t now) -> int:
    """What is known of what counts together under that number; it has a bucket from now on."""
    return bucket(board, keyed, key, now).arrival


def put_arrival(Scoreboard board, bint keyed, uint64_t key, int64_t now, int64_t arrival) -> None:
    bucket(board, keyed, key, now).arrival = arrival


cdef class Taker:
    """A limit as a worker asks it."""

    cdef Limiter limiter

    def __init__(self, Scoreboard board not None, dict form):
        self.limiter = Limiter(board.memory, form)

    def take(self, int64_t now) -> int:
        """How long a request had to wait (ns); 0: it is let in."""
        return 0 if self.limiter.take(None, None, now) else self.limiter.wait

    def take_by_key(self, uint64_t key, int64_t now) -> int:
        """The same of a limit that the fleet keeps by keys."""
        self.limiter.bucket = bucket_of_key(self.limiter.memory, key_under(self.limiter.id, key), now)
        return 0 if self.limiter.take_leased(now) else self.limiter.wait

    def give_back(self) -> None:
        self.limiter.give_back()
