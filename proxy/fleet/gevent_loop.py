"""The loop of a worker: gevent's, the kernel's clock, and true chance."""

import random
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import gevent
from gevent.event import Event

from proxy.fleet.budget import within
from proxy.fleet.loop import Flag, Loop


class GeventLoop(Loop):
    """See Loop."""

    def now_ns(self) -> int:
        """See Loop."""
        return time.monotonic_ns()

    def chance(self) -> float:
        """See Loop."""
        return random.random()

    def sleep(self, seconds: float) -> None:
        """See Loop."""
        gevent.sleep(seconds)

    def spawn(self, work: Callable[..., object], *given: object) -> None:
        """See Loop."""
        gevent.spawn(work, *given)

    def spawn_later(self, seconds: float, work: Callable[..., object], *given: object) -> None:
        """See Loop."""
        gevent.spawn_later(seconds, work, *given)

    def flag(self) -> Flag:
        """See Loop."""
        flag: Flag = Event()
        return flag

    def within(self, milliseconds: int, what: str = "no answer", gone_ms: int = 0) -> AbstractContextManager[None]:
        """See Loop."""
        return within(milliseconds, what, gone_ms)
