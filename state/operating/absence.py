"""That there is nothing of a fleet where it was looked for: more likely the wrong place than good news.

A replica tells of the rule of each cluster it serves, so a place without any rule is one that no replica with
outlierDetection uses.
"""

from collections.abc import Iterator
from typing import cast

import redis

from state.server.failures import unavailable

# So many keys of a database are looked at, at most.
CALLS, COUNT = 100, 1000
_RULE = "}:rule"


def nothing_of(client: redis.Redis, prefix: str) -> str:
    """What to say of it, and where there is something: under another prefix, or in another database. Raises
    StoreUnavailable."""
    database = int(client.connection_pool.connection_kwargs.get("db") or 0) if _is_single(client) else 0
    with unavailable():
        found = list(_elsewhere(client, prefix, database))
    remedy = f"; there is {', '.join(found)}" if found else "; has a replica with outlierDetection started there?"
    return f"no {prefix}:* key in database {database}, so no replica has told of any cluster{remedy}"


def _elsewhere(client: redis.Redis, prefix: str, database: int) -> Iterator[str]:
    prefixes = sorted(_prefixes(client))
    if prefixes:
        yield f"--redis-prefix {' and '.join(prefixes)}"
    for other in _databases(client) if _is_single(client) else ():
        if other != database and prefix in _prefixes_in(client, other):
            yield f"{prefix}:* in database {other} (--redis .../{other})"


def _is_single(client: redis.Redis) -> bool:
    return not hasattr(client, "primaries")


def _databases(client: redis.Redis) -> list[int]:
    """Those that have keys; none if we may not know."""
    try:
        told = client.info("keyspace")
    except redis.ResponseError:
        return []
    return [int(name[2:]) for name in told if name.startswith("db") and name[2:].isdigit()]


def _prefixes_in(client: redis.Redis, database: int) -> set[str]:
    pool = client.connection_pool
    there = redis.ConnectionPool(pool.connection_class, **{**pool.connection_kwargs, "db": database})
    try:
        return _prefixes(redis.Redis(connection_pool=there))
    except redis.RedisError:
        return set()  # no SELECT for us: then it is not ours
    finally:
        there.disconnect()


def _prefixes(client: redis.Redis) -> set[str]:
    """Of all fleets that tell of rules here, as far as we may see, and among the first keys of a large database."""
    found: set[str] = set()
    cursor = 0
    for _ in range(CALLS):
        cursor, keys = cast(tuple[int, list[str]], client.scan(cursor, match="*:{*}:rule", count=COUNT))
        found |= {key.partition(":{")[0] for key in keys if key.endswith(_RULE)}
        if not cursor:
            break
    return found
