"""How long reports take, measured by the worker that sends them. Pure.

From it follows how old a run of failures must be (state/outlier/decide.py `min_run_ms`): a fixed time would be right
for one network only.
"""

from collections import deque

# So many of the last ones are looked at, not older than a minute: the slowest hundredth may be slower than we say.
KEPT = 200
KEPT_MS = 60_000
SLOWEST = 100


class Pace:
    """One worker's."""

    def __init__(self) -> None:
        self._took: deque[tuple[int, int]] = deque(maxlen=KEPT)  # when, how long in microseconds

    def note(self, now_ms: int, took_us: int) -> None:
        """A report was answered."""
        self._took.append((now_ms, took_us))

    def round_trip_ms(self, now_ms: int) -> int:
        """What nearly every report takes at most, rounded up; 0 when nothing is known."""
        while self._took and now_ms - self._took[0][0] > KEPT_MS:
            self._took.popleft()
        times = sorted(took_us for _, took_us in self._took)
        return -(-times[-1 - len(times) // SLOWEST] // 1000) if times else 0
