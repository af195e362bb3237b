"""A loop that is not gevent's: it goes from one appointment to the next, and time passes only by that."""

import heapq
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

from greenlet import getcurrent, greenlet  # type: ignore[import-untyped]

from proxy.fleet.loop import TOGETHER_NS, Flag, Loop
from state.errors import StoreUnavailable


class StepLoop(Loop):
    """`run` belongs to the greenlet that made it; everything else happens in those that were spawned."""

    def __init__(self) -> None:
        # soon after what the scoreboard's clock says, and always as far from when others wake up
        self._now_ns = (time.monotonic_ns() // TOGETHER_NS + 1) * TOGETHER_NS
        self._appointments: list[tuple[int, int, Callable[[], object]]] = []
        self._number = count()
        self._hub = getcurrent()

    def now_ns(self) -> int:
        return self._now_ns

    def chance(self) -> float:
        return 0.5

    def at(self, seconds: float, what: Callable[[], object]) -> None:
        """Done by the hub, so long from now."""
        due = self._now_ns + int(max(0.0, seconds) * 1e9)
        heapq.heappush(self._appointments, (due, next(self._number), what))

    def wait(self) -> None:
        """Until somebody switches back."""
        self._hub.switch()

    def sleep(self, seconds: float) -> None:
        StepFlag(self).wait(seconds)

    def spawn(self, work: Callable[..., object], *given: object) -> None:
        self.spawn_later(0, work, *given)

    def spawn_later(self, seconds: float, work: Callable[..., object], *given: object) -> None:
        self.at(seconds, lambda: greenlet(work, self._hub).switch(*given))

    def flag(self) -> Flag:
        return StepFlag(self)

    @contextmanager
    def within(self, milliseconds: int, what: str = "no answer", gone_ms: int = 0) -> Iterator[None]:
        me, over = getcurrent(), list[bool]()
        late = StoreUnavailable(f"redis: {what} within {milliseconds} ms")
        self.at((milliseconds - gone_ms) / 1000, lambda: over or me.throw(late))
        try:
            yield
        finally:
            over.append(True)

    def run(self, seconds: float) -> None:
        """So much time passes."""
        until_ns = self._now_ns + int(seconds * 1e9)
        while self._appointments and self._appointments[0][0] <= until_ns:
            self._now_ns, _, what = heapq.heappop(self._appointments)
            what()
        self._now_ns = until_ns


class StepFlag:
    """See Flag."""

    def __init__(self, loop: StepLoop) -> None:
        self._loop = loop
        self._raised = False
        self._waiting: list[Callable[[], None]] = []

    def is_set(self) -> bool:
        return self._raised

    def set(self) -> None:
        self._raised = True
        waiting, self._waiting = self._waiting, []
        for wake in waiting:
            self._loop.at(0, wake)

    def clear(self) -> None:
        self._raised = False

    def wait(self, timeout: float | None = None) -> bool:
        me, over = getcurrent(), list[bool]()

        def wake() -> None:
            if not over:
                me.switch()

        if not self._raised:
            self._waiting.append(wake)
            if timeout is not None:
                self._loop.at(timeout, wake)
            try:
                self._loop.wait()
            finally:
                over.append(True)
        return self._raised
