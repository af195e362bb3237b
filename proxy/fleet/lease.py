"""When this replica asks for a lease of requests, and of how many. Pure; times in ms.

A lease is for a turn and a half at the rate of requests since the last one, and asked for anew when half of it is used,
but not more often than every turn. What is leased and not used is given back when next the fleet is asked. Where the
fleet has no more, the rest is refused until the next turn.
"""

from dataclasses import dataclass
from math import ceil

from proxy.ipc.snapshot import RateLimitForm
from proxy.scoreboard.views import Lent
from state.rate_limits.decide import Lease

TURN_MS = 200
"""So often at most the fleet is asked for one limit: eight replicas call Redis 40 times a second."""
TURNS = 1.5
LAPSE_MS = 1000
LATE_MS = 100
"""An answer is here so long after the turn."""
PRESENT_MS = 2000
"""So often a replica that needs nothing says that it is there."""
BANK_NS = 500_000_000
"""What the fleet may let in at once is never less than comes in that time, since replicas ask only now and then."""


@dataclass(slots=True)
class Asking:
    """Where this replica is with one limit."""

    asked_ms: int = -PRESENT_MS  # when it asked last, ...
    asked: int = 0  # ... how many requests there had been by then
    granted: int = 0  # ... and how many it was given
    not_before_ms: int = 0  # the fleet has none

    def due(self, lent: Lent, now_ms: int) -> bool:
        """Whether it is time to ask."""
        if now_ms < self.not_before_ms:
            return False
        needed = lent.owed > 0 or (lent.asked != self.asked and 2 * lent.left <= self.granted)
        return now_ms - self.asked_ms >= (TURN_MS if needed else PRESENT_MS)

    def answered(self, now_ms: int, asked: int, granted: int, wait_ms: int) -> None:
        """Up to so many requests have been asked for, and so many leased; there are more in `wait_ms`."""
        self.asked_ms, self.asked, self.granted = now_ms, asked, granted
        self.not_before_ms = now_ms + min(wait_ms, PRESENT_MS)

    def wanted(self, lent: Lent, limit: RateLimitForm, now_ms: int) -> int:
        """How many more to ask for."""
        since_ms = min(max(now_ms - self.asked_ms, TURN_MS), LAPSE_MS)
        needed = ceil((lent.asked - self.asked) * TURNS * TURN_MS / since_ms)
        return max(0, min(needed, capacity(limit)) - lent.left)


def capacity(limit: RateLimitForm) -> int:
    """How many requests the fleet may let in at once."""
    return max(limit["burst"], BANK_NS // limit["interval_ns"])


def refused_ns(lease: Lease) -> int:
    """For how long the rest is refused: until it is asked again, where the fleet has no more."""
    return max(1000 * lease.wait_us, (TURN_MS + LATE_MS) * 1_000_000) if lease.wait_us else 0
