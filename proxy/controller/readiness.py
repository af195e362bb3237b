"""Whether this replica may be sent traffic, and if not, why not, in one line. Looks only; changes nothing."""

import time
from collections.abc import Sequence

from proxy.controller.configuration import Configuration
from proxy.controller.snapshots import Snapshots
from proxy.controller.sockets import Sockets
from proxy.scoreboard.scoreboard import Scoreboard
from proxy.scoreboard.workers import DRAINING, READY

PATIENCE_S = 2.0
"""A worker that serves may be this late with a new snapshot; it goes on with the last one meanwhile."""


class Readiness:
    """Looked at by probes (`pages.ready`), and until it is ready for the first time."""

    def __init__(self, board: Scoreboard, snapshots: Snapshots, sockets: Sockets, configuration: Configuration) -> None:
        self.wanted_workers = 1
        """How many workers the arbiter wants to run."""
        self.listener_faults: Sequence[str] = ()
        """Why listeners of the configuration in force are not served. The others are."""
        self._board = board
        self._snapshots = snapshots
        self._sockets = sockets
        self._configuration = configuration
        self._published_at = 0.0

    def published(self, now: float) -> None:
        """Workers have been sent a new snapshot at `now` (monotonic seconds)."""
        self._published_at = now

    def reason(self) -> str:
        """Why not to send traffic here; "" when ready."""
        if self._board.draining:
            return "draining"
        return self._configuration_reason() or self._sockets_reason() or self._workers_reason()

    def _configuration_reason(self) -> str:
        if self._snapshots.number and self._snapshots.addresses:
            return ""  # a later broken file changes nothing: the last good snapshot serves
        if self._configuration.faults:
            return f"configuration invalid: {self._configuration.faults[0]}"
        return self._configuration.reason or ("" if self._configuration.is_read else "the configuration is being read")

    def _sockets_reason(self) -> str:
        for address, error in self._sockets.errors.items():
            return f"listener {address}: {error}"
        if self._sockets.asked:
            return f"listener {min(self._sockets.asked)} is being opened"
        if self._snapshots.addresses:
            return ""
        return self.listener_faults[0] if self.listener_faults else "the Gateway has no listener that can be served"

    def _workers_reason(self) -> str:
        rows = [row for row in self._board.workers.rows() if row.state != DRAINING]
        late = time.monotonic() > self._published_at + PATIENCE_S
        for row in rows:
            if row.state != READY or row.snapshot == 0:
                return f"worker {row.slot} starting"
            if row.snapshot < self._snapshots.number and late:
                return f"worker {row.slot} has snapshot {row.snapshot}, not yet {self._snapshots.number}"
        if len(rows) < self.wanted_workers:
            return f"{len(rows)} of {self.wanted_workers} workers running"
        return ""
