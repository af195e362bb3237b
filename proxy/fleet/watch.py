"""Notices that Sentinels have made another Redis the primary while the old one still answers (a planned failover)."""

from collections.abc import Callable

import gevent
import redis

from state.errors import StoreUnavailable
from state.server.sentinels import moved

WATCH_SECONDS = 1.0


def watch_primary(client: redis.Redis, leading: Callable[[], bool], lost: Callable[[StoreUnavailable], None]) -> None:
    """Asks the Sentinels every second, if there are any, in the worker that leads; for ever, to be spawned."""
    while True:
        gevent.sleep(WATCH_SECONDS)
        if leading() and moved(client):
            lost(StoreUnavailable("redis: the Sentinels name another primary"))
