"""The one border at which the failures of a Redis client become StoreUnavailable."""

from collections.abc import Iterator
from contextlib import contextmanager

import redis

from state.store import StoreUnavailable


@contextmanager
def unavailable() -> Iterator[None]:
    """Turn what goes wrong with a server, or with what it answers, into StoreUnavailable."""
    try:
        yield
    except (redis.RedisError, OSError) as error:
        raise StoreUnavailable(f"redis: {type(error).__name__}: {error}") from error
    except (ValueError, TypeError, IndexError) as error:
        raise StoreUnavailable(f"redis: unexpected answer: {error}") from error
