"""Every change of an endpoint's ejection on the scoreboard, with the line it puts in the log.

All workers of a replica share the rows, so each change is made under the cluster's lock by whoever learns of it
first, and that one logs it: one line for each ejection and each return. How an endpoint may stand, and which move leads
where, is a table (standing.py); this file adds when a move comes too late.

The row's generation follows Redis in both directions (a store that lost its data counts from 0 again); outcomes are
held against the very generation they were dispatched in (door.py), so what matters is that an ejection changes it.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from proxy.fleet.clusters import Cluster, Endpoint
from proxy.fleet.known import Known
from proxy.fleet.outcome import Outcome
from proxy.fleet.standing import Move, Standing, after, standing
from proxy.observe import outlier_log
from proxy.observe.outlier_log import Line
from proxy.policy.causes import words_of
from proxy.scoreboard.scoreboard import Scoreboard
from proxy.scoreboard.views import OutlierState
from state import durations
from state.constants import EVIDENCE, OVERFLOW_LOG_MS
from state.outlier.decide import under_cap
from state.outlier.rates import FAILURE_PERCENTAGE, SUCCESS_RATE
from state.outlier.store import CONSECUTIVE_5XX, PROBE_FAILED, is_by_hand

# Redis may still see the last moments of an ejection that has ended here: the two have looked at different times.
TAIL_MS = 1000
# Why an endpoint is out that only this replica cannot reach.
PRIVATELY = "unreachable_from_here"
# Why an endpoint is back that may be out again at once, for the same ejection, when this replica's configuration has
# it again: Redis goes on telling of it.
RULE_DELETED, REMOVED = "rule_deleted", "removed"


@contextmanager
def locked(scoreboard: Scoreboard, cluster: Cluster) -> Iterator[None]:
    """Holds the cluster's lock against all other processes of the replica. Raises ClusterLocked."""
    scoreboard.clusters.lock(cluster.slot)
    try:
        yield
    finally:
        scoreboard.clusters.unlock(cluster.slot)


def put_back(scoreboard: Scoreboard, endpoint: Endpoint, now_ms: int, *, shared: bool) -> bool:
    """Ends an ejection of this replica's own, or (`shared`) whosever, under the lock; False: there is none. A worker
    finds it over, and says so in the log. Should Redis tell of the same ejection later, it is believed."""
    state = scoreboard.outlier.state(endpoint.slot)
    if state.ejected_until_ms <= now_ms or (state.shared and not shared):
        return False
    over = state._replace(ejected_until_ms=now_ms, unejected_at_ms=now_ms, ejection_ms=0, probe_at_ms=0)
    scoreboard.outlier.set_state(endpoint.slot, over)
    return True


class Ejections:
    """Writes the scoreboard and the log for one worker. `now_ms` is CLOCK_MONOTONIC in milliseconds."""

    def __init__(self, scoreboard: Scoreboard, worker: int, replica: str, log: Line) -> None:
        self._scoreboard = scoreboard
        self._worker = worker
        self._replica = replica
        self._log = log

    def _locked(self, cluster: Cluster) -> AbstractContextManager[None]:
        return locked(self._scoreboard, cluster)

    def state(self, endpoint: Endpoint) -> OutlierState:
        """What the scoreboard says now."""
        return self._scoreboard.outlier.state(endpoint.slot)

    def shared(self, cluster: Cluster) -> bool:
        """Whether there is a fleet that decides about this cluster at the moment."""
        return self._scoreboard.shared_state and not self._scoreboard.clusters.alone(cluster.slot)

    def note(self, endpoint: Endpoint, outcome: Outcome) -> None:
        """A counted failure's cause, for the line of the ejection that may come of it."""
        if outcome.spoke:
            self._scoreboard.endpoints.note_heard(endpoint.slot)
        if outcome.run.lead:
            self._scoreboard.endpoints.note_cause(endpoint.slot, outcome.cause)

    def cause(self, endpoint: Endpoint, state: OutlierState) -> str:
        """Why it failed, as far as this replica has seen it, in the run that led to this ejection of its own."""
        by_rate = state.reason in (SUCCESS_RATE, FAILURE_PERCENTAGE)
        return words_of(self._scoreboard.endpoints.causes(endpoint.slot, EVIDENCE if by_rate else state.run))

    def latest_cause(self, endpoint: Endpoint) -> int:
        """Of the last failure that this replica has counted."""
        return sum(self._scoreboard.endpoints.causes(endpoint.slot, 1))

    # -- out ----------------------------------------------------------------------------------------------------------

    def stand(self, cluster: Cluster, endpoint: Endpoint, generation: int, reason: str = CONSECUTIVE_5XX) -> None:
        """An ejection of that generation stands, by this replica's own decision; for the reason PRIVATELY the fleet is
        not to follow."""
        with self._locked(cluster):
            row = self.state(endpoint)
            to = after(row, Move.KEEP if reason == PRIVATELY else Move.STAND)
            if to is None or row.generation != generation:
                return
            self._scoreboard.outlier.set_state(endpoint.slot, to.on(row))
        if not standing(row).logged:
            why = reason if reason == PRIVATELY else row.reason or reason
            told = (row.run, row.ejection_ms, self._replica, why, self.cause(endpoint, row))
            self._log_ejection(cluster, endpoint, *told)

    def confirm(
        self,
        cluster: Cluster,
        endpoint: Endpoint,
        known: Known,
        asked_ms: int,
        now_ms: int,
        *,
        certain: bool = False,
        correct: bool = False,
    ) -> None:
        """Redis says that the endpoint is out, for so long from `asked_ms` on.

        `certain`: not news that something newer may have overtaken. The end of an ejection that is known already is
        moved only when a hand has changed it (its whole time is another then), or to `correct` one that came by a
        message, which may have been slow: the clock of Redis may be set, and another one takes over in a failover.
        """
        until_ms, probe_at_ms = asked_ms + known.left_ms, known.probe_at_ms(asked_ms)
        self.expire(cluster, endpoint, now_ms)
        with self._locked(cluster):
            state = self.state(endpoint)
            out = state.ejected_until_ms > now_ms
            if until_ms <= now_ms or (known.version < state.version and not certain):
                return
            if not out and not certain and _is_over(state, known, asked_ms):
                return
            if out and state.shared and not correct and _is_same(state, known):
                until_ms, probe_at_ms = state.ejected_until_ms, state.probe_at_ms
            self._scoreboard.outlier.set_state(
                endpoint.slot,
                Standing.SHARED.on(state.without_run())._replace(
                    generation=known.generation,
                    ejections=known.ejections,
                    backoff=known.backoff,
                    ejected_until_ms=until_ms,
                    ejection_ms=known.ejection_ms,
                    unejected_at_ms=until_ms,
                    run=known.failures,
                    dirty=state.dirty and out and state.generation == known.generation,  # a probe may be under way
                    version=known.version,
                    probe_at_ms=probe_at_ms,
                    reason=known.reason,
                    by=known.by,
                ),
            )
        again = known.reason == PROBE_FAILED and known.generation > state.generation
        if again or not (out and standing(state).logged):
            told = (known.failures, known.ejection_ms, known.by, known.reason, known.cause)
            self._log_ejection(cluster, endpoint, *told)

    def has_room(self, cluster: Cluster, endpoint: Endpoint, reason: str) -> bool:
        """Whether this replica's own view of the cap lets the endpoint be out for that reason. It may be out
        already, and a hand needs no room."""
        if self.state(endpoint).ejected_until_ms or is_by_hand(reason):
            return True
        others = self._scoreboard.outlier.count_ejected(slot for slot in cluster.slots if slot != endpoint.slot)
        return under_cap(cluster.policy, others)

    # -- in again -----------------------------------------------------------------------------------------------------

    def release(self, cluster: Cluster, endpoint: Endpoint, before: OutlierState, generation: int, now_ms: int) -> None:
        """Redis does not agree with this replica's own ejection of that generation: all is as `before`."""
        with self._locked(cluster):
            state = self.state(endpoint)
            if after(state, Move.RELEASE) is None or state.generation != generation or state.ejected_until_ms <= now_ms:
                return
            self._scoreboard.outlier.set_state(endpoint.slot, before)
        if standing(state).logged:
            self._log_return(cluster, endpoint, "not_shared")

    def lift(self, cluster: Cluster, endpoint: Endpoint, reason: str, now_ms: int, version: int = 0) -> None:
        """The endpoint is back before its time; `version` is that of the news, if it was news."""
        with self._locked(cluster):
            state = self.state(endpoint)
            if after(state, Move.END) is None or (version and version < state.version):
                return
            self._end(endpoint, state, now_ms, version or state.version, forget=reason in (RULE_DELETED, REMOVED))
        if standing(state).logged:
            self._log_return(cluster, endpoint, reason)

    def expire(self, cluster: Cluster, endpoint: Endpoint, now_ms: int) -> None:
        """Notes a return whose time has come; balancing has taken the endpoint back by itself."""
        if not 0 < self.state(endpoint).ejected_until_ms <= now_ms:
            return
        with self._locked(cluster):
            state = self.state(endpoint)
            if not 0 < state.ejected_until_ms <= now_ms:
                return
            self._end(endpoint, state, now_ms, state.version)
        if standing(state).logged:
            self._log_return(cluster, endpoint, "expired")

    def _end(self, endpoint: Endpoint, state: OutlierState, now_ms: int, version: int, *, forget: bool = False) -> None:
        """`forget`: or else what Redis tells of the same ejection is not believed any more."""
        self._scoreboard.outlier.set_state(
            endpoint.slot,
            Standing.IN.on(state.without_run())._replace(
                ejected_until_ms=0,
                ejection_ms=state.ejection_ms if state.shared and not forget else 0,
                unejected_at_ms=min(now_ms, state.ejected_until_ms),
                dirty=state.private and state.dirty,
                version=version,
                probe_at_ms=0,
                reason="",
                by="",
            ),
        )

    def learn(
        self, cluster: Cluster, endpoint: Endpoint, generation: int, *, dirty: bool, asked_ms: int, now_ms: int
    ) -> None:
        """The endpoint is in, for all Redis knew at `asked_ms` or later, with or without a run of failures in that
        generation. That there was none says nothing about failures since: it may be handled late, in a busy worker."""
        with self._locked(cluster):
            state = self.state(endpoint)
            if state.ejected_until_ms > now_ms:
                if dirty and state.private:  # others count meanwhile: when it is back here, its successes matter
                    self._scoreboard.outlier.mark_dirty(endpoint.slot)
                return
            if dirty:
                self._scoreboard.outlier.mark_dirty(endpoint.slot)
            elif state.generation == generation and self._scoreboard.outlier.dirtied_since(endpoint.slot, asked_ms):
                return
            if not dirty:  # a success elsewhere has ended this replica's run too
                state = state.without_run()
            self._scoreboard.outlier.set_state(endpoint.slot, state._replace(generation=generation, dirty=dirty))

    def start_again(self, cluster: Cluster, *, keep_dirty: bool) -> None:
        """No failure of its endpoints has been counted here. `keep_dirty`: perhaps elsewhere, as we have heard."""
        with self._locked(cluster):
            for slot in cluster.slots:
                state = self._scoreboard.outlier.state(slot)
                if state.failures and not state.ejected_until_ms:
                    dirty = keep_dirty and state.dirty
                    self._scoreboard.outlier.set_state(slot, state.without_run()._replace(dirty=dirty))

    def forget_version(self, cluster: Cluster, endpoint: Endpoint, version: int) -> None:
        """The fleet's versions count from the beginning again: nothing known is newer than what comes now."""
        with self._locked(cluster):
            state = self.state(endpoint)
            self._scoreboard.outlier.set_state(endpoint.slot, state._replace(version=min(version, state.version)))

    # -- the log ------------------------------------------------------------------------------------------------------

    def overflow(
        self, cluster: Cluster, endpoint: Endpoint, failures: int, now_ms: int, reason: str = CONSECUTIVE_5XX
    ) -> None:
        """There is a reason, so many failures, and the cap forbids the ejection."""
        self._scoreboard.clusters.count(self._worker, cluster.slot, overflows=1)
        with self._locked(cluster):
            first = self._scoreboard.outlier.note_overflow(endpoint.slot, now_ms, OVERFLOW_LOG_MS)
        if not first:
            return
        out = self._scoreboard.outlier.count_ejected(cluster.slots)
        self._log(
            outlier_log.overflow(
                endpoint.address,
                endpoint.workload,
                failures,
                out,
                cluster.policy.endpoints,
                cluster.policy.max_ejection_percent,
                cluster.name,
                self._replica,
                reason,
            )
        )

    def _log_ejection(
        self, cluster: Cluster, endpoint: Endpoint, failures: int, ejection_ms: int, by: str, reason: str, cause: str
    ) -> None:
        self._scoreboard.clusters.count_ejection(self._worker, cluster.slot, reason, by == self._replica)
        lasting = durations.written(ejection_ms)
        self._log(
            outlier_log.ejecting(
                endpoint.address, endpoint.workload, failures, lasting, cluster.name, by, reason, cause
            )
        )

    def _log_return(self, cluster: Cluster, endpoint: Endpoint, reason: str) -> None:
        self._scoreboard.clusters.count(self._worker, cluster.slot, unejections=1)
        self._log(outlier_log.unejecting(endpoint.address, endpoint.workload, reason, cluster.name, self._replica))


def _is_same(state: OutlierState, known: Known) -> bool:
    """It is the ejection that the row tells of, or told of."""
    return known.generation == state.generation and known.ejection_ms == state.ejection_ms


def _is_over(state: OutlierState, known: Known, asked_ms: int) -> bool:
    """It has ended here; Redis sees its last moments, or has had its clock set back."""
    if known.generation != state.generation:
        return False
    begun_before = _is_same(state, known) and known.begun_ms(asked_ms) < state.unejected_at_ms
    return begun_before or known.left_ms <= TAIL_MS < known.ejection_ms
