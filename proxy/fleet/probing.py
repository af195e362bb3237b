"""Recovery by probe: an ejection that does not end with its time but with a request that succeeds.

When its time is over the endpoint stays out, and one replica of the fleet at a time, by a claim in Redis, offers it to
the next request that one of its workers has (`scoreboard.probes.offer`, taken in relay/endpoints/chooser.pyx). A
success brings it back for all; a failure ejects it for longer; silence, or no request at all, and the turn passes on:

    waiting     its time is not over, or another replica has the claim
    offered     the claim is ours; no request has come yet. Withdrawn after LEASE_MS: another replica's turn
    taken       a request is on its way; the claim is renewed, for PATIENCE_MS at most

While Redis is away each replica claims from itself. One that suspects its own network (suspicion.py) claims nothing,
and what it could not reach is nobody's news.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from proxy.fleet.budget import BUDGET_MS
from proxy.fleet.clusters import Cluster, Endpoint, batch_of
from proxy.fleet.desk import Desk
from proxy.fleet.known import known_of
from proxy.fleet.outbox import evidence
from proxy.fleet.outcome import Outcome
from proxy.fleet.records import ScoreboardRecords
from proxy.scoreboard.clusters import ClusterLocked
from state.errors import StoreUnavailable
from state.outlier.local_store import LocalStore
from state.outlier.store import EJECTED, PROBE_FAILED, RETURNED, Batch, Claim, Store, Verdict

log = logging.getLogger(__name__)

# A claim holds so long in Redis; it is renewed a little sooner.
LEASE_MS = 1000
RENEW_MS = 800
# A request that tries an endpoint and says nothing for so long is given up.
PATIENCE_MS = 10_000
# So often the leader looks what is due; those already known of at their time.
PAUSE_MS = 250
# Why the endpoint is back.
SUCCEEDED = "probe_succeeded"


@dataclass(slots=True)
class Turn:
    """Where the leader is with one ejection, that of `generation`."""

    generation: int
    next_ms: int = 0  # nothing to do before
    granted_ms: int = 0  # since when the claim is ours; 0: it is not


class Probing:
    """One in each worker. `tried` takes what requests say, in all of them; `run` makes offers in the one that leads.

    `lost(error, cluster)` is called when Redis does not answer; this replica decides by itself then.
    """

    def __init__(
        self,
        desk: Desk,
        store: Store,
        leading: Callable[[], bool],
        lost: Callable[[StoreUnavailable, Cluster], None],
    ) -> None:
        self._desk = desk
        self._probes = desk.scoreboard.probes
        self._store = store
        self._local = LocalStore(ScoreboardRecords(desk.scoreboard, desk.clusters), desk.loop.now_ms)
        self._ejections = desk.ejections
        self._now_ms = desk.loop.now_ms
        self._leading = leading
        self._lost = lost
        self._turns: dict[int, Turn] = {}  # by the endpoint's slot

    # -- offering -----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Offers endpoints when their time is over; to be spawned."""
        while True:
            pause_ms = self.look() if self._leading() else PAUSE_MS
            self._desk.loop.sleep(self._desk.loop.together(pause_ms / 1000))

    def look(self) -> int:
        """Does what is due; milliseconds until something may be due again."""
        pause, known = PAUSE_MS, set[int]()
        for cluster in list(self._desk.clusters.values()):
            for slot in self._probes.awaited(cluster.slots):
                known.add(slot)
                self._step(cluster, cluster.by_slot[slot])
                pause = min(pause, self._turns[slot].next_ms - self._now_ms())
        self._turns = {slot: turn for slot, turn in self._turns.items() if slot in known}
        return max(1, pause)

    def _step(self, cluster: Cluster, endpoint: Endpoint) -> None:
        state, now_ms = self._ejections.state(endpoint), self._now_ms()
        turn = self._turns.get(endpoint.slot)
        if turn is None or turn.generation != state.generation:
            turn = self._turns[endpoint.slot] = Turn(state.generation, state.probe_at_ms)
        if now_ms < turn.next_ms:
            return
        if turn.granted_ms and self._probes.withdraw(endpoint.slot):
            turn.granted_ms, turn.next_ms = 0, now_ms + LEASE_MS
            return
        if turn.granted_ms and now_ms - turn.granted_ms > PATIENCE_MS:
            self._probes.end(endpoint.slot)
            turn.granted_ms = 0
        self._take_turn(cluster, endpoint, turn)

    def _take_turn(self, cluster: Cluster, endpoint: Endpoint, turn: Turn) -> None:
        if self._has_no_say(cluster):
            turn.granted_ms, turn.next_ms = 0, self._now_ms() + LEASE_MS
            return
        claim = self._claim(cluster, endpoint)
        now_ms = self._now_ms()
        if self._desk.present(cluster, endpoint) is None:
            return
        if not claim.granted:
            turn.next_ms = now_ms + min(max(claim.wait_ms, 20), LEASE_MS)
            return
        turn.next_ms = now_ms + RENEW_MS
        turn.granted_ms = turn.granted_ms or now_ms
        if not self._probes.pending(endpoint.slot):
            self._probes.offer(endpoint.slot)

    def _has_no_say(self, cluster: Cluster) -> bool:
        """This replica suspects its own network: the others had better try."""
        return self._desk.scoreboard.suspects_itself and self._ejections.shared(cluster)

    def _claim(self, cluster: Cluster, endpoint: Endpoint) -> Claim:
        if self._ejections.shared(cluster):
            try:
                with self._desk.loop.within(BUDGET_MS):
                    return self._store.claim_probe(cluster.name, endpoint.address, self._desk.replica, LEASE_MS)
            except StoreUnavailable as error:
                self._lost(error, cluster)
        return Claim(True)

    # -- outcomes -----------------------------------------------------------------------------------------------------

    def tried(self, cluster: Cluster, endpoint: Endpoint, generation: int, outcome: Outcome) -> None:
        """An attempt on an endpoint that is out has an outcome; nothing but the one that was offered can be meant."""
        if not self._probes.end(endpoint.slot) or (outcome.blames_us and self._has_no_say(cluster)):
            return
        run, by = outcome.run, self._desk.replica
        self._ejections.note(endpoint, outcome)
        told = evidence(outcome.cause, by, outcome.request_id) if run.lead else ""
        batch = batch_of(cluster, endpoint, generation, run, outcome.status, by, told)
        self._desk.loop.spawn(self._end, cluster, endpoint, batch)

    def _end(self, cluster: Cluster, endpoint: Endpoint, batch: Batch) -> None:
        try:
            self._tell(cluster, endpoint, batch)
        except ClusterLocked as error:  # what Redis has decided the next look brings; otherwise another probe is due
            log.warning("cluster %s: what came of a probe is not known here yet: %s", cluster.name, error)

    def _tell(self, cluster: Cluster, endpoint: Endpoint, batch: Batch) -> None:
        asked_ms = self._now_ms()
        if self._ejections.shared(cluster):
            try:
                with self._desk.loop.within(BUDGET_MS):
                    verdict = self._store.probed(batch, cluster.policy)
                self._settle(cluster, endpoint, verdict, asked_ms)
                return
            except StoreUnavailable as error:
                self._lost(error, cluster)
        if self._desk.present(cluster, endpoint) is not None:
            self._decide_alone(cluster, endpoint, batch)

    def _settle(self, cluster: Cluster, endpoint: Endpoint, verdict: Verdict, asked_ms: int) -> None:
        """The fleet's answer. One that is "stale" comes with news of its own, or with the next look."""
        if self._desk.present(cluster, endpoint) is None:
            return
        if verdict.outcome == RETURNED:
            self._ejections.lift(cluster, endpoint, SUCCEEDED, self._now_ms(), verdict.version)
        elif verdict.outcome == EJECTED:
            known = known_of(verdict, verdict.version, PROBE_FAILED)
            self._ejections.confirm(cluster, endpoint, known, asked_ms, self._now_ms(), certain=True)

    def _decide_alone(self, cluster: Cluster, endpoint: Endpoint, batch: Batch) -> None:
        if batch.run.any_success:
            self._ejections.lift(cluster, endpoint, SUCCEEDED, self._now_ms())
            return
        verdict = self._local.probed(batch, cluster.own_policy)
        if verdict.outcome == EJECTED:
            self._ejections.stand(cluster, endpoint, verdict.generation, PROBE_FAILED)
