"""Outcomes of attempts go in here; ejections come out on the scoreboard.

A failure is counted by this replica at once. If its own run reaches the threshold and the cap allows, the endpoint is
held: out of balancing in all workers, whatever Redis is doing. The report follows, off the request path, and Redis,
which sees the whole fleet, confirms or releases. No answer within HOLD_MS: the replica's decision stands. While Redis
is away (`shared_state` off on the scoreboard) every decision stands at once, and the leader offers it to the fleet
when Redis is back.

Successes come only while the endpoint is marked dirty, so healthy traffic costs nothing here.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace

from proxy.fleet import silence, witnesses
from proxy.fleet.clusters import Cluster, Endpoint, batch_of, cluster_of
from proxy.fleet.desk import Desk, Links
from proxy.fleet.ejections import PRIVATELY, REMOVED, RULE_DELETED
from proxy.fleet.holds import Hold, Holds
from proxy.fleet.joining import Joining
from proxy.fleet.keep import keep_running
from proxy.fleet.known import known_of
from proxy.fleet.leader import Leader, unanswered
from proxy.fleet.lending import Lending
from proxy.fleet.outbox import Pending
from proxy.fleet.outcome import SUCCEEDED, Outcome, failed
from proxy.fleet.probing import Probing
from proxy.fleet.records import ScoreboardRecords
from proxy.fleet.reporter import Reporter
from proxy.fleet.sharing import Sharing
from proxy.fleet.suspicion import Suspicion
from proxy.fleet.watch import watch_primary
from proxy.ipc.snapshot import ClusterForm
from proxy.scoreboard.clusters import ClusterLocked
from proxy.scoreboard.views import OutlierState
from state.errors import KeysUnusable, StoreUnavailable
from state.outlier.local_store import LocalStore
from state.outlier.store import ALREADY_EJECTED, CONSECUTIVE_5XX, EJECTED, OVERFLOW, Verdict

log = logging.getLogger(__name__)

# A failure's answer to the client waits so long for the fleet's verdict, so that what the client does next, anywhere in
# the fleet, finds it: as long as nearly every report takes, and at least some round trips to a Redis that is near. One
# that is slow costs nobody more than the second.
VERDICT_MS, LONGEST_VERDICT_MS = 10, 40
# It is noticed so soon that Redis is there, or is not: less than the leader's shortest pause between the two.
# A connection that cannot be made is tried again ever more seldom.
WARM_SECONDS = 0.05
# Where no attempt has failed for so long it is noticed later, or at the next that does: waking up costs.
QUIET_MS = 10_000
QUIET_SECONDS = 0.25
LAST_WARM_SECONDS = 2.0
# Outcomes that a lock prevented from being counted are told so often at most.
LOCKED_LOG_MS = 10_000
# What could not be lifted for a lock is lifted so much later.
LOCKED_AGAIN_SECONDS = 0.5
# The answer that completes an ejection waits so long for the other replicas to hear of it too.
SPREAD_SECONDS = 0.008


class Fleet:
    """One worker's, called on the request path. Only `before_answer` ever waits."""

    def __init__(self, desk: Desk, links: Links) -> None:
        self.desk = desk
        self._holds = Holds(desk)
        self.reporter = Reporter(desk, links.reports, self._answer, self._lost, self._holds.asked_again)
        self._links = links
        self._loop = desk.loop
        self._outcomes = desk.loop.flag()  # there was one lately
        self._scoreboard = desk.scoreboard
        self._ejections = desk.ejections
        self._now_ms = 0  # of the outcome being counted
        self._locked_told_ms = -LOCKED_LOG_MS
        self._names: dict[tuple[str, str], tuple[str, ...]] = {}  # disagreements that were told
        self._local = LocalStore(ScoreboardRecords(desk.scoreboard, desk.clusters), lambda: self._now_ms)
        self._suspicion = Suspicion(desk.scoreboard, desk.loop)
        self._leader = Leader(desk, links.store, links.problems)
        self._probing = Probing(desk, links.store, lambda: self._leader.leading, self._lost)
        self._lending = Lending(desk, links.lender, lambda: self._leader.leading)
        self._sharing = Sharing(desk, links.sharer, lambda: self._leader.leading)
        self._joining = Joining(desk, links.register, lambda: self._leader.leading)

    def start(self) -> None:
        """Begins to report and, when it is this worker's turn, to lead."""
        self._now_ms = self._loop.now_ms()
        self._outcomes.set()  # Redis is about to be there
        reporter, leader = self.reporter, self._leader
        reporting = reporter.run, reporter.receive, self._keep_warm
        asking = self._probing.run, self._lending.run, self._sharing.run, self._joining.run
        for work in (*reporting, leader.run, leader.keep_time, self._watch, *asking):
            self._loop.spawn(keep_running, self._loop, work)

    def _watch(self) -> None:
        watch_primary(self._loop, self._links.moved, lambda: self._leader.leading, self._lost)

    def _keep_warm(self) -> None:
        """Whenever Redis has come (back), or a call has failed, the next report shall find everything ready; and when
        this replica's network has come back, it shall trust itself again."""
        warm, pause, due_ms = None, WARM_SECONDS, 0
        while True:
            mode, now_ms = self._scoreboard.mode(), self._loop.now_ms()
            if warm is not None and mode != warm:
                self._links.forget_connections()
                warm = None
            if not mode.shared:  # whoever noticed; what waits here was counted by this replica alone
                self.desk.outbox.clear()
            again = not self.reporter.connected and now_ms >= due_ms
            if self.desk.clusters and (again or (mode.shared and mode != warm)):
                warm = mode
                pause = WARM_SECONDS if self.reporter.warm() else min(2 * pause, LAST_WARM_SECONDS)
                due_ms = now_ms + int(1000 * pause * (1 + self._loop.chance()) / 2)  # workers and replicas apart
            if self._scoreboard.suspects_itself:
                self._suspicion.look()
            self._sleep_and_measure()

    def _sleep_and_measure(self) -> None:
        """How late this wakes up is how late this worker is with everything."""
        if self._loop.now_ms() - self._now_ms >= QUIET_MS:
            self._outcomes.clear()
        quiet = not self._outcomes.is_set()
        seconds = self._loop.together(QUIET_SECONDS) if quiet else WARM_SECONDS
        due_ns = self._loop.now_ns() + int(1e9 * seconds)
        if quiet:
            self._outcomes.wait(seconds)
        else:
            self._loop.sleep(seconds)
        now_ns = self._loop.now_ns()
        self.desk.pace.note_late(now_ns // 1_000_000, max(0, now_ns - due_ns) // 1000)

    @property
    def settled(self) -> bool:
        """Whether this replica knows its share of limits that the fleet keeps together, or that Redis is away."""
        return self._sharing.settled

    def stop_leading(self) -> None:
        """The worker is going away: another one leads from now on."""
        self._leader.stop()

    def apply(self, full: bool, clusters: Iterable[ClusterForm], removed: Iterable[str]) -> None:
        """Takes over a snapshot's clusters; lifts the ejections of rules and endpoints that are gone."""
        bodies = {body["name"]: body for body in clusters}
        for each in (self._lending, self._sharing, self._joining):
            each.apply(full, bodies.values(), removed)
        gone = set(removed) | ({name for name in self.desk.clusters if name not in bodies} if full else set())
        for name, body in bodies.items():
            cluster = cluster_of(body)
            if cluster is None:
                gone.add(name)
            else:
                self._replace(cluster)
        for name in gone:
            cluster = self.desk.clusters.pop(name, None)
            if cluster is not None:
                self._lift(cluster, cluster.endpoints.values(), RULE_DELETED)
        self._leader.wake()

    def _replace(self, cluster: Cluster) -> None:
        before = self.desk.clusters.get(cluster.name)
        self.desk.clusters[cluster.name] = cluster
        silence.look_again(self.desk, cluster)
        if before is not None:
            gone = [endpoint for slot, endpoint in before.by_slot.items() if slot not in cluster.by_slot]
            self._lift(before, gone, REMOVED)

    def _lift(self, cluster: Cluster, endpoints: Iterable[Endpoint], reason: str) -> None:
        left = list(endpoints)
        for endpoint in left:
            self._holds.over(endpoint)  # its report is not sent any more
        try:
            while left:
                self._ejections.lift(cluster, left[-1], reason, self._loop.now_ms())
                left.pop()
        except ClusterLocked:
            self._loop.spawn_later(LOCKED_AGAIN_SECONDS, self._lift_again, cluster, left, reason)

    def _lift_again(self, cluster: Cluster, endpoints: Sequence[Endpoint], reason: str) -> None:
        """What is served again meanwhile is left alone: its row may be another's by now."""
        now = self.desk.clusters.get(cluster.name)
        self._lift(cluster, [each for each in endpoints if now is None or each.slot not in now.by_slot], reason)

    # -- outcomes -----------------------------------------------------------------------------------------------------

    def attempt_failed(
        self,
        name: str,
        slot: int,
        generation: int,
        status: int,
        request_id: str,
        cause: int = 0,
        spoke: bool = False,
        connected: bool = False,
    ) -> Pending | None:
        """An attempt on a cluster's endpoint in `slot`, dispatched in `generation`, failed: `status`, or 0
        without an answer, then for the `cause` (a number of policy/facts.pxd; 0: not known), of which its side `spoke`
        itself or not, and `connected` or not. The report that it is part of, if there is one, for `before_answer`."""
        return self._outcome(name, slot, generation, failed(status, request_id, cause, spoke, connected))

    def attempt_succeeded(self, name: str, slot: int, generation: int) -> None:
        """An attempt on a dirty endpoint was answered well."""
        self._outcome(name, slot, generation, SUCCEEDED)

    def before_answer(self, report: Pending | None) -> None:
        """To be called between `attempt_failed` and the answer to the client, with what it gave; waits
        LONGEST_VERDICT_MS at most, and what Redis itself asks for (`Reporter.wait`)."""
        if report is None:
            return
        usual_ms = self.desk.pace.round_trip_ms(self._loop.now_ms())
        verdict = self.reporter.wait(report, min(max(VERDICT_MS, usual_ms), LONGEST_VERDICT_MS))
        if verdict is not None and verdict.outcome == EJECTED:
            self._loop.sleep(SPREAD_SECONDS)

    def _outcome(self, name: str, slot: int, generation: int, outcome: Outcome) -> Pending | None:
        try:
            return self._count(name, slot, generation, outcome)
        except ClusterLocked as error:  # one outcome more or less does not matter, a request that waits does
            self._tell_locked(name, error)
            return None

    def _tell_locked(self, name: str, error: ClusterLocked) -> None:
        if self._loop.now_ms() >= self._locked_told_ms + LOCKED_LOG_MS:
            self._locked_told_ms = self._loop.now_ms()
            log.warning("cluster %s: an outcome is not counted: %s", name, error)

    def _count(self, name: str, slot: int, generation: int, outcome: Outcome) -> Pending | None:
        cluster = self.desk.clusters.get(name)
        endpoint = cluster.by_slot.get(slot) if cluster else None
        if cluster is None or endpoint is None:
            return None  # the snapshot has moved on since the attempt began
        now_ms = self._now_ms = self._loop.now_ms()
        self._outcomes.set()
        self._ejections.expire(cluster, endpoint, now_ms)
        before = self._ejections.state(endpoint)
        if before.generation != generation:
            return None  # old evidence: an ejection has used it up
        if before.ejected_until_ms:
            self._probing.tried(cluster, endpoint, generation, outcome)
            return None
        private = bool(outcome.run.local) and not self._may_tell(cluster, endpoint, outcome)
        self._ejections.note(endpoint, outcome)
        silent = silence.is_kept(self.desk, cluster)
        kept = not private and not silent and self._keeps_to_itself(cluster, endpoint)
        verdict = self._local.report(
            batch_of(cluster, endpoint, generation, outcome.run, outcome.status, self.desk.replica),
            witnesses.patient(cluster.own_policy) if kept else cluster.own_policy,
        )
        if not self._ejections.shared(cluster):
            self._decide_alone(cluster, endpoint, verdict, private)
        elif silent and not private:
            self._keep_in(cluster, endpoint, before, verdict)
        elif kept:
            return self._keep(cluster, endpoint, before, outcome, verdict)
        elif not private:
            return self._report(cluster, endpoint, before, outcome, verdict)
        elif verdict.outcome == EJECTED:
            self._ejections.stand(cluster, endpoint, verdict.generation, PRIVATELY)
        return None

    def _report(
        self,
        cluster: Cluster,
        endpoint: Endpoint,
        before: OutlierState,
        outcome: Outcome,
        verdict: Verdict,
        since_ms: int = 0,
    ) -> Pending:
        """Redis is told; should this replica's own count have reached the threshold, the endpoint is out meanwhile."""
        report = self.desk.outbox.add(
            cluster,
            endpoint,
            before.generation,
            outcome.run,
            outcome.status,
            outcome.request_id,
            outcome.cause,
            since_ms,
            witnesses.gather_ms(self.desk, endpoint),
        )
        if verdict.outcome == EJECTED:
            self._holds.begin(Hold(cluster, endpoint, before, verdict.generation, report))
        return report

    def _keeps_to_itself(self, cluster: Cluster, endpoint: Endpoint) -> bool:
        return self._ejections.shared(cluster) and witnesses.keeps_to_itself(self.desk, endpoint)

    def _keep(
        self, cluster: Cluster, endpoint: Endpoint, before: OutlierState, outcome: Outcome, verdict: Verdict
    ) -> Pending | None:
        """Others tell of the endpoint; this replica does if its own run has reached the threshold."""
        if verdict.outcome == EJECTED:
            run = witnesses.own_run(before, outcome.run, split=cluster.policy.split_local_origin)
            began_ms = self._scoreboard.outlier.run_began_ms(endpoint.slot)
            return self._report(cluster, endpoint, before, replace(outcome, run=run), verdict, began_ms)
        if not verdict.failures:
            generation, now_ms = before.generation, self._now_ms
            self._ejections.learn(cluster, endpoint, generation, dirty=False, asked_ms=now_ms, now_ms=now_ms)
        return None

    def _may_tell(self, cluster: Cluster, endpoint: Endpoint, outcome: Outcome) -> bool:
        """A failure of local origin: whether it is the fleet's business. Without a fleet, no other replica confirms
        it. Where the other side has spoken, there is nothing to suspect ourselves of."""
        confirmable = self._ejections.shared(cluster) or cluster.policy.local_origin_quorum <= 1
        return (not outcome.blames_us or self._suspicion.cleared(endpoint, outcome.cause)) and confirmable

    def _keep_in(self, cluster: Cluster, endpoint: Endpoint, before: OutlierState, verdict: Verdict) -> None:
        """The fleet has no room, whatever this replica's own view of the cap is."""
        if verdict.outcome == EJECTED:
            before = before.without_run()
            self._ejections.release(cluster, endpoint, before, verdict.generation, self._now_ms)
        if verdict.outcome in (EJECTED, OVERFLOW):
            self._overflow(cluster, endpoint, verdict.reason)

    def _decide_alone(self, cluster: Cluster, endpoint: Endpoint, verdict: Verdict, private: bool) -> None:
        """There is no fleet at the moment: what this replica's workers have counted together is what holds."""
        if verdict.outcome == EJECTED:
            self._ejections.stand(cluster, endpoint, verdict.generation, PRIVATELY if private else CONSECUTIVE_5XX)
        elif verdict.outcome == OVERFLOW:
            self._overflow(cluster, endpoint, verdict.reason)

    def _overflow(self, cluster: Cluster, endpoint: Endpoint, reason: str) -> None:
        failures = cluster.policy.threshold(reason)
        self._ejections.overflow(cluster, endpoint, failures, self._loop.now_ms(), reason)

    # -- what Redis says ----------------------------------------------------------------------------------------------

    def _answer(self, cluster: Cluster, report: Pending, verdict: Verdict, asked_ms: int) -> None:
        """The fleet's verdict on a report, whatever this replica thought."""
        try:
            self._take(cluster, report, verdict, asked_ms)
        except ClusterLocked as error:  # the leader finds it at its next look; other reports do not wait for that
            self._tell_locked(cluster.name, error)

    def _take(self, cluster: Cluster, report: Pending, verdict: Verdict, asked_ms: int) -> None:
        endpoint, now_ms = report.endpoint, self._loop.now_ms()
        self._tell_names(cluster, endpoint, verdict.names)
        if verdict.outcome in (EJECTED, ALREADY_EJECTED):
            known, certain = known_of(verdict, verdict.version), verdict.outcome == EJECTED
            # No room: Redis does not know of all that is out here, or not we of what is back. The leader reads it all.
            if self._ejections.has_room(cluster, endpoint, known.reason):
                self._ejections.confirm(cluster, endpoint, known, asked_ms, now_ms, certain=certain)
            self._holds.over(endpoint)
            return
        self._holds.answered(report, verdict)
        if verdict.outcome == OVERFLOW:
            self._overflow(cluster, endpoint, verdict.reason)
            silence.begin(self.desk, cluster)
            return
        dirty = verdict.failures > 0 or self.desk.outbox.waiting(endpoint)
        self._ejections.learn(cluster, endpoint, verdict.generation, dirty=dirty, asked_ms=asked_ms, now_ms=now_ms)

    def _tell_names(self, cluster: Cluster, endpoint: Endpoint, names: tuple[str, ...]) -> None:
        """Once for each such disagreement."""
        if self._names.get((cluster.name, endpoint.address), ()) == names:
            return
        self._names.pop((cluster.name, endpoint.address), None)
        if names:
            self._names[cluster.name, endpoint.address] = names
            log.warning(
                "cluster %s: replicas do not agree whose address %s is (%s): failures are counted by address until "
                "they do; has one of them kept an old snapshot, for an invalid change?",
                cluster.name,
                endpoint.address,
                ", ".join(names),
            )

    def _lost(self, error: StoreUnavailable, cluster: Cluster | None = None) -> None:
        """Redis does not answer, or its keys of one cluster are of no use: this replica decides by itself from here
        on, about everything or about that cluster."""
        if isinstance(error, KeysUnusable) and cluster is not None:
            self._scoreboard.clusters.set_alone(cluster.slot, True)  # the leader says which keys, and sees it end
            self.desk.outbox.clear_cluster(cluster)
            self._holds.stand(cluster.name)
            return
        if self._scoreboard.leave_shared_state(str(error)):
            log.warning("%s: this replica decides by itself until it does", unanswered(error))
        self.desk.outbox.clear()
        self._holds.stand()
        self._leader.wake()
