"""Ejections that this worker has decided by itself and Redis has not answered yet.

A hold takes the endpoint out at once. Redis then

    agrees                                the hold is over, the ejection is the fleet's
    says no (the cap, old evidence)       the endpoint is back at once
    has counted fewer failures            perhaps other workers' reports are still on their way: the hold lasts
                                          its time, and then the endpoint is back, with Redis's count
    says that the run is too young        the hold lasts until it has been asked again, and HOLD_MS more
    has heard it from too few replicas    the replica's decision stands, for itself (local_origin_quorum)
    does not answer within HOLD_MS        the replica's decision stands; a later answer is treated as above
    was not asked, as the cap is full     the endpoint is back (silence.py)

Should this worker die meanwhile, the leader lets what it held stand (leader.py).
"""

from collections.abc import Callable
from dataclasses import dataclass

from proxy.fleet import silence
from proxy.fleet.clusters import Cluster, Endpoint
from proxy.fleet.desk import Desk
from proxy.fleet.ejections import PRIVATELY
from proxy.fleet.outbox import Pending
from proxy.scoreboard.clusters import ClusterLocked
from proxy.scoreboard.views import OutlierState
from state.outlier.store import CLEAN, CONSECUTIVE_5XX, COUNTED, EJECTED, UNCONFIRMED, Verdict

# How long an answer of Redis is waited for before the replica's own decision stands.
HOLD_MS = 50


@dataclass(slots=True)
class Hold:
    """One of them; `before` is the row's state without the failure that did it, `report` the outbox entry with it."""

    cluster: Cluster
    endpoint: Endpoint
    before: OutlierState
    generation: int
    report: Pending
    answer: Verdict | None = None
    until_ms: int = 0  # Redis has promised an answer: the patience begins anew


class Holds:
    """One worker's, at most one for each endpoint."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._ejections = desk.ejections
        self._holds: dict[int, Hold] = {}

    def begin(self, hold: Hold) -> None:
        """The scoreboard has it held."""
        self._holds[hold.endpoint.slot] = hold
        self._desk.loop.spawn_later(HOLD_MS / 1000, self._due, hold)

    def answered(self, report: Pending, verdict: Verdict) -> None:
        """Redis has answered a report that is not "ejected"; only the one with the deciding failure says anything."""
        hold = self._holds.get(report.endpoint.slot)
        if hold is None or hold.report not in (report, *report.joined):
            return
        if verdict.outcome == UNCONFIRMED:
            del self._holds[report.endpoint.slot]
            self._stand(hold, PRIVATELY)
        elif verdict.outcome not in (COUNTED, CLEAN):
            self._release(hold, verdict)
        elif hold.answer is None:
            hold.answer = verdict
            if not self._ejections.state(hold.endpoint).held:  # it stands already: the same patience once more
                self._desk.loop.spawn_later(HOLD_MS / 1000, self._due, hold)

    def asked_again(self, report: Pending, wait_ms: int) -> None:
        """The run is too young to say: Redis is to be asked again in that time."""
        hold = self._holds.get(report.endpoint.slot)
        if hold is not None and hold.report in (report, *report.joined):
            hold.until_ms = self._desk.loop.now_ms() + wait_ms + HOLD_MS

    def over(self, endpoint: Endpoint) -> None:
        """Whatever was held there, the endpoint's state is Redis's word now."""
        self._holds.pop(endpoint.slot, None)

    def stand(self, name: str = "") -> None:
        """No answer will come any more, for the cluster of that name or for any."""
        for slot, hold in list(self._holds.items()):
            if name in ("", hold.cluster.name):
                del self._holds[slot]
                self._or_later(hold, self._stand)

    def _due(self, hold: Hold) -> None:
        if self._holds.get(hold.endpoint.slot) is not hold:
            return
        if (more_ms := self._patience_until_ms(hold) - self._desk.loop.now_ms()) > 0:
            self._desk.loop.spawn_later(more_ms / 1000, self._due, hold)
            return
        self._or_later(hold, self._settle)

    def _or_later(self, hold: Hold, end: Callable[[Hold], None]) -> None:
        try:
            end(hold)
        except ClusterLocked:  # out it is meanwhile
            self._holds[hold.endpoint.slot] = hold
            self._desk.loop.spawn_later(HOLD_MS / 1000, self._due, hold)

    def _settle(self, hold: Hold) -> None:
        cluster = self._desk.present(hold.cluster, hold.endpoint)
        if hold.answer is not None:
            self._release(hold, hold.answer)
        elif cluster is not None and silence.is_kept(self._desk, cluster):
            self._put_back(hold, 0, hold.before.generation)
        else:
            self._stand(hold)

    def _patience_until_ms(self, hold: Hold) -> int:
        """Redis is given its time from when it was asked: the report may have had to wait for the one before it."""
        return max(hold.until_ms, hold.report.sent_ms + HOLD_MS if hold.answer is None else 0)

    def _stand(self, hold: Hold, reason: str = CONSECUTIVE_5XX) -> None:
        cluster = self._desk.present(hold.cluster, hold.endpoint)
        if cluster is not None:
            self._ejections.stand(cluster, hold.endpoint, hold.generation, reason)

    def _release(self, hold: Hold, verdict: Verdict) -> None:
        if verdict.outcome == EJECTED:
            del self._holds[hold.endpoint.slot]
        else:
            self._put_back(hold, verdict.failures, verdict.generation)

    def _put_back(self, hold: Hold, failures: int, generation: int) -> None:
        del self._holds[hold.endpoint.slot]
        cluster = self._desk.present(hold.cluster, hold.endpoint)
        if cluster is not None:
            # The verdict may be old, and nobody has noted news meanwhile: successes matter, until one is told.
            before = hold.before if failures else hold.before.without_run()
            before = before._replace(failures=failures, generation=generation, dirty=True)
            self._ejections.release(cluster, hold.endpoint, before, hold.generation, self._desk.loop.now_ms())
