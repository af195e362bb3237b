"""Notices that Sentinels have made another Redis the primary while the old one still answers (a planned failover)."""

from collections.abc import Callable

from proxy.fleet.loop import Loop
from state.errors import StoreUnavailable

WATCH_SECONDS = 1.0


def watch_primary(
    loop: Loop, moved: Callable[[], bool], leading: Callable[[], bool], lost: Callable[[StoreUnavailable], None]
) -> None:
    """Asks the Sentinels every second, if there are any, in the worker that leads; for ever, to be spawned."""
    while True:
        loop.sleep(loop.together(WATCH_SECONDS))
        if leading() and moved():
            lost(StoreUnavailable("redis: the Sentinels name another primary"))
