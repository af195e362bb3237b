"""What a worker has to report and has not yet: outcomes in, one entry for each endpoint and generation, in order.

What happens on an endpoint before its entry is taken is summarised (state.outlier.run.Run is associative, so batches of
any size give the sequential answer), so the outbox is bounded by the endpoints there are. Asks nobody; reporter.py
sends, and says what has become of each entry.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass, field

from proxy.fleet.clusters import Cluster, Endpoint
from proxy.fleet.loop import Flag, Loop
from proxy.policy.causes import word_of
from state.constants import EVIDENCE
from state.keys import word
from state.outlier.run import Run
from state.outlier.store import Verdict

LONGEST_REQUEST_ID = 64


@dataclass(slots=True, eq=False)
class Pending:
    """What is to be reported of one endpoint in one generation."""

    cluster: Cluster
    endpoint: Endpoint
    generation: int
    done: Flag
    run: Run = field(default_factory=Run)
    last_status: int = 0
    evidence: deque[str] = field(default_factory=lambda: deque(maxlen=EVIDENCE))
    begun_ns: int = 0  # when the first failure of the run at its end happened, 0: it has none
    sent_ms: int = 0  # 0: not yet
    not_before_ms: int = 0
    verdict: Verdict | None = None
    too_young_ms: int = 0  # Redis has answered that it is to be asked again, so much later
    joined: list["Pending"] = field(default_factory=list)  # entries that became part of this one

    @property
    def key(self) -> tuple[int, int]:
        """What there is one entry of."""
        return self.endpoint.slot, self.generation

    def include(self, run: Run, now_ns: int) -> None:
        """One more outcome, now."""
        self.run = self.run.combine(run)
        self.begun_ns = self.begun_ns or now_ns if run.trail else 0

    def age_us(self, now_ns: int) -> int:
        """How long ago the run began, in microseconds."""
        return (now_ns - self.begun_ns) // 1000 if self.begun_ns else 0

    def join(self, other: "Pending", wait_ms: int) -> None:
        """The answer to this one, so much later, is that to the other one too."""
        other.too_young_ms = wait_ms
        self.joined += (other, *other.joined)

    def finish(self, verdict: Verdict | None) -> None:
        """The answer has come, or (None) will not: whoever waits for it goes on."""
        for entry in (self, *self.joined):
            entry.verdict = verdict
            entry.done.set()


class Outbox:
    """One worker's. `by` is who reports."""

    def __init__(self, loop: Loop, by: str) -> None:
        self._loop = loop
        self._by = by
        self._entries: OrderedDict[tuple[int, int], Pending] = OrderedDict()
        self._on_its_way: dict[tuple[int, int], Pending] = {}  # the last one that was taken, until it is answered
        self._work = loop.flag()

    def add(
        self,
        cluster: Cluster,
        endpoint: Endpoint,
        generation: int,
        run: Run,
        status: int,
        request_id: str = "",
        cause: int = 0,
        since_ms: int = 0,
        gather_ms: int = 0,
    ) -> Pending:
        """One more outcome, that of the request, or failures `since_ms`; only notes it. The entry that it is part of.
        Successes may wait for more, `gather_ms` at most."""
        pending = self._entries.get((endpoint.slot, generation))
        if pending is None:
            pending = Pending(cluster, endpoint, generation, self._loop.flag())
            self._entries[pending.key] = pending
        pending.include(run, since_ms * 1_000_000 or self._loop.now_ns())
        if gather_ms and pending.run.all_well and not pending.too_young_ms:
            pending.not_before_ms = pending.not_before_ms or self._loop.now_ms() + gather_ms
        else:
            self._hurry(pending)
        pending.last_status = status or pending.last_status
        if run.lead:
            pending.evidence.append(evidence(cause or status, self._by, request_id))
        self._work.set()
        return pending

    def waiting(self, endpoint: Endpoint) -> bool:
        """Something about the endpoint is not sent yet."""
        return any(slot == endpoint.slot for slot, _ in self._entries)

    def clear(self) -> None:
        """Forgets what was not sent: it is the replica's own affair now."""
        self._entries.clear()

    def clear_cluster(self, cluster: Cluster) -> None:
        """The same for one cluster."""
        for key, pending in list(self._entries.items()):
            if pending.cluster.name == cluster.name:
                del self._entries[key]

    def next(self) -> Pending:
        """Takes the first entry that is due out; waits until there is one."""
        while True:
            now_ms = self._loop.now_ms()
            waiting = [pending for pending in self._entries.values() if not self._is_said(pending)]
            for pending in waiting:
                if pending.not_before_ms <= now_ms:
                    self._on_its_way[pending.key] = pending
                    return self._entries.pop(pending.key)
            soonest = min((pending.not_before_ms for pending in waiting), default=None)
            self._work.clear()
            self._work.wait(None if soonest is None else (soonest - now_ms) / 1000)

    def _is_said(self, pending: Pending) -> bool:
        """Only successes, after one that is on its way: should another worker's failure be counted in between, news of
        it will come (leader.py) after the answer to that one."""
        before = self._on_its_way.get(pending.key)
        return before is not None and before.run.ends_well and pending.run.all_well

    def finish(self, pending: Pending, verdict: Verdict | None) -> None:
        """The answer to what was taken has come, or (None) will not."""
        self._leave(pending)
        pending.finish(verdict)

    def _leave(self, pending: Pending) -> None:
        if self._on_its_way.get(pending.key) is pending:
            del self._on_its_way[pending.key]
        self._work.set()

    def _hurry(self, pending: Pending) -> None:
        """A success does not wait with what is to be asked again: meanwhile another worker could ask; nor do failures
        with successes."""
        if pending.run.any_success:
            pending.not_before_ms = 0

    def ask_again(self, pending: Pending, wait_ms: int) -> Pending:
        """The run is too young to eject: whether it still stands when it is old enough, and what comes meanwhile. The
        entry that asks: if another one has left since, its answer says so."""
        self._leave(pending)
        follower = self._on_its_way.get(pending.key)
        if follower is not None:
            follower.join(pending, wait_ms)
            return follower
        pending.run, pending.begun_ns = Run(), 0
        pending.not_before_ms, pending.too_young_ms = self._loop.now_ms() + wait_ms, wait_ms
        pending.evidence.clear()
        later = self._entries.pop(pending.key, None)
        if later is not None:
            pending.run, pending.begun_ns = later.run, later.begun_ns
            pending.last_status = later.last_status or pending.last_status
            pending.evidence.extend(later.evidence)
            pending.join(later, wait_ms)
        self._hurry(pending)
        self._entries[pending.key] = pending
        return pending


def evidence(cause: int, by: str, request_id: str) -> str:
    """One failure as people read it: `503@waypoint-1/4f9c...`, `refused@...`; a comma would end it."""
    return f"{word_of(cause)}@{word(by)}/{word(request_id[:LONGEST_REQUEST_ID])}".replace(",", "%2C")
