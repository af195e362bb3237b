"""What Redis and the scoreboard make of each other, endpoint by endpoint, once all of a cluster has been read.

out there                              out here, if it is the same workload's
out here, not there, ours alone        offered: Redis takes it for the time that is left, or it is lifted
out here, not there, Redis had it      lifted by a hand: back; offered if Redis has lost its data
out here, ended there by its clock     kept until our own time (a failover to a clock that is ahead)
out there, ended here                  over (a clock that is behind); withdrawn if Redis has gone back to older data
"""

from collections.abc import Iterator
from typing import Any

from proxy.fleet import silence
from proxy.fleet.budget import BUDGET_MS
from proxy.fleet.clusters import Cluster, Endpoint
from proxy.fleet.desk import Desk
from proxy.fleet.ejections import TAIL_MS
from proxy.fleet.known import known_of
from proxy.scoreboard.views import OutlierState
from state.outlier.run import Run
from state.outlier.store import (
    ALREADY_EJECTED,
    CONSECUTIVE_5XX,
    EJECTED,
    NO_PROBE,
    ClusterView,
    Ejection,
    Store,
    is_by_hand,
)


class Differences:
    """Settles them for the leader. `offer` may raise StoreUnavailable; nothing else asks Redis."""

    def __init__(self, desk: Desk, store: Store) -> None:
        self._desk = desk
        self._store = store
        self._ejections = desk.ejections
        self._now_ms = desk.loop.now_ms
        self._by_message: dict[str, set[int]] = {}  # cluster -> slots whose end is known by a message only
        self._clock_ahead: dict[str, int] = {}  # cluster -> the clock of its Redis less ours, at most, when it was read
        self._lost_ms: dict[str, int] = {}  # cluster -> when its data was lost last
        self._kept: dict[int, int] = {}  # slot -> generation whose end only a clock of Redis has brought early

    def told_by_message(self, cluster: Cluster, endpoint: Endpoint) -> None:
        """The end of this ejection is as late as its message was; the next reading corrects it."""
        self._by_message.setdefault(cluster.name, set()).add(endpoint.slot)

    def are_due(self, cluster: Cluster) -> bool:
        """There is something to correct."""
        return cluster.name in self._by_message

    def forget(self, name: str) -> None:
        """The cluster is gone."""
        by_cluster: tuple[dict[str, Any], ...] = (self._by_message, self._clock_ahead, self._lost_ms)
        for each in by_cluster:
            each.pop(name, None)

    # -- out here, and not there --------------------------------------------------------------------------------------

    def settle_missing(self, cluster: Cluster, view: ClusterView, asked_ms: int, *, lost: bool, alone: bool) -> bool:
        """Whether anything was offered. The oldest goes first: the cap may not let all of them in.

        `alone`: this replica has decided by itself until now; Redis does not know its runs of failures.
        """
        if lost:
            self._lost_ms[cluster.name] = self._now_ms()
        out = {e.endpoint: e for e in view.ejections}
        jump_ms = self._clock_jump(cluster.name, view, asked_ms)
        offers = []
        for endpoint in cluster.endpoints.values():
            if self._desk.present(cluster, endpoint) is None:
                continue
            if lost:
                self._ejections.forget_version(cluster, endpoint, view.version)
            if self._is_missing(endpoint, out.get(endpoint.address), lost):
                state = self._settle(cluster, endpoint, view, asked_ms, lost, alone or lost, jump_ms)
                offers += [(state.begun_ms, endpoint)] if state else []
        for _, endpoint in sorted(offers, key=lambda offer: offer[0]):
            self._offer(cluster, endpoint, view)
        return bool(offers)

    def _is_missing(self, endpoint: Endpoint, there: Ejection | None, lost: bool) -> bool:
        """Redis does not have what this replica has out; or, with older data, not what a hand has done since."""
        if there is None or there.workload not in ("", endpoint.workload):
            return True
        state = self._ejections.state(endpoint)
        return lost and is_by_hand(state.reason) and state.generation > there.generation

    def _clock_jump(self, name: str, view: ClusterView, asked_ms: int) -> int:
        """How far the clock of Redis has been put forward, at least, since it was read last, in ms; 0 if it was put
        back. It was read some time between the question and now."""
        ahead_ms = view.time_ms - self._now_ms()
        before_ms = self._clock_ahead.get(name, ahead_ms)
        self._clock_ahead[name] = view.time_ms - asked_ms
        return max(0, ahead_ms - before_ms)

    def _settle(
        self,
        cluster: Cluster,
        endpoint: Endpoint,
        view: ClusterView,
        asked_ms: int,
        lost: bool,
        unknown: bool,
        jump_ms: int,
    ) -> OutlierState | None:
        """Redis does not have this endpoint out; what of the scoreboard? The state that is to be offered, if any."""
        now_ms = self._now_ms()
        self._ejections.expire(cluster, endpoint, now_ms)
        state = self._ejections.state(endpoint)
        left_ms = state.ejected_until_ms - now_ms
        if not state.ejected_until_ms:
            self._learn(cluster, endpoint, state, view, asked_ms, unknown)
        elif state.private:
            pass  # not the fleet's affair
        elif state.held or state.version > view.version:
            pass  # its report is on the way, or the answer to that came after this view was taken
        elif not state.shared or lost:
            return state
        elif left_ms <= TAIL_MS + jump_ms:  # it ends by itself
            self._kept[endpoint.slot] = state.generation
        elif self._kept.get(endpoint.slot) != state.generation:
            self._ejections.lift(cluster, endpoint, "by_hand", now_ms)
            silence.look_again(self._desk, cluster)
        return None

    def _learn(
        self, cluster: Cluster, endpoint: Endpoint, state: OutlierState, view: ClusterView, asked_ms: int, unknown: bool
    ) -> None:
        generation = view.generations.get(endpoint.address, state.generation)
        known = view.dirty.get(endpoint.address, 0)
        missing = state.failures - known if unknown else 0
        if missing > 0:  # the run goes on where this replica's own count has got to
            cause = self._ejections.latest_cause(endpoint)
            gateway = min(missing, state.gateway_failures)
            local_origin = min(gateway, state.local_origin_failures) if cluster.policy.split_local_origin else 0
            run = Run.of_failures(missing, gateway, local_origin)
            since_ms = max(1, self._desk.scoreboard.mode().since_ms)  # untold since then
            self._desk.outbox.add(cluster, endpoint, generation, run, 0, cause=cause, since_ms=since_ms)
        dirty = known > 0 or missing > 0 or self._desk.outbox.waiting(endpoint)
        self._ejections.learn(cluster, endpoint, generation, dirty=dirty, asked_ms=asked_ms, now_ms=self._now_ms())

    def _offer(self, cluster: Cluster, endpoint: Endpoint, view: ClusterView) -> None:
        """Redis does not know of this ejection; the fleet's cap decides. One that Redis knew before it lost its data
        keeps its generation, so that it is taken once, whoever offers it, and not again after a hand has lifted it.
        Our own decision is above whatever Redis has counted."""
        if self._desk.present(cluster, endpoint) is None:
            return
        asked_ms = self._now_ms()
        state = self._ejections.state(endpoint)
        if state.ejected_until_ms <= asked_ms or state.version > view.version:
            return  # it is over, or Redis has told of it meanwhile
        counted = view.generations.get(endpoint.address, 0)
        offered = Ejection(
            endpoint=endpoint.address,
            workload="" if is_by_hand(state.reason) else endpoint.workload,
            left_ms=state.ejected_until_ms - asked_ms,
            ejection_ms=state.ejection_ms,
            generation=state.generation if state.shared else max(state.generation, counted + 1),
            failures=state.run,
            ejections=state.ejections,
            backoff=state.backoff,
            by=state.by or self._desk.replica,
            reason=state.reason or CONSECUTIVE_5XX,
            probe_in_ms=max(0, state.probe_at_ms - asked_ms) if state.probe_at_ms else NO_PROBE,
            cause="" if state.shared else self._ejections.cause(endpoint, state),
        )
        with self._desk.loop.within(BUDGET_MS):
            verdict = self._store.offer(cluster.name, offered, cluster.policy)
        now_ms = self._now_ms()
        if self._desk.present(cluster, endpoint) is None:
            return
        if verdict.outcome in (EJECTED, ALREADY_EJECTED):
            known = known_of(verdict, verdict.version)
            self._ejections.confirm(cluster, endpoint, known, asked_ms, now_ms, certain=True)
        else:
            self._ejections.lift(cluster, endpoint, verdict.outcome, now_ms)
            self._ejections.learn(cluster, endpoint, verdict.generation, dirty=False, asked_ms=asked_ms, now_ms=now_ms)

    # -- over here ----------------------------------------------------------------------------------------------------

    def withdraw(self, cluster: Cluster, view: ClusterView, asked_ms: int) -> bool:
        """Redis has gone back to older data, or was away while this replica's probe succeeded: with ejections that are
        over, as this replica knows. They are withdrawn, or who starts now would believe them. Whether there were any.
        One that began after the last return is new."""
        over = [each for each in view.ejections if self._is_known_over(cluster, each, asked_ms)]
        for ejection in over:
            with self._desk.loop.within(BUDGET_MS):
                self._store.withdraw(cluster.name, ejection, self._desk.replica)
        return bool(over)

    def _is_known_over(self, cluster: Cluster, ejection: Ejection, asked_ms: int) -> bool:
        endpoint = cluster.endpoints.get(ejection.endpoint)
        if endpoint is None or self._desk.present(cluster, endpoint) is None:
            return False
        state, known = self._ejections.state(endpoint), known_of(ejection, 0)
        same = ejection.generation == state.generation and ejection.ejection_ms == state.ejection_ms
        over = not state.ejected_until_ms and (same or ejection.generation < state.generation)
        return over and known.begun_ms(asked_ms) < state.unejected_at_ms

    # -- out there ----------------------------------------------------------------------------------------------------

    def adopt(self, cluster: Cluster, view: ClusterView, asked_ms: int) -> dict[str, int]:
        """What is out in Redis is out here, if it is this workload's. Returns where the two rightly go on to differ,
        and our generation there."""
        by_message = self._by_message.pop(cluster.name, set())
        apart = dict(self._kept_endpoints(cluster))
        for ejection in view.ejections:
            endpoint = cluster.endpoints.get(ejection.endpoint)
            if endpoint is None or self._desk.present(cluster, endpoint) is None:
                continue
            if ejection.workload in ("", endpoint.workload) and not self._has_ended(cluster, endpoint, ejection):
                known = known_of(ejection, view.version)
                correct = endpoint.slot in by_message
                self._ejections.confirm(cluster, endpoint, known, asked_ms, self._now_ms(), correct=correct)
            state = self._ejections.state(endpoint)
            if not state.shared:
                apart[endpoint.address] = state.generation
        return apart

    def _has_ended(self, cluster: Cluster, endpoint: Endpoint, ejection: Ejection) -> bool:
        """This very ejection is over here; Redis has had its clock put back. Not if it has lost its data since: then it
        counts generations from the beginning."""
        state = self._ejections.state(endpoint)
        same = state.generation == ejection.generation and state.ejection_ms == ejection.ejection_ms
        return same and not state.ejected_until_ms and state.unejected_at_ms > self._lost_ms.get(cluster.name, 0)

    def _kept_endpoints(self, cluster: Cluster) -> Iterator[tuple[str, int]]:
        for endpoint in cluster.endpoints.values():
            if self._desk.present(cluster, endpoint) is None:
                continue
            state = self._ejections.state(endpoint)
            if state.ejected_until_ms and self._kept.get(endpoint.slot) == state.generation:
                yield endpoint.address, state.generation
            else:
                self._kept.pop(endpoint.slot, None)
