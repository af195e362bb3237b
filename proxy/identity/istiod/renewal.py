"""When istiod is asked for the next certificate. Pure: both clocks and chance are arguments.

The wall clock is what certificates speak of; waits between two requests are on the monotonic one, which nobody sets.
"""

import random

RATIO, SPREAD = 0.5, 0.01
"""Which part of what is left of its life a certificate is used before the next is asked for, as in Istio's agent
(SECRET_GRACE_PERIOD_RATIO and its jitter), so that replicas that began together do not ask together for ever."""
SHORTEST_S = 5.0
"""Between a certificate and the next request, however short its life: one that is born near its end (because that of
its CA is) makes no storm."""
FIRST_RETRY_S, LONGEST_RETRY_S = 1.0, 60.0
NEW_ROOT_S = 5.0
"""Within how long after new roots are mounted the replicas ask, each at another time."""


class Renewal:
    """Due at once, until a certificate has come."""

    def __init__(self, chance: random.Random | None = None) -> None:
        self.failures = 0
        """Since the last certificate."""
        self._chance = chance or random.Random()
        self._renew_at = 0.0  # wall
        self._hurry_at: float | None = None  # the rest: monotonic
        self._not_before = 0.0

    def wait(self, wall: float, monotonic: float) -> float:
        """Seconds until the next request; not positive when it is time."""
        wanted = self._renew_at - wall
        if self._hurry_at is not None:
            wanted = min(wanted, self._hurry_at - monotonic)
        return max(wanted, self._not_before - monotonic)

    def got(self, ends: float, wall: float, monotonic: float) -> None:
        """A certificate has come that is valid until `ends`."""
        self._begin(wall, ends)
        self._not_before = monotonic + SHORTEST_S
        self.failures, self._hurry_at = 0, None

    def adopted(self, begins: float, ends: float) -> None:
        """A former controller had asked for one that we go on with."""
        self._begin(begins, ends)

    def failed(self, monotonic: float) -> None:
        """No certificate came: the n-th wait is between a half and the whole of 2^(n-1) s, bounded; never below 1 s."""
        longest = min(FIRST_RETRY_S * 2.0**self.failures, LONGEST_RETRY_S)
        self.failures = min(self.failures + 1, 30)
        self._not_before = monotonic + max(FIRST_RETRY_S, longest * self._chance.uniform(0.5, 1.0))

    def new_roots(self, monotonic: float) -> None:
        """The mounted roots have changed: istiod has another CA, or will soon, and the mesh other roots."""
        self._hurry_at = monotonic + self._chance.uniform(0.0, NEW_ROOT_S)
        self.mended(monotonic)

    def mended(self, monotonic: float) -> None:
        """What a request needs has changed after one has failed: it may succeed now."""
        if self.failures:
            self.failures = 0
            self._not_before = min(self._not_before, monotonic + FIRST_RETRY_S)

    def _begin(self, begins: float, ends: float) -> None:
        self._renew_at = begins + (ends - begins) * self._chance.uniform(RATIO - SPREAD, RATIO + SPREAD)
