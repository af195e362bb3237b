"""What there is to do, each thing once however often it is asked for; what failed waits, longer each time."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from proxy.kubernetes.api.pace import Pace


class Key(NamedTuple):
    """A Gateway, or (without namespace) a GatewayClass, to be looked at."""

    namespace: str
    name: str


class RouteKey(NamedTuple):
    """A route of one of our kinds, to be looked at."""

    namespace: str
    name: str
    kind: str


Task = Key | RouteKey


class Queue:
    """Keys in the order in which they fall due. Any thread may add; one takes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._due: dict[Task, float] = {}
        self._heap: list[tuple[float, Task]] = []
        self._paces: dict[Task, Pace] = {}

    def add(self, key: Task, after_s: float = 0.0) -> None:
        """To be looked at after so many seconds, or earlier if somebody asked for it earlier."""
        due = self._clock() + after_s
        with self._changed:
            if due < self._due.get(key, float("inf")):
                self._due[key] = due
                heapq.heappush(self._heap, (due, key))
                self._changed.notify()

    def take(self, timeout_s: float) -> Task | None:
        """The next that is due; None if nothing is within `timeout_s`."""
        end = self._clock() + timeout_s
        with self._changed:
            while True:
                self._forget_moved()
                now = self._clock()
                next_due = self._heap[0][0] if self._heap else end
                if self._heap and next_due <= now:
                    key = heapq.heappop(self._heap)[1]
                    del self._due[key]
                    return key
                if now >= end:
                    return None
                self._changed.wait(min(next_due, end) - now)

    def well(self, key: Task) -> None:
        """It was done: the next failure is a first one."""
        self._paces.pop(key, None)

    def failed(self, key: Task, asked_s: float = 0.0) -> None:
        """To be tried again, after a wait."""
        self.add(key, self._paces.setdefault(key, Pace()).next(asked_s))

    def _forget_moved(self) -> None:
        while self._heap and self._due.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
