"""Since when endpoints are known, from a Redis or Valkey server. It never retries; failures are StoreUnavailable."""

from collections.abc import Mapping
from typing import Protocol, cast

import redis

from state.keys import Keys, word
from state.scripts import alone
from state.server.failures import unavailable
from state.warmup.decide import FORGET_MS

Name = tuple[str, str]
"""Address and workload."""


class Register(Protocol):
    """Who knows since when endpoints are there."""

    def first_seen(self, cluster: str, ages_ms: Mapping[Name, int]) -> dict[Name, int]:
        """`decide.first_seen`, by name."""


class WarmupStore:
    """A `Register` for all replicas that use the same server and prefix. `client` must decode responses."""

    def __init__(self, client: redis.Redis, prefix: str = "waypoint") -> None:
        self._prefix = prefix
        self._script = client.register_script(alone("first_seen"))

    def first_seen(self, cluster: str, ages_ms: Mapping[Name, int]) -> dict[Name, int]:
        """See Register."""
        args: list[str | int] = [FORGET_MS]
        for (address, workload), age_ms in ages_ms.items():
            args += [f"{address} {word(workload)}", age_ms]
        with unavailable():
            reply = cast(list[int], self._script(keys=[Keys(self._prefix, cluster).first_seen], args=args))
            return dict(zip(ages_ms, map(int, reply), strict=True))
