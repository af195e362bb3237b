"""Which series of Istio's metrics are given up, and when: those whose Service or workload has gone for good.

The other half of scoreboard/series.pyx, which says why it takes two steps and what is never lost by it. A series of a
workload or a Service that the snapshot no longer has is given up GRACE_S after it was counted last, so that Prometheus
has seen its last values; one that is new again by then goes on. When rows become few, those go that were not counted
for longest, wherever they belong: sources come and go, and nobody tells us of them.
"""

from collections.abc import Iterable, Mapping, Sequence

from proxy.ipc.snapshot import ClusterForm
from proxy.observe.series_labels import DESTINATION, REQUEST_LABELS, STREAM_LABELS, UNKNOWN, destination_of, split
from proxy.scoreboard.scoreboard import Scoreboard
from proxy.scoreboard.series import KINDS, LIMIT, REQUESTS
from proxy.scoreboard.views import Series

LOOK_S = 5.0
GRACE_S = 600.0
SILENT_S = 900.0
"""How long one was not counted that may go when rows become few."""
_FEW = LIMIT // 4

_UNKNOWN = UNKNOWN.decode()
_SUBJECT = [
    index for index, name in enumerate(DESTINATION) if name not in ("destination_principal", "destination_cluster")
]
_WORKLOAD = [DESTINATION[index] for index in _SUBJECT]
_Turns = Mapping[int, tuple[int, int]]


class Expiry:
    """Looks at the series of one scoreboard now and then."""

    def __init__(self, board: Scoreboard) -> None:
        self._board = board
        self._looked_at = 0.0
        self._waiting: dict[int, tuple[int, _Turns]] = {}  # given up: when counted last, and the workers' turns then
        self._subjects: dict[int, tuple[int, bytes, str, tuple[str, ...]]] = {}

    def look(self, clusters: Iterable[ClusterForm], now_ns: int) -> None:
        """`clusters` are those of the snapshot in force; `now_ns` is the scoreboard's clock. Mostly it does nothing."""
        if now_ns < (self._looked_at + LOOK_S) * 1e9 and self._looked_at:
            return
        self._looked_at = now_ns / 1e9
        rows = [row for row in self._board.series.rows() if row.slot >= KINDS]
        self._settle([row for row in rows if row.given_up])
        services, workloads = _living(clusters)
        present = [(self._board.series.touched(row.slot), row) for row in rows if not row.given_up]
        for touched, row in present:
            if now_ns - touched > GRACE_S * 1e9 and self._is_gone(row, services, workloads):
                self._give_up(row.slot, touched)
        if len(present) > LIMIT - _FEW:
            for touched, row in sorted(present)[:_FEW]:
                if now_ns - touched > SILENT_S * 1e9:
                    self._give_up(row.slot, touched)

    def _give_up(self, slot: int, touched: int) -> None:
        if self._board.series.give_up(slot):
            self._waiting[slot] = (touched, self._board.workers.turns())

    def _settle(self, rows: Sequence[Series]) -> None:
        """Those are free that no worker can be counting. A former controller may have left some."""
        now = self._board.workers.turns()
        for row in rows:
            if row.slot not in self._waiting:
                self._waiting[row.slot] = (self._board.series.touched(row.slot), now)
            touched, then = self._waiting[row.slot]
            if all(slot not in now or now[slot] != turn for slot, turn in then.items()):
                self._board.series.free(row.slot, touched)
                del self._waiting[row.slot]
        self._waiting = {row.slot: self._waiting[row.slot] for row in rows if row.slot in self._waiting}

    def _is_gone(self, row: Series, services: set[str], workloads: set[tuple[str, ...]]) -> bool:
        known = self._subjects.get(row.slot)
        if known is None or known[:2] != (row.generation, row.labels):
            names = REQUEST_LABELS if row.kind == REQUESTS else STREAM_LABELS
            values = dict(zip(names, split(row.labels), strict=True))
            subject = tuple(values[name] for name in _WORKLOAD)
            known = self._subjects[row.slot] = (row.generation, row.labels, values["destination_service"], subject)
        _, _, service, workload = known
        return (service != _UNKNOWN and service not in services) or (
            workload[0] != _UNKNOWN and workload not in workloads
        )


def _living(clusters: Iterable[ClusterForm]) -> tuple[set[str], set[tuple[str, ...]]]:
    """The host names of Services, and the workloads, that there are."""
    services: set[str] = set()
    workloads: set[tuple[str, ...]] = set()
    for form in clusters:
        services.add(form["authority"].rpartition(":")[0])
        workloads.update(_as_labelled(profile) for profile in form["profiles"])
    return services, workloads


def _as_labelled(profile: Sequence[str]) -> tuple[str, ...]:
    values = destination_of(profile, "", "", "")
    return tuple(values[index].decode() for index in _SUBJECT)
