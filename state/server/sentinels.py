"""Asking Sentinels for the primary.

redis-py believes the first Sentinel that answers, and reads SENTINEL MASTERS, which names the old primary until the
whole failover is over. If that one is back by then (restarted by its supervisor, or no longer hung) it still takes
itself for the primary, and takes reports that are lost a moment later. So all Sentinels are asked, for the address
itself, and the newest configuration counts.

The protocol: redis.io/docs/latest/develop/reference/sentinel-clients.
"""

from time import monotonic
from typing import Any

import redis
from redis.sentinel import MasterNotFoundError, Sentinel, SentinelConnectionPool

from state.server.redis_url import Address


class Sentinels(Sentinel):
    """Some Sentinels. After `patience` seconds no further one is asked; who did not answer comes last the next time."""

    def __init__(self, addresses: tuple[Address, ...], patience: float, options: dict[str, Any]) -> None:
        super().__init__(addresses, sentinel_kwargs=options)  # type: ignore[no-untyped-call]
        self._patience = patience

    def discover_master(self, service_name: str) -> Address:
        """Where the primary is. Raises redis.ConnectionError."""
        deadline = monotonic() + self._patience
        newest, found, errors = -1, None, []
        for sentinel in list(self.sentinels):
            try:
                epoch, address = self._ask(sentinel, service_name)
                if epoch > newest:
                    newest, found = epoch, address
            except (redis.ConnectionError, redis.TimeoutError) as error:
                errors.append(str(error))
                self.sentinels.remove(sentinel)
                self.sentinels.append(sentinel)
            if monotonic() > deadline:
                break
        if found is None:
            raise MasterNotFoundError(f"no Sentinel knows a primary {service_name!r} {'; '.join(errors)}".rstrip())
        return found

    def _ask(self, sentinel: Any, service_name: str) -> tuple[int, Address | None]:
        """The epoch of the configuration that a Sentinel has, and the address in it; (-1, None) if it knows none."""
        state = sentinel.sentinel_masters().get(service_name)
        address = sentinel.sentinel_get_master_addr_by_name(service_name) if state else None
        if address is None:
            return -1, None
        promoted = address != (state["ip"], state["port"])  # while replicas are told; the state is of the old one
        alive = promoted or self.check_master_state(state, service_name)  # type: ignore[no-untyped-call]
        return (state["config-epoch"], address) if alive else (-1, None)


def moved(client: redis.Redis) -> bool:
    """Whether the Sentinels name another primary than the one that `client` uses; False if it uses none.

    A primary that is told to step back goes on answering for up to ten seconds, and what it is told then is lost. The
    client's idle connections to it are closed.
    """
    pool: Any = client.connection_pool
    before = pool.master_address if isinstance(pool, SentinelConnectionPool) else None
    try:
        return before is not None and pool.get_master_address() != before
    except (redis.RedisError, OSError):
        return False
