"""How long news take between a worker and Redis, as that worker has measured it. Pure.

From it follows how old a run of failures must be (state/outlier/decide.py `min_run_ms`): a fixed time would be right
for one network and an idle machine only. What is measured is how long reports take, which a busy worker sees late, and
how late the worker is at whatever it has set itself a time for.
"""

from collections import deque

# So many of the last ones are looked at, not older than a minute: the slowest hundredth may be slower than we say. The
# newest few count however old they are, and while there are no more, the slowest may be half as slow as it gets.
KEPT = 200
KEPT_MS = 60_000
SLOWEST = 100
# Of so many one is quick enough to tell how long news take by themselves. By the quickest of all, whatever others tell
# of would be taken to have happened later than it did.
UNDELAYED = 4
FEW = 8
# A worker that was late is believed to be as busy for so long.
LATE_KEPT_MS = 10_000


class Pace:
    """One worker's."""

    def __init__(self) -> None:
        self._took: deque[tuple[int, int]] = deque(maxlen=KEPT)  # when, how long in microseconds
        self._late: deque[tuple[int, int]] = deque()  # the same; only those that no later one exceeds

    def note(self, now_ms: int, took_us: int) -> None:
        """A report was answered."""
        self._took.append((now_ms, took_us))

    def note_late(self, now_ms: int, late_us: int) -> None:
        """The worker was so late at something."""
        while self._late and self._late[-1][1] <= late_us:
            self._late.pop()
        self._late.append((now_ms, late_us))

    def round_trip_ms(self, now_ms: int) -> int:
        """What nearly every report takes at most, rounded up; 0 when nothing is known."""
        while len(self._took) > FEW and now_ms - self._took[0][0] > KEPT_MS:
            self._took.popleft()
        while self._late and now_ms - self._late[0][0] > LATE_KEPT_MS:
            self._late.popleft()
        times = sorted(took_us for _, took_us in self._took)
        if not times:
            return 0
        slow_us = times[-1 - len(times) // SLOWEST] if len(times) >= FEW else 2 * times[-1]
        late_us = self._late[0][1] if self._late else 0
        return -(-max(slow_us, times[0] + late_us) // 1000)

    def one_way_us(self) -> int:
        """How long news are on their way when little delays them."""
        times = sorted(took_us for _, took_us in self._took)
        return times[len(times) // UNDELAYED] // 2 if times else 0
