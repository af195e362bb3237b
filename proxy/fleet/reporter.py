"""Sends what is in the outbox of one worker to Redis, in order, never on a request's time.

One greenlet sends. While Redis is away nothing is kept: the replica decides by itself, and its decisions are offered
later.
"""

from collections.abc import Callable
from dataclasses import replace

from proxy.fleet import silence
from proxy.fleet.budget import BUDGET_MS, CONNECT_MS
from proxy.fleet.clusters import Cluster, batch_of
from proxy.fleet.desk import Desk
from proxy.fleet.outbox import Pending
from proxy.scoreboard.clusters import ClusterLocked
from state.errors import KeysUnusable, StoreUnavailable
from state.outlier.run import Run
from state.outlier.store import TOO_SOON, Batch, Store, Verdict


class Reporter:
    """Sends for one worker.

    `answer(cluster, pending, verdict, asked_ms)`, `lost(error, cluster)` and, when a run is too young to eject,
    `asked_again(pending, wait_ms)` are called in the sending greenlet.
    A report that fails is not sent again: it may have been counted.
    """

    def __init__(
        self,
        desk: Desk,
        store: Store,
        answer: Callable[[Cluster, Pending, Verdict, int], None],
        lost: Callable[[StoreUnavailable, Cluster], None],
        asked_again: Callable[[Pending, int], None],
    ) -> None:
        self._desk = desk
        self._loop = desk.loop
        self._store = store
        self._answer = answer
        self._lost = lost
        self._asked_again = asked_again
        self._pace = desk.pace
        self._connected = desk.loop.flag()  # set by `warm`, cleared by a failure
        self._sent_ms = 0  # when the report on its way was sent, 0: there is none

    @property
    def connected(self) -> bool:
        """The last call went well."""
        return self._connected.is_set()

    def wait(self, pending: Pending, milliseconds: int) -> Verdict | None:
        """Waits a moment for the verdict on an entry; not if that is known to take longer."""
        now_ms = self._loop.now_ms()
        slow = self._sent_ms and now_ms - self._sent_ms > milliseconds
        if slow or pending.not_before_ms > now_ms:
            self._loop.sleep(0)
        else:
            pending.done.wait(milliseconds / 1000)
        if pending.verdict is None and pending.too_young_ms:  # Redis has answered: that much later all is known
            pending.done.wait((pending.too_young_ms + milliseconds) / 1000)
        return pending.verdict

    def warm(self) -> bool:
        """Makes connection and script ready, off every report's way, and sees how long a report takes: reports of
        nothing, which leave no trace."""
        for cluster in list(self._desk.clusters.values())[:1]:
            nothing = Batch(cluster.name, "-", "", 0, Run(), 0, self._desk.replica)
            try:
                with self._loop.within(CONNECT_MS, "no connection"):
                    self._store.report(nothing, cluster.policy)
                    self._timed(nothing, cluster)
            except KeysUnusable:
                break  # an answer all the same
            except StoreUnavailable as error:
                self._count(-1)
                self._connected.clear()
                self._lost(error, cluster)
                return False
        self._connected.set()
        return True

    def _timed(self, batch: Batch, cluster: Cluster) -> Verdict:
        began_ns = self._loop.now_ns()
        verdict = self._store.report(batch, cluster.policy)
        ended_ns = self._loop.now_ns()
        self._pace.note(ended_ns // 1_000_000, (ended_ns - began_ns) // 1000)
        self._count((ended_ns - began_ns) // 1000)
        return verdict

    def _count(self, duration_us: int) -> None:
        """One more answer; negative: one more that did not come."""
        self._desk.scoreboard.workers.note_report(self._desk.worker, duration_us)

    def run(self) -> None:
        """Sends for ever; to be spawned."""
        while True:
            self._send(self._desk.outbox.next())

    def _send(self, pending: Pending) -> None:
        cluster, endpoint = self._desk.present(pending.cluster, pending.endpoint), pending.endpoint
        if cluster is None or self._is_silent(cluster):
            pending.finish(None)  # the snapshot has moved on, or nothing can come of it
            return
        asked_ms = self._sent_ms = pending.sent_ms = self._loop.now_ms()
        batch = self._batch(cluster, pending)
        try:
            with self._loop.within(BUDGET_MS):
                self._connected.wait()
                verdict = self._timed(batch, cluster)
        except StoreUnavailable as error:
            self._count(-1)
            pending.finish(None)
            if not isinstance(error, KeysUnusable):
                self._connected.clear()
            self._lost(error, cluster)
            return
        finally:
            self._sent_ms = 0
        if verdict.outcome == TOO_SOON:
            self._desk.outbox.ask_again(pending, verdict.wait_ms)
            self._asked_again(pending, verdict.wait_ms)
            return
        pending.finish(verdict)
        now = self._desk.present(cluster, endpoint)
        if now is not None:
            self._answer(now, pending, verdict, asked_ms)
        self._loop.sleep(0)

    def _is_silent(self, cluster: Cluster) -> bool:
        try:
            return silence.is_kept(self._desk, cluster)
        except ClusterLocked:  # Redis is told all the same: it knows whether there is room
            return False

    def _batch(self, cluster: Cluster, pending: Pending) -> Batch:
        told, by = ",".join(pending.evidence), self._desk.replica
        return replace(
            batch_of(cluster, pending.endpoint, pending.generation, pending.run, pending.last_status, by, told),
            round_trip_ms=self._pace.round_trip_ms(pending.sent_ms),
            age_us=pending.age_us(self._loop.now_ns()) + self._pace.one_way_us(),
        )
