"""Greenlets that must not end: whatever goes wrong in them is told, and they begin again; and what some of them do."""

import logging
from collections.abc import Callable

from proxy.fleet.loop import Flag, Loop
from proxy.scoreboard.clusters import ClusterLocked

log = logging.getLogger(__name__)

PAUSE_SECONDS = 1.0
# So often the leader looks at what it asks Redis about, and the others, whether they lead now.
LOOK_MS = 50
FOLLOW_SECONDS = 0.5


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


def look_after(loop: Loop, wakeup: Flag, look: Callable[[], bool], concerned: Callable[[], object]) -> None:
    """Looks for ever: often while `look` says that there is something to look after, else now and then, in case this
    worker leads from now on; and where nobody is `concerned`, when it is woken up."""
    while True:
        if look():
            loop.sleep(LOOK_MS / 1000)
        else:
            wakeup.clear()
            wakeup.wait(loop.together(FOLLOW_SECONDS) if concerned() else None)
