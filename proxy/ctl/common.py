"""What the commands of waypointctl share: how an option's value is checked, how one gives up, and where a fleet is."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

import click
import redis

from proxy import setting_kinds as kinds
from proxy.setting_kinds import Kind
from state.redis_store import connect

TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Fleet:
    """Where the options say that it is: in Redis, or, with `admin`, what a replica's admin pages tell of it."""

    url: str
    prefix: str
    admin: str | None = None


@contextmanager
def redis_client(fleet: Fleet) -> Iterator[redis.Redis]:
    """A client for the length of the block. Raises click.UsageError for a URL or prefix that cannot be."""
    try:
        url = "redis://127.0.0.1:6379" if fleet.url == "embedded" else str(kinds.redis_url(fleet.url))
        kinds.key_prefix(fleet.prefix)
        client = connect(url, TIMEOUT_S)
    except ValueError as fault:
        raise click.UsageError(str(fault)) from fault
    with client:
        yield client


def checked(kind: Kind) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """A click callback that reads a value as a setting of this kind; None stays None."""

    def callback(_context: click.Context, _parameter: click.Parameter, value: Any) -> Any:
        try:
            return None if value is None else kind(value)
        except ValueError as fault:
            raise click.BadParameter(str(fault)) from fault

    return callback


def fail(text: str, status: int = 1) -> NoReturn:
    """Say why on standard error and exit."""
    print(f"waypointctl: {text}", file=sys.stderr)
    sys.exit(status)
