"""The one border at which the failures of a Redis client become StoreUnavailable."""

from collections.abc import Iterator
from contextlib import contextmanager

import redis

from state.errors import KeysUnusable, NotAllowed, StoreUnavailable

# What a server says about a value that is not of the kind a script expects; older ones wrap it in words of their own.
_UNUSABLE = ("WRONGTYPE", "is not an integer", "is not a float")


@contextmanager
def unavailable() -> Iterator[None]:
    """Turn what goes wrong with a server, or with what it answers, into StoreUnavailable."""
    try:
        yield
    except redis.ResponseError as error:
        raise _kind(str(error))(f"redis: {type(error).__name__}: {error}") from error
    except (redis.RedisError, OSError) as error:
        raise StoreUnavailable(f"redis: {type(error).__name__}: {error}") from error
    except (ValueError, TypeError, IndexError) as error:
        raise StoreUnavailable(f"redis: unexpected answer: {error}") from error


def _kind(error: str) -> type[StoreUnavailable]:
    if any(text in error for text in _UNUSABLE):
        return KeysUnusable
    return NotAllowed if missing_right(error) else StoreUnavailable


def missing_right(error: str) -> str:
    """Which kind of right an error says is missing: "command", "key", "channel"; "" if it says something else.

    As the servers put it, in and outside of scripts: NOPERM (7.0), "ACL failure in script" (7.0), "The user executing
    the script can't ..." (6.2).
    """
    text = error.lower()
    if not any(sign in text for sign in ("noperm", "no permissions", "acl failure", "user executing the script can't")):
        return ""
    if " run " in text:
        return "command"
    return "channel" if "channel" in text else "key"
