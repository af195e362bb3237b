"""How many of what a cluster has limits for there may be now: the limit, or where the fleet keeps limits together this
replica's share of it, which whoever leads has written on the scoreboard (proxy/fleet/sharing.py).

What there is is counted for all workers of the replica (scoreboard/limits.pyx).
"""

cimport cython
from libc.stdint cimport int64_t

from proxy.clock cimport monotonic_ns
from proxy.policy.breaker cimport at_once, retries_at_once
from proxy.scoreboard.layout cimport CONNECTIONS, PENDING, REQUESTS, RETRIES
from proxy.scoreboard.limits cimport UNLIMITED, count_held, drop_one, take_one
from proxy.scoreboard.recent cimport count_recent, note_request
from proxy.scoreboard.shares cimport share_of


@cython.final
cdef class Allowance:
    """One cluster's in one worker."""

    cdef int set(self, dict pool) except -1:
        """From now on the cluster has these limits (ipc.snapshot's PoolForm)."""
        self.most[CONNECTIONS] = pool.get("connections", UNLIMITED)
        self.most[PENDING] = pool.get("pending", UNLIMITED)
        self.most[REQUESTS] = pool.get("requests", UNLIMITED)
        self.retries.retries = pool.get("retries", UNLIMITED)
        self.retries.budgeted = "budget_percent" in pool
        self.retries.budget = round(pool.get("budget_percent", 0) * 100)
        self.retries.budget_min = pool.get("budget_min", 0)
        self.interval = pool.get("budget_interval_ms", 0) * 1_000_000
        self.shared = pool.get("fleet", False)
        return 0

    cdef int64_t now(self, int kind) noexcept:
        """How many there may be; of anything but retries."""
        return at_once(self.most[kind], share_of(self.row, kind) if self.shared else -1)

    cdef bint take(self, int kind) noexcept:
        """One more. False: there are as many as there may be."""
        return take_one(self.row, self.own, kind, self.now(kind))

    cdef bint begin_request(self) noexcept:
        """One more is sent. False: there are as many as there may be."""
        if self.take(REQUESTS):
            if self.interval:
                note_request(self.row, self.interval, monotonic_ns())
            return True
        self.counters.refused[REQUESTS] += 1
        return False

    cdef void end_request(self) noexcept:
        drop_one(self.row, self.own, REQUESTS)

    cdef int64_t budgeted(self) noexcept:
        """Of how many requests the budget of retries is a part."""
        if self.interval:
            return count_recent(self.row, self.interval, monotonic_ns())
        return count_held(self.row, REQUESTS) + count_held(self.row, PENDING)

    cdef bint begin_retry(self) noexcept:
        """One more request is tried again; as begin_request."""
        cdef int64_t share = share_of(self.row, RETRIES) if self.shared else -1
        if take_one(self.row, self.own, RETRIES, retries_at_once(&self.retries, self.budgeted(), share)):
            return True
        self.counters.refused[RETRIES] += 1
        return False

    cdef void end_retry(self) noexcept:
        drop_one(self.row, self.own, RETRIES)
