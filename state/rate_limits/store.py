"""Leases of requests, from a Redis or Valkey server. As with ejections, it never retries, and its failures are
StoreUnavailable."""

from typing import Protocol, cast

import redis

from state.keys import Keys, word
from state.rate_limits.decide import Asked, Lease
from state.scripts import alone
from state.server.failures import unavailable

ALIVE_MS = 5000
"""A replica that has not asked for so long is none any more."""


class Lender(Protocol):
    """Who leases requests."""

    def lease(self, cluster: str, asked: Asked) -> Lease:
        """What there is of what is asked for."""


class RateLimitStore:
    """A `Lender` shared by all replicas that use the same server and prefix. `client` must decode responses."""

    def __init__(self, client: redis.Redis, prefix: str = "waypoint") -> None:
        self._prefix = prefix
        self._script = client.register_script(alone("lease_requests"))

    def lease(self, cluster: str, asked: Asked) -> Lease:
        """See Lender."""
        key = Keys(self._prefix, cluster).rate_limit(asked.limit)
        numbers = [asked.interval_ns, asked.capacity, asked.owed, asked.wanted, ALIVE_MS]
        with unavailable():
            reply = cast(list[int], self._script(keys=[key], args=[word(asked.replica), asked.text, *numbers]))
            return Lease(*map(int, reply))
