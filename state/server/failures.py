"""The one border at which the failures of a Redis client become StoreUnavailable."""

from collections.abc import Iterator
from contextlib import contextmanager

import redis

from state.errors import KeysUnusable, StoreUnavailable

# What a server says about a value that is not of the kind a script expects; older ones wrap it in words of their own.
_UNUSABLE = ("WRONGTYPE", "is not an integer", "is not a float")


@contextmanager
def unavailable() -> Iterator[None]:
    """Turn what goes wrong with a server, or with what it answers, into StoreUnavailable."""
    try:
        yield
    except redis.ResponseError as error:
        kind = KeysUnusable if any(text in str(error) for text in _UNUSABLE) else StoreUnavailable
        raise kind(f"redis: {type(error).__name__}: {error}") from error
    except (redis.RedisError, OSError) as error:
        raise StoreUnavailable(f"redis: {type(error).__name__}: {error}") from error
    except (ValueError, TypeError, IndexError) as error:
        raise StoreUnavailable(f"redis: unexpected answer: {error}") from error
