"""The outbox of one worker: outcomes in, reports to Redis out, in order, never on a request's time.

One greenlet sends; meanwhile what happens on an endpoint is summarised (state.outlier.run.Run is associative, so
batches of any size give the sequential answer). There is at most one entry per endpoint and generation, so the outbox
is bounded by the endpoints there are. While Redis is away nothing is kept: the replica decides by itself, and its
decisions are offered later.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import gevent
from gevent.event import Event

from proxy.fleet.budget import BUDGET_MS, CONNECT_MS, within
from proxy.fleet.clusters import Cluster, Endpoint, batch_of, present
from state.constants import EVIDENCE
from state.errors import KeysUnusable, StoreUnavailable
from state.keys import word
from state.outlier.run import Run
from state.outlier.store import OVERFLOW, TOO_SOON, Batch, Store, Verdict

# An endpoint that only the cap keeps in fails for as long as it likes; it is asked about once a second.
OVERFLOW_PAUSE_MS = 1000
LONGEST_REQUEST_ID = 64


@dataclass(slots=True)
class Pending:
    """What is to be reported of one endpoint in one generation."""

    cluster: Cluster
    endpoint: Endpoint
    generation: int
    run: Run = field(default_factory=Run)
    last_status: int = 0
    evidence: deque[str] = field(default_factory=lambda: deque(maxlen=EVIDENCE))
    not_before_ms: int = 0
    done: Event = field(default_factory=Event)
    verdict: Verdict | None = None
    joined: list["Pending"] = field(default_factory=list)  # entries that became part of this one

    def finish(self, verdict: Verdict | None) -> None:
        """The answer has come, or (None) will not: whoever waits for it goes on."""
        for entry in (self, *self.joined):
            entry.verdict = verdict
            entry.done.set()


class Reporter:
    """Sends for one worker. `clusters` is the door's view of the snapshot.

    `answer(cluster, pending, verdict, asked_ms)` and `lost(error, cluster)` are called in the sending greenlet.
    A report that fails is not sent again: it may have been counted.
    """

    def __init__(
        self,
        store: Store,
        by: str,
        clusters: Mapping[str, Cluster],
        now_ms: Callable[[], int],
        answer: Callable[[Cluster, Pending, Verdict, int], None],
        lost: Callable[[StoreUnavailable, Cluster], None],
    ) -> None:
        self._store = store
        self._by = by
        self._clusters = clusters
        self._now_ms = now_ms
        self._answer = answer
        self._lost = lost
        self._outbox: OrderedDict[tuple[int, int], Pending] = OrderedDict()
        self._paused: dict[int, int] = {}  # endpoint's slot -> until when
        self._work = Event()
        self._connected = Event()  # set by `warm`, cleared by a failure
        self._sent_ms = 0  # when the report on its way was sent, 0: there is none

    def add(
        self, cluster: Cluster, endpoint: Endpoint, generation: int, run: Run, status: int, request_id: str = ""
    ) -> Pending:
        """One more outcome, that of the request; only notes it. The entry that it is part of."""
        key = (endpoint.slot, generation)
        pending = self._outbox.get(key)
        if pending is None:
            until = self._paused.get(endpoint.slot, 0)
            pending = self._outbox[key] = Pending(cluster, endpoint, generation, not_before_ms=until)
        pending.run = pending.run.combine(run)
        pending.last_status = status or pending.last_status
        if run.lead:
            pending.evidence.append(evidence(status, self._by, request_id))
        self._work.set()
        return pending

    def waiting(self, endpoint: Endpoint) -> bool:
        """Something about the endpoint is not sent yet."""
        return any(slot == endpoint.slot for slot, _ in self._outbox)

    def paused(self, endpoint: Endpoint) -> bool:
        """The fleet has just said that the cap keeps this endpoint in."""
        return self._paused.get(endpoint.slot, 0) > self._now_ms()

    def wait(self, pending: Pending, milliseconds: int) -> Verdict | None:
        """Waits a moment for the verdict on an entry; not if that is known to take longer."""
        now_ms = self._now_ms()
        slow = self._sent_ms and now_ms - self._sent_ms > milliseconds
        if slow or pending.not_before_ms > now_ms:
            gevent.sleep(0)
        else:
            pending.done.wait(milliseconds / 1000)
        return pending.verdict

    def clear(self) -> None:
        """Forgets what was not sent: it is the replica's own affair now."""
        self._outbox.clear()
        self._paused.clear()

    def clear_cluster(self, cluster: Cluster) -> None:
        """The same for one cluster."""
        for key, pending in list(self._outbox.items()):
            if pending.cluster.name == cluster.name:
                del self._outbox[key]

    def resume(self, cluster: Cluster) -> None:
        """Something came back in the cluster, or its rule changed: there may be room under the cap again."""
        for slot in cluster.slots:
            self._paused.pop(slot, None)
        for pending in self._outbox.values():
            if pending.cluster.name == cluster.name:
                pending.not_before_ms = 0
        self._work.set()

    @property
    def connected(self) -> bool:
        """The last call went well."""
        return bool(self._connected.is_set())

    def warm(self) -> bool:
        """Makes connection and script ready, off every report's way: a report of nothing, which leaves no trace."""
        for cluster in list(self._clusters.values())[:1]:
            nothing = Batch(cluster.name, "-", "", 0, Run(), 0, self._by)
            try:
                with within(CONNECT_MS, "no connection"):
                    self._store.report(nothing, cluster.policy)
            except KeysUnusable:
                break  # an answer all the same
            except StoreUnavailable as error:
                self._connected.clear()
                self._lost(error, cluster)
                return False
        self._connected.set()
        return True

    def run(self) -> None:
        """Sends for ever; to be spawned."""
        while True:
            key = self._next()
            if key is not None:
                self._send(self._outbox.pop(key))

    def _next(self) -> tuple[int, int] | None:
        """The first entry that is due; waits for one, and returns None after each wait."""
        now_ms = self._now_ms()
        for key, pending in self._outbox.items():
            if pending.not_before_ms <= now_ms:
                return key
        soonest = min((pending.not_before_ms for pending in self._outbox.values()), default=None)
        self._work.clear()
        self._work.wait(None if soonest is None else (soonest - now_ms) / 1000)
        return None

    def _send(self, pending: Pending) -> None:
        cluster, endpoint = present(self._clusters, pending.cluster, pending.endpoint), pending.endpoint
        if cluster is None:
            return  # the snapshot has moved on
        told = ",".join(pending.evidence)
        batch = batch_of(cluster, endpoint, pending.generation, pending.run, pending.last_status, self._by, told)
        asked_ms = self._sent_ms = self._now_ms()
        try:
            with within(BUDGET_MS):
                self._connected.wait()
                verdict = self._store.report(batch, cluster.policy)
        except KeysUnusable as error:
            pending.finish(None)
            self._lost(error, cluster)
            return
        except StoreUnavailable as error:
            pending.finish(None)
            self._connected.clear()
            self._lost(error, cluster)
            return
        finally:
            self._sent_ms = 0
        if verdict.outcome == TOO_SOON:
            self._ask_again(pending, verdict.wait_ms)
            return
        pending.finish(verdict)
        if verdict.outcome == OVERFLOW:
            self._paused[endpoint.slot] = self._now_ms() + OVERFLOW_PAUSE_MS
        else:
            self._paused.pop(endpoint.slot, None)
        cluster = present(self._clusters, cluster, endpoint)
        if cluster is not None:
            self._answer(cluster, pending, verdict, asked_ms)
        gevent.sleep(0)

    def _ask_again(self, pending: Pending, wait_ms: int) -> None:
        """The run is too young to eject: ask whether it still stands when it is old enough, and tell what comes
        meanwhile."""
        key = (pending.endpoint.slot, pending.generation)
        pending.run, pending.not_before_ms = Run(), self._now_ms() + wait_ms
        pending.evidence.clear()
        later = self._outbox.pop(key, None)
        if later is not None:
            pending.run, pending.last_status = later.run, later.last_status or pending.last_status
            pending.evidence.extend(later.evidence)
            pending.joined.append(later)
        self._outbox[key] = pending


def evidence(status: int, by: str, request_id: str) -> str:
    """One failure as people read it: `503@waypoint-1/4f9c...`; a comma would end it."""
    return f"{status}@{word(by)}/{word(request_id[:LONGEST_REQUEST_ID])}".replace(",", "%2C")
