"""Leases of requests, from a Redis or Valkey server. As with ejections, it never retries, and its failures are
StoreUnavailable."""

from typing import Protocol, cast

import redis

from state.keys import Keys, word
from state.rate_limits.decide import Asked, AskedByKey, Lease
from state.scripts import alone
from state.server.failures import unavailable

ALIVE_MS = 5000
"""A replica that has not asked for so long is none any more."""


class Lender(Protocol):
    """Who leases requests."""

    def lease(self, cluster: str, asked: Asked) -> Lease:
        """What there is of what is asked for."""

    def lease_by_key(self, cluster: str, asked: AskedByKey) -> tuple[int, dict[int, Lease]]:
        """How many replicas have asked lately, and the leases by key."""


class RateLimitStore:
    """A `Lender` shared by all replicas that use the same server and prefix. `client` must decode responses."""

    def __init__(self, client: redis.Redis, prefix: str = "waypoint") -> None:
        self._prefix = prefix
        self._script = client.register_script(alone("lease_requests"))
        self._by_key = client.register_script(alone("lease_by_key"))

    def lease(self, cluster: str, asked: Asked) -> Lease:
        """See Lender."""
        key = Keys(self._prefix, cluster).rate_limit(asked.limit)
        numbers = [asked.interval_ns, asked.capacity, asked.owed, asked.wanted, ALIVE_MS]
        with unavailable():
            reply = cast(list[int], self._script(keys=[key], args=[word(asked.replica), asked.text, *numbers]))
            return Lease(*map(int, reply))

    def lease_by_key(self, cluster: str, asked: AskedByKey) -> tuple[int, dict[int, Lease]]:
        """See Lender."""
        keys = Keys(self._prefix, cluster)
        names = [keys.rate_limit(asked.limit), *(keys.rate_limit_of(asked.limit, each) for each in asked.keys)]
        args: list[str | int] = [word(asked.replica), asked.text, asked.interval_ns, asked.capacity, ALIVE_MS]
        for owed, wanted in asked.keys.values():
            args += [owed, wanted]
        with unavailable():
            replicas, *reply = map(int, cast(list[int], self._by_key(keys=names, args=args)))
        leases = (Lease(count, wait_us, replicas) for count, wait_us in zip(reply[::2], reply[1::2], strict=True))
        return replicas, dict(zip(asked.keys, leases, strict=True))
