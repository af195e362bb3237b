"""Sends what is in the outbox of one worker to Redis, in order, never on a request's time.

One greenlet sends, and does not wait for answers: what waited here would be overtaken by what others send, and be
counted in an order that never was. Another one takes the answers. While Redis is away nothing is kept: the replica
decides by itself, and its decisions are offered later.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from proxy.fleet import silence
from proxy.fleet.budget import BUDGET_MS, CONNECT_MS
from proxy.fleet.clusters import Cluster, batch_of
from proxy.fleet.desk import Desk
from proxy.fleet.outbox import Pending
from proxy.scoreboard.clusters import ClusterLocked
from state.constants import LONGEST_MIN_RUN_MS
from state.errors import KeysUnusable, StoreUnavailable
from state.outlier.run import Run
from state.outlier.store import TOO_SOON, Batch, Reports, Verdict

# While a report is on its way the next one leaves so long after it. What comes in between is one report, so a Redis
# that is far away is asked no more often than one that answers in that time.
APART_MS = 1
# With BUDGET_MS for each there are not many more in any case.
MOST_ON_THEIR_WAY = BUDGET_MS // APART_MS


@dataclass(frozen=True, slots=True)
class _Sent:
    """A report on its way."""

    cluster: Cluster
    pending: Pending
    at_ns: int
    answer: Callable[[], Verdict]


class Reporter:
    """Sends for one worker.

    `answer(cluster, pending, verdict, asked_ms)`, `lost(error, cluster)` and, when a run is too young to eject,
    `asked_again(pending, wait_ms)` are called in the order of the reports.
    A report that fails is not sent again: it may have been counted.
    """

    def __init__(
        self,
        desk: Desk,
        store: Reports,
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
        self._leaving_ms = 0  # since when a report waits for a connection, 0: none does
        self._sent: deque[_Sent] = deque()  # in this order
        self._some_sent = desk.loop.flag()
        self._answered = desk.loop.flag()

    @property
    def connected(self) -> bool:
        """The last call went well."""
        return self._connected.is_set()

    def wait(self, pending: Pending, milliseconds: int) -> Verdict | None:
        """Waits a moment for the verdict on an entry; not if that is known to take longer."""
        now_ms = self._loop.now_ms()
        asked_ms = self._sent[0].pending.sent_ms if self._sent else self._leaving_ms
        slow = asked_ms and now_ms - asked_ms > milliseconds
        if slow or pending.not_before_ms > now_ms:
            self._loop.sleep(0)
        else:
            pending.done.wait(milliseconds / 1000)
        young_ms = pending.too_young_ms
        if pending.verdict is None and 0 < young_ms <= LONGEST_MIN_RUN_MS:  # Redis has answered: then all is known
            pending.done.wait((young_ms + milliseconds) / 1000)
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

    def _timed(self, batch: Batch, cluster: Cluster) -> None:
        began_ns = self._loop.now_ns()
        self._store.report(batch, cluster.policy)
        self._took(began_ns)

    def _took(self, began_ns: int) -> None:
        """A report was answered just now."""
        ended_ns = self._loop.now_ns()
        self._pace.note(ended_ns // 1_000_000, (ended_ns - began_ns) // 1000)
        self._count((ended_ns - began_ns) // 1000)

    def _count(self, duration_us: int) -> None:
        """One more answer; negative: one more that did not come."""
        self._desk.scoreboard.workers.note_report(self._desk.worker, duration_us)

    # -- there --------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Sends for ever; to be spawned."""
        while True:
            self._keep_apart()
            self._send(self._desk.outbox.next())

    def _keep_apart(self) -> None:
        while self._sent:
            since_ns = self._loop.now_ns() - self._sent[-1].at_ns
            full = len(self._sent) >= MOST_ON_THEIR_WAY
            if since_ns >= APART_MS * 1_000_000 and not full:
                return
            self._answered.clear()
            self._answered.wait(None if full else APART_MS / 1000 - since_ns / 1e9)

    def _send(self, pending: Pending) -> None:
        cluster = self._desk.present(pending.cluster, pending.endpoint)
        if cluster is None or self._is_silent(cluster):
            self._desk.outbox.finish(pending, None)  # the snapshot has moved on, or nothing can come of it
            return
        self._leaving_ms = pending.sent_ms = self._loop.now_ms()
        batch = self._batch(cluster, pending)
        try:
            with self._loop.within(BUDGET_MS):
                self._connected.wait()
                at_ns = self._loop.now_ns()
                answer = self._store.send(batch, cluster.policy)
        except StoreUnavailable as error:
            self._fail(pending, cluster, error)
            return
        finally:
            self._leaving_ms = 0
        self._sent.append(_Sent(cluster, pending, at_ns, answer))
        self._some_sent.set()

    def _fail(self, pending: Pending, cluster: Cluster, error: StoreUnavailable) -> None:
        self._count(-1)
        self._desk.outbox.finish(pending, None)
        if not isinstance(error, KeysUnusable):
            self._connected.clear()
        self._lost(error, cluster)

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

    # -- and back -----------------------------------------------------------------------------------------------------

    def receive(self) -> None:
        """Takes the answers for ever; to be spawned."""
        while True:
            while not self._sent:
                self._some_sent.clear()
                self._some_sent.wait()
            try:
                self._receive(self._sent[0])
            finally:
                self._sent.popleft()
                self._answered.set()
            self._loop.sleep(0)

    def _receive(self, sent: _Sent) -> None:
        pending = sent.pending
        try:
            with self._loop.within(BUDGET_MS, gone_ms=self._loop.now_ms() - pending.sent_ms):
                verdict = sent.answer()
                self._took(sent.at_ns)
        except StoreUnavailable as error:
            self._fail(pending, sent.cluster, error)
            return
        if verdict.outcome == TOO_SOON:
            self._asked_again(self._desk.outbox.ask_again(pending, verdict.wait_ms), verdict.wait_ms)
            return
        self._desk.outbox.finish(pending, verdict)
        now = self._desk.present(sent.cluster, pending.endpoint)
        if now is not None:
            self._answer(now, pending, verdict, pending.sent_ms)
