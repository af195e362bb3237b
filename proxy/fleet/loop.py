"""Time, chance and greenlets, as everything else in this room has them: handed in, never imported.

So the same code runs on gevent (gevent_loop.py) and under a loop that decides itself what time it is, who goes on next
and how the dice fall. Times are CLOCK_MONOTONIC's, which all processes of the replica share. Whoever is given a Loop
calls these from a greenlet of it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

# Whoever looks after something now and then wakes up with all others who do: what costs most is to wake up at all.
TOGETHER_NS = 250_000_000
# Timers may be so much too early: that was this time, not the one before it.
EARLY_NS = 5_000_000


class Flag(Protocol):
    """A greenlet waits until another has raised it."""

    def is_set(self) -> bool:
        """It is raised."""

    def set(self) -> None:
        """Everybody who waits goes on."""

    def clear(self) -> None:
        """Whoever waits from now on, waits."""

    def wait(self, timeout: float | None = None) -> object:
        """Until it is raised, or so many seconds."""


class Loop(ABC):
    """What a worker's greenlets run on."""

    @abstractmethod
    def now_ns(self) -> int:
        """The time, in nanoseconds."""

    def now_ms(self) -> int:
        """The time, in milliseconds."""
        return self.now_ns() // 1_000_000

    def together(self, seconds: float) -> float:
        """So many seconds, or fewer: until a time at which others wake up, too. A short time is itself."""
        now_ns, wanted_ns = self.now_ns(), int(1e9 * seconds)
        if wanted_ns < TOGETHER_NS:
            return seconds
        left_ns = (now_ns + wanted_ns) // TOGETHER_NS * TOGETHER_NS - now_ns
        return (left_ns if left_ns > EARLY_NS else left_ns + TOGETHER_NS) / 1e9

    @abstractmethod
    def chance(self) -> float:
        """A number from 0 to 1."""

    @abstractmethod
    def sleep(self, seconds: float) -> None:
        """Lets others go on; 0: each of them once."""

    @abstractmethod
    def spawn(self, work: Callable[..., object], *given: object) -> None:
        """`work(*given)` in a greenlet of its own, soon."""

    @abstractmethod
    def spawn_later(self, seconds: float, work: Callable[..., object], *given: object) -> None:
        """The same, after a while."""

    @abstractmethod
    def flag(self) -> Flag:
        """A new one, not raised."""

    @abstractmethod
    def within(self, milliseconds: int, what: str = "no answer", gone_ms: int = 0) -> AbstractContextManager[None]:
        """Raises StoreUnavailable when the block, which waits in this greenlet, takes longer, or is not over when the
        rest of that time is, of which `gone_ms` are gone; see budget.py."""
