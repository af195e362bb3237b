"""All families of metrics of a replica: the scoreboard's (`admin.metrics`), and what only the controller knows."""

import os
import time
from collections.abc import Iterator

from proxy.admin.metrics import replica
from proxy.admin.metrics.family import COUNTER, GAUGE, Family, Labels, one
from proxy.admin.metrics.series import SeriesFamilies
from proxy.controller.configuration import Configuration
from proxy.controller.readiness import Readiness
from proxy.controller.snapshots import Snapshots
from proxy.identity.watch import CertificateWatch
from proxy.scoreboard.scoreboard import Scoreboard
from proxy.version import __version__


class Metrics:
    """Reads; changes nothing. `started`: the replica's start, on the monotonic clock."""

    def __init__(
        self,
        board: Scoreboard,
        snapshots: Snapshots,
        configuration: Configuration,
        certificates: CertificateWatch,
        readiness: Readiness,
        started: float,
    ) -> None:
        self._board = board
        self._snapshots = snapshots
        self._configuration = configuration
        self._certificates = certificates
        self._readiness = readiness
        self._started = round(time.time() - time.monotonic() + started, 3)
        self._series = SeriesFamilies(board, __version__)

    def read(self) -> Iterator[Family]:
        """The families as they are now."""
        yield from self._series.read()
        yield from replica.families(self._board, self._snapshots.clusters)
        yield from self._of_certificates()
        yield from self._of_configuration()
        yield from self._of_processes()

    def _of_certificates(self) -> Iterator[Family]:
        if ours := self._certificates.current:
            for name, text, at in (
                ("waypointd_certificate_start_timestamp_seconds", "When our certificate began.", ours.not_before),
                ("waypointd_certificate_expiry_timestamp_seconds", "When it ends.", ours.not_after),
            ):
                yield one(name, GAUGE, text, round(at))
        counts = self._certificates.counts()
        for name, text, counted in (
            ("waypointd_certificate_requests_total", "How often istiod was asked.", "requests"),
            ("waypointd_certificate_failures_total", "How often in vain.", "failures"),
        ):
            if counted in counts:
                yield one(name, COUNTER, text, counts[counted])

    def _of_configuration(self) -> Iterator[Family]:
        found, changed = self._configuration, self._snapshots.changed_at
        for name, text, value in (
            ("waypointd_ready", "1: it may be sent traffic.", int(not self._readiness.reason())),
            ("waypointd_snapshot_number", "The number of the configuration in force.", self._snapshots.number),
            ("waypointd_configuration_refused_objects", "Objects that cannot be used.", found.refused_count),
            ("waypointd_configuration_faults", "What is wrong with the configuration as a whole.", len(found.faults)),
            ("waypointd_configuration_warnings", "What is said of it besides.", len(found.warnings)),
            ("waypointd_listener_faults", "Listeners that are not served.", len(self._readiness.listener_faults)),
        ):
            yield one(name, GAUGE, text, value)
        if changed:
            yield one("waypointd_snapshot_changed_timestamp_seconds", GAUGE, "When it came into force.", changed)

    def _of_processes(self) -> Iterator[Family]:
        version = Labels((("version", __version__),))
        yield Family("waypointd_build_info", GAUGE, "Which version this is.", [(version, 1)])
        yield one("waypointd_start_timestamp_seconds", GAUGE, "When the replica started.", self._started)
        yield one("waypointd_draining", GAUGE, "1: it goes away.", int(self._board.draining))
        yield one("waypointd_controller_cpu_seconds_total", COUNTER, "CPU time.", round(time.process_time(), 3))
        memory = replica.resident_bytes(os.getpid())
        yield one("waypointd_controller_resident_memory_bytes", GAUGE, "Memory.", memory)
