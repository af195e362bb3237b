"""A replica's way out: what a signal to end it means, and when it stops to serve. Pure: it is told what time it is.

The mesh learns late that a pod goes: a ztunnel picks among the endpoints that it was told of, tries no other one when
it is refused, and asks nobody's health. So whoever is told to go says so (readiness, `connection: close`), and serves
on, new connections too, until the mesh knows.

    stage      TERM, INT     the delay is over
    SERVING    LEAVING       -
    LEAVING    ENDED         DRAINING: listeners close, workers finish what they have
    DRAINING   ENDED         -
"""

from enum import Enum

ONE_SIGNAL_S = 0.1
"""`timeout` and some supervisors signal the process and its group: two so close together mean one."""

Stage = Enum("Stage", "SERVING LEAVING DRAINING ENDED")


class Departure:
    """Where a replica is on its way out. Times are monotonic seconds."""

    def __init__(self) -> None:
        self.stage = Stage.SERVING
        self.drain_at: float | None = None
        """When it stops to serve; None before it is known, and after it has."""
        self._began = 0.0

    def told(self, now: float, delay: float) -> None:
        """A signal to end came, which leaves it `delay` seconds to serve on."""
        if self.stage is Stage.SERVING:
            self.stage, self._began, self.drain_at = Stage.LEAVING, now, now + delay
        elif now > self._began + ONE_SIGNAL_S:
            self.stage, self.drain_at = Stage.ENDED, None

    def due(self, now: float) -> bool:
        """Whether the delay is over: true once."""
        if self.drain_at is None or now < self.drain_at:
            return False
        self.stage, self.drain_at = Stage.DRAINING, None
        return True
