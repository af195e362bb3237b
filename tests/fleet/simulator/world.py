"""Time, chance and processes: one thread goes from one appointment to the next, and time passes only by that."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from heapq import heappop, heappush
from random import Random

from greenlet import GreenletExit, getcurrent, greenlet  # type: ignore[import-untyped]

from proxy.fleet.loop import Flag, Loop
from state.errors import StoreUnavailable

MS = 1_000_000
Work = Callable[[], object]


class Broken(Exception):
    """An invariant does not hold; `name` says which."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"{name}: {text}")
        self.name = name


class World:
    """`run` belongs to the greenlet that made it; all else happens in those of processes, or in appointments."""

    def __init__(self, seed: int, tell: Callable[[str], object] | None = None) -> None:
        self.rng = Random(seed)
        self.now_ns = 1_000_000 * MS
        self.begun_ns = self.now_ns
        self.hub = getcurrent()
        self._appointments: list[tuple[int, int, Process | None, Work]] = []
        self._number = 0
        self._tell = tell
        self.talks = tell is not None

    @property
    def now_ms(self) -> int:
        return self.now_ns // MS

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return (self.now_ns - self.begun_ns) / 1e9

    def at(self, delay_ns: float, what: Work, process: "Process | None" = None) -> None:
        """Done so long from now, by that process if it lives and is not stopped then."""
        self._number += 1
        at_ns = self.now_ns + max(1, int(delay_ns)) if delay_ns > 0 else self.now_ns  # or time might stand still
        heappush(self._appointments, (at_ns, self._number, process, what))

    def tell(self, text: str) -> None:
        """A line of the history."""
        if self._tell is not None:
            self._tell(f"{self.seconds:10.6f} {text}")

    def run(self, until_s: float) -> None:
        """Time passes until so long after the beginning."""
        until_ns = self.begun_ns + int(until_s * 1e9)
        appointments = self._appointments
        while appointments and appointments[0][0] <= until_ns:
            self.now_ns, _, process, what = heappop(appointments)
            if process is None:
                what()
            elif process.stopped:
                process.missed.append(what)
            elif process.alive:
                process.enter()
                what()
        self.now_ns = until_ns


class Process:
    """Something that can be stopped, goes on, and dies."""

    def __init__(self, world: World, name: str, clock_ns: int) -> None:
        self.world = world
        self.name = name
        self.clock_ns = clock_ns  # what its host's clock has more than the world's
        self.alive = True
        self.stopped = False
        self.missed: list[Work] = []
        self.parked: dict[Parked, None] = {}

    def enter(self) -> None:
        """It goes on with something."""

    def stop(self) -> None:
        """As by SIGSTOP, or a container that is throttled."""
        self.stopped = True

    def go_on(self) -> None:
        """All that was due meanwhile is due now, in its order."""
        self.stopped = False
        missed, self.missed = self.missed, []
        for what in missed:
            self.world.at(0, what, self)

    def die(self) -> None:
        """At once, without a word."""
        self.alive = self.stopped = False
        self.missed.clear()
        for parked in list(self.parked):
            parked.end()


class Parked:
    """A greenlet that waits; it goes on once, whoever wakes it first."""

    __slots__ = ("_greenlet", "_process")

    def __init__(self, process: Process) -> None:
        self._greenlet: greenlet | None = getcurrent()
        self._process = process

    def wait(self) -> None:
        """Until `wake`."""
        if not self._process.alive:
            raise GreenletExit
        self._process.parked[self] = None
        try:
            self._process.world.hub.switch()
        finally:
            self._greenlet = None
            self._process.parked.pop(self, None)

    def sleep(self, delay_ns: float) -> None:
        """So long; most of what happens is that somebody does this."""
        process = self._process
        world = process.world
        world.at(delay_ns, self.wake, process)
        if not process.alive:
            raise GreenletExit
        process.parked[self] = None
        try:
            world.hub.switch()
        finally:
            self._greenlet = None
            del process.parked[self]

    def wake(self) -> None:
        """From the hub."""
        if (waiting := self._greenlet) is not None:
            self._greenlet = None
            waiting.switch()

    def end(self) -> None:
        """The same, for ever."""
        if (waiting := self._greenlet) is not None:
            self._greenlet = None
            waiting.throw(GreenletExit)


class _Overdue(BaseException):
    """See proxy/fleet/budget.py."""


class SimLoop(Loop):
    """A process's."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._world = process.world

    def now_ns(self) -> int:
        return self._world.now_ns + self._process.clock_ns

    def chance(self) -> float:
        return self._world.rng.random()

    def sleep(self, seconds: float) -> None:
        Parked(self._process).sleep(seconds * 1e9)

    def spawn(self, work: Callable[..., object], *given: object) -> None:
        self.spawn_later(0, work, *given)

    def spawn_later(self, seconds: float, work: Callable[..., object], *given: object) -> None:
        hub = self._world.hub
        self._world.at(seconds * 1e9, lambda: greenlet(work, hub).switch(*given), self._process)

    def flag(self) -> Flag:
        return SimFlag(self._process)

    @contextmanager
    def within(self, milliseconds: int, what: str = "no answer", gone_ms: int = 0) -> Iterator[None]:
        """As gevent's: what has arrived when the time is over is handed out first."""
        me, overdue, over = getcurrent(), _Overdue(), list[bool]()

        def give_up() -> None:
            if not over:
                me.throw(overdue)

        def look_again() -> None:
            if not over:
                self._world.at(0, give_up, self._process)

        self._world.at((milliseconds - gone_ms) * MS, look_again, self._process)
        try:
            yield
        except _Overdue as thrown:
            if thrown is not overdue:
                raise
            raise StoreUnavailable(f"redis: {what} within {milliseconds} ms") from TimeoutError()
        finally:
            over.append(True)


class SimFlag:
    """See Flag."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._raised = False
        self._waiting: list[Parked] = []

    def is_set(self) -> bool:
        return self._raised

    def set(self) -> None:
        self._raised = True
        waiting, self._waiting = self._waiting, []
        for parked in waiting:
            self._process.world.at(0, parked.wake, self._process)

    def clear(self) -> None:
        self._raised = False

    def wait(self, timeout: float | None = None) -> bool:
        if not self._raised:
            parked = Parked(self._process)
            self._waiting.append(parked)
            if timeout is not None:
                self._process.world.at(timeout * 1e9, parked.wake, self._process)
            try:
                parked.wait()
            finally:
                if parked in self._waiting:
                    self._waiting.remove(parked)
        return self._raised
