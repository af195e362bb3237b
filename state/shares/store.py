"""Shares of a cluster's limits, from a Redis or Valkey server. As with ejections, it never retries, and its failures
are StoreUnavailable."""

from typing import Protocol, cast

import redis

from state.keys import Keys, word
from state.scripts import alone
from state.server.failures import unavailable
from state.shares.decide import ALIVE_MS, SETTLE_MS, SILENCE_MS, SLICES, Asked, Shares

NO_BUDGET = -1


class Sharer(Protocol):
    """Who shares limits out."""

    def share(self, cluster: str, asked: Asked) -> Shares:
        """What there is for a replica."""


class ShareStore:
    """A `Sharer` for all replicas that use the same server and prefix. `client` must decode responses."""

    def __init__(self, client: redis.Redis, prefix: str = "waypoint") -> None:
        self._prefix = prefix
        self._script = client.register_script(alone("share_limits"))

    def share(self, cluster: str, asked: Asked) -> Shares:
        """See Sharer."""
        budget = NO_BUDGET if asked.budget is None else asked.budget
        args: list[str | int] = [word(asked.replica), asked.turn, asked.active, budget]
        args += [ALIVE_MS, SILENCE_MS, SETTLE_MS, SLICES]
        for kind, claim in asked.claims.items():
            args += [kind, asked.limits[kind], claim.held, claim.needs]
        with unavailable():
            reply = cast(list[int], self._script(keys=[Keys(self._prefix, cluster).limits], args=args))
            turn, replicas, *shares = map(int, reply)
        return Shares(turn, replicas, dict(zip(asked.claims, shares, strict=True)) if shares else None)
