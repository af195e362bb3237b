"""The scoreboard as the memory of state.outlier.local_store: records of endpoints that a replica's workers share.

The age of a run and who reported it are not kept: neither counts when a replica decides by itself (Cluster.own_policy).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from proxy.fleet.clusters import Cluster
from proxy.fleet.standing import MOVES, Move, Standing, standing
from proxy.scoreboard.scoreboard import Scoreboard
from proxy.scoreboard.views import OutlierState
from state.outlier.decide import Record
from state.outlier.store import CONSECUTIVE_5XX, is_by_hand


class ScoreboardRecords:
    """`local_store.Records`. `clusters` is the worker's present view; what is not in it has no record."""

    def __init__(self, scoreboard: Scoreboard, clusters: dict[str, Cluster]) -> None:
        self._scoreboard = scoreboard
        self._clusters = clusters

    @contextmanager
    def locked(self, cluster: str) -> Iterator[None]:
        """Hold the cluster's lock against all workers."""
        slot = self._clusters[cluster].slot
        self._scoreboard.clusters.lock(slot)
        try:
            yield
        finally:
            self._scoreboard.clusters.unlock(slot)

    def load(self, cluster: str, endpoint: str) -> Record:
        """See Records."""
        known = self._clusters[cluster].endpoints[endpoint]
        return record_of(self._scoreboard.outlier.state(known.slot), known.workload)

    def save(self, cluster: str, endpoint: str, record: Record) -> None:
        """See Records. An ejection that begins here is `held` until the caller says what it is."""
        slot = self._clusters[cluster].endpoints[endpoint].slot
        before = self._scoreboard.outlier.state(slot)
        now = standing(before) if record.ejected_until_ms else Standing.IN
        if record.ejected_until_ms > before.ejected_until_ms:
            now = MOVES[Move.DECIDE][standing(before)]
            reason = "" if record.reason == CONSECUTIVE_5XX else record.reason
            before = before._replace(reason=reason, by="")
        dirty = record.failures > 0 or (before.dirty and not self._alone(cluster))
        self._scoreboard.outlier.set_state(slot, now.on(with_record(before, record, dirty=dirty)))

    def _alone(self, cluster: str) -> bool:
        """This replica decides: nobody else has a run of failures that its successes could end."""
        return not self._scoreboard.shared_state or self._scoreboard.clusters.alone(self._clusters[cluster].slot)

    def active(self, cluster: str, now_ms: int) -> int:
        """See Records."""
        return self._scoreboard.outlier.count_ejected(self._clusters[cluster].slots)

    def all(self, cluster: str) -> Mapping[str, Record]:
        """See Records."""
        return {endpoint: self.load(cluster, endpoint) for endpoint in self._clusters[cluster].endpoints}


def record_of(state: OutlierState, workload: str) -> Record:
    """A row's state as a record."""
    return Record(
        failures=state.failures,
        generation=state.generation,
        ejections=state.ejections,
        backoff=state.backoff,
        ejected_until_ms=state.ejected_until_ms,
        ejection_ms=state.ejection_ms,
        unejected_at_ms=state.unejected_at_ms,
        workload=workload,
        run=state.run,
        probe_at_ms=state.probe_at_ms,
        by_hand=bool(state.ejected_until_ms) and is_by_hand(state.reason),
        local_failures=state.local_failures,
        gateway_failures=state.gateway_failures,
        gateway_local_failures=state.gateway_local_failures,
        local_origin_failures=state.local_origin_failures,
        reason=state.reason,
    )


def with_record(state: OutlierState, record: Record, *, dirty: bool) -> OutlierState:
    """The state with what the record says."""
    return state._replace(
        failures=record.failures,
        generation=record.generation,
        ejections=record.ejections,
        backoff=record.backoff,
        ejected_until_ms=record.ejected_until_ms,
        ejection_ms=record.ejection_ms,
        unejected_at_ms=record.unejected_at_ms,
        run=record.run,
        probe_at_ms=record.probe_at_ms,
        dirty=dirty,
        local_failures=record.local_failures,
        gateway_failures=record.gateway_failures,
        gateway_local_failures=record.gateway_local_failures,
        local_origin_failures=record.local_origin_failures,
    )
