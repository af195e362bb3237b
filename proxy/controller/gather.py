"""News that come in bursts, made one: a rollout changes hundreds of objects in a second, and a snapshot is for all."""

import time
from collections.abc import Callable

import gevent
from gevent.event import Event

CALM_S = 0.1
LONGEST_S = 1.0
BUSY = 10
"""So many news in a time of CALM_S are a burst, which is waited for; a few are not, whatever comes after them."""


class Gather:
    """Counts news, and waits until it is time to act on them."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._some = Event()
        self._count = 0

    def news(self) -> None:
        """Something has changed."""
        self._count += 1
        self._some.set()

    def wait(self) -> None:
        """Until there are news, and the burst that they are part of is over, or has taken LONGEST_S."""
        self._some.wait()
        until = self._clock() + LONGEST_S
        while True:
            before = self._count
            self._some.clear()
            gevent.sleep(CALM_S)
            if self._count - before < BUSY or self._clock() >= until:
                return
