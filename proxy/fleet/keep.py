"""Greenlets that must not end: whatever goes wrong in them is told, and they begin again."""

import logging
from collections.abc import Callable

from proxy.fleet.loop import Loop
from proxy.scoreboard.clusters import ClusterLocked

log = logging.getLogger(__name__)

PAUSE_SECONDS = 1.0


def keep_running(loop: Loop, work: Callable[[], None], pause: float = PAUSE_SECONDS) -> None:
    """Runs `work` for ever; to be spawned. An exception is our mistake: it costs a line and a pause."""
    while True:
        try:
            work()
        except ClusterLocked as error:
            log.warning("%s", error)
            loop.sleep(pause)
        except Exception:
            log.exception("a mistake in waypointd; please report it. %s begins again", work.__qualname__)
            loop.sleep(pause)
