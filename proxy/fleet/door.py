"""Outcomes of attempts go in here; ejections come out on the scoreboard.

A failure is counted by this replica at once. If its own run reaches the threshold and the cap allows, the endpoint is held:
out of balancing in all workers, whatever Redis is doing. The report follows, off the request path, and Redis, which sees the
whole fleet, confirms or releases. No answer within HOLD_MS: the replica's decision stands. While Redis is away (`shared_state`
off on the scoreboard) every decision stands at once, and the leader offers it to the fleet when Redis is back.

Successes come only while the endpoint is marked dirty, so healthy traffic costs nothing here.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import gevent

from proxy.fleet.ejections import Ejections, Known
from proxy.fleet.leader import Leader
from proxy.fleet.members import Group, Member, group_of
from proxy.fleet.reporter import Reporter
from proxy.fleet.table import ScoreboardTable
from proxy.observe.outlier_log import Event
from proxy.scoreboard import Scoreboard
from state.decide import FAILURE, SUCCESS, Run
from state.local_store import LocalStore
from state.redis_store import RedisStore, connect
from state.store import ALREADY_EJECTED, CLEAN, COUNTED, EJECTED, OVERFLOW, STALE, Batch, StoreUnavailable, Verdict

log = logging.getLogger(__name__)

# How long an answer of Redis is waited for before the replica's own decision stands.
HOLD_MS = 50
# When Redis counts as away. Long enough for a slow network, short enough to notice a hung server.
TIMEOUT_SECONDS = 0.5
# The same endpoint's overflow is logged so often at most.
OVERFLOW_LOG_MS = 60_000


def monotonic_ms() -> int:
    """CLOCK_MONOTONIC, which all processes of the replica share, in milliseconds."""
    return time.monotonic_ns() // 1_000_000


class Fleet:
    """One worker's. `attempt_failed` and `attempt_succeeded` are called on the request path and never wait."""

    def __init__(
        self, scoreboard: Scoreboard, worker: int, replica: str, url: str, prefix: str, line: Callable[[Event], None]
    ) -> None:
        self._scoreboard = scoreboard
        self._groups: dict[str, Group] = {}
        self._ejections = Ejections(scoreboard, worker, replica, line)
        self._local = LocalStore(ScoreboardTable(scoreboard, self._groups), monotonic_ms)
        self._replica = replica
        self._overflows: dict[tuple[str, str], int] = {}
        store = RedisStore(connect(url, TIMEOUT_SECONDS), prefix)
        self._reporter = Reporter(store, replica, monotonic_ms, self._answer, self._lost)
        self._leader = Leader(scoreboard, worker, replica, store, self._groups, self._ejections, monotonic_ms, self._back)

    def start(self) -> None:
        """Begins to report and, when it is this worker's turn, to lead."""
        gevent.spawn(self._reporter.run)
        gevent.spawn(self._leader.run)

    def apply(self, full: bool, clusters: Iterable[Mapping[str, Any]], removed: Iterable[str]) -> None:
        """Takes over a snapshot's clusters; lifts the ejections of those whose rule is gone."""
        bodies = {body["name"]: body for body in clusters}
        gone = set(removed) | ({name for name in self._groups if name not in bodies} if full else set())
        for name, body in bodies.items():
            group = group_of(body)
            if group is None:
                gone.add(name)
            else:
                self._groups[name] = group
        for name in gone:
            self._lift_all(self._groups.pop(name, None))
        self._leader.wake()

    def _lift_all(self, group: Group | None) -> None:
        if group is not None:
            for member in group.members.values():
                self._ejections.lift(group, member, "rule_deleted", monotonic_ms())

    # -- outcomes -----------------------------------------------------------------------------------------------------

    def attempt_failed(self, cluster: str, endpoint: str, generation: int, status: int) -> None:
        """An attempt dispatched in `generation` failed: with `status`, or (0) without an answer."""
        self._outcome(cluster, endpoint, generation, FAILURE, status)

    def attempt_succeeded(self, cluster: str, endpoint: str, generation: int) -> None:
        """An attempt on a dirty endpoint was answered well."""
        self._outcome(cluster, endpoint, generation, SUCCESS, 0)

    def _outcome(self, cluster: str, endpoint: str, generation: int, run: Run, status: int) -> None:
        group = self._groups.get(cluster)
        member = group.members.get(endpoint) if group else None
        if group is None or member is None:
            return  # the snapshot has moved on since the attempt began
        self._ejections.expire(group, member, monotonic_ms())
        verdict = self._local.report(self._batch(group, member, generation, run, status), group.policy)
        if not self._scoreboard.shared_state:
            self._decide_alone(group, member, verdict)
            return
        self._reporter.add(group, member, generation, run, status)
        if verdict.outcome == EJECTED:
            gevent.spawn_later(HOLD_MS / 1000, self._ejections.stand, group, member, verdict.generation)

    def _batch(self, group: Group, member: Member, generation: int, run: Run, status: int) -> Batch:
        return Batch(
            cluster=group.name,
            endpoint=member.address,
            workload=member.workload,
            generation=generation,
            lead=run.lead,
            any_success=run.any_success,
            trail=run.trail,
            best_run=run.best,
            last_status=status,
            by=self._replica,
        )

    def _decide_alone(self, group: Group, member: Member, verdict: Verdict) -> None:
        """There is no fleet at the moment: what this replica's workers have counted together is what holds."""
        if verdict.outcome == EJECTED:
            self._ejections.stand(group, member, verdict.generation)
        elif verdict.outcome == OVERFLOW:
            self._overflow(group, member)
        elif verdict.outcome == CLEAN:
            self._scoreboard.set_dirty(member.slot, False)

    def _overflow(self, group: Group, member: Member) -> None:
        key, now_ms = (group.name, member.address), monotonic_ms()
        if now_ms - self._overflows.get(key, -OVERFLOW_LOG_MS) >= OVERFLOW_LOG_MS:
            self._overflows[key] = now_ms
            self._ejections.overflow(group, member, group.policy.consecutive_5xx)

    # -- what Redis says ----------------------------------------------------------------------------------------------

    def _answer(self, group: Group, member: Member, verdict: Verdict) -> None:
        """The fleet's verdict on a report, whatever this replica thought."""
        now_ms = monotonic_ms()
        if verdict.outcome in (EJECTED, ALREADY_EJECTED):
            self._ejections.confirm(group, member, known_of(verdict), now_ms)
            return
        self._ejections.release(group, member, verdict.generation, verdict.failures, now_ms)
        if verdict.outcome == OVERFLOW:
            self._overflow(group, member)
        if verdict.outcome in (COUNTED, CLEAN, OVERFLOW, STALE):
            self._ejections.learn(group, member, verdict.generation, dirty=verdict.failures > 0)

    def _lost(self, error: StoreUnavailable) -> None:
        """Redis does not answer: from here on this replica decides by itself."""
        if self._scoreboard.shared_state:
            self._scoreboard.shared_state = False
            log.warning("Redis does not answer (%s): this replica decides by itself until it does", error)
        self._reporter.clear()
        for group in self._groups.values():
            for member in group.members.values():
                state = self._ejections.state(member)
                if state.held:
                    self._ejections.stand(group, member, state.generation)
        self._leader.wake()

    def _back(self, cluster: str) -> None:
        """An endpoint of the cluster came back, here or elsewhere in the fleet."""
        self._reporter.resume(cluster)


def known_of(verdict: Verdict) -> Known:
    """A verdict's ejection."""
    return Known(
        left_ms=verdict.left_ms,
        ejection_ms=verdict.ejection_ms,
        generation=verdict.generation,
        failures=verdict.failures,
        ejections=verdict.ejections,
        backoff=verdict.backoff,
        by=verdict.by,
        reason="consecutive_5xx",
    )
