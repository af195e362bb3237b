"""The outbox of one worker: outcomes in, reports to Redis out, in order, never on a request's time.

One greenlet sends; meanwhile what happens on an endpoint is summarised (state.decide.Run is associative, so batches of any
size give the sequential answer). There is at most one entry per endpoint and generation, so the outbox is bounded by the
endpoints there are. While Redis is away nothing is kept: the replica decides by itself, and its decisions are offered later.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

import gevent
from gevent.event import Event

from proxy.fleet.members import Group, Member
from state.decide import Run
from state.store import OVERFLOW, Batch, Store, StoreUnavailable, Verdict

# An endpoint that only the cap keeps in fails for as long as it likes; it is asked about once a second.
OVERFLOW_PAUSE_MS = 1000


@dataclass(slots=True)
class Pending:
    """What is to be reported of one endpoint in one generation."""

    group: Group
    member: Member
    generation: int
    run: Run = field(default_factory=Run)
    last_status: int = 0
    not_before_ms: int = 0


class Reporter:
    """Sends for one worker. `answer(group, member, verdict)` and `lost(error)` are called in the sending greenlet."""

    def __init__(
        self,
        store: Store,
        by: str,
        now_ms: Callable[[], int],
        answer: Callable[[Group, Member, Verdict], None],
        lost: Callable[[StoreUnavailable], None],
    ) -> None:
        self._store = store
        self._by = by
        self._now_ms = now_ms
        self._answer = answer
        self._lost = lost
        self._outbox: OrderedDict[tuple[str, str, int], Pending] = OrderedDict()
        self._paused: dict[tuple[str, str], int] = {}
        self._work = Event()

    def add(self, group: Group, member: Member, generation: int, run: Run, status: int) -> None:
        """One more outcome; only notes it."""
        key = (group.name, member.address, generation)
        pending = self._outbox.get(key)
        if pending is None:
            until = self._paused.get(key[:2], 0)
            pending = self._outbox[key] = Pending(group, member, generation, not_before_ms=until)
        pending.run = pending.run.combine(run)
        pending.last_status = status or pending.last_status
        self._work.set()

    def clear(self) -> None:
        """Forgets what was not sent: it is the replica's own affair now."""
        self._outbox.clear()
        self._paused.clear()

    def resume(self, cluster: str) -> None:
        """Something came back in the cluster: there is room under the cap again."""
        for key in [key for key in self._paused if key[0] == cluster]:
            del self._paused[key]
        for pending in self._outbox.values():
            if pending.group.name == cluster:
                pending.not_before_ms = 0
        self._work.set()

    def run(self) -> None:
        """Sends for ever; to be spawned."""
        while True:
            key = self._next()
            if key is not None:
                self._send(self._outbox.pop(key))

    def _next(self) -> tuple[str, str, int] | None:
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
        group, member, run = pending.group, pending.member, pending.run
        batch = Batch(
            cluster=group.name,
            endpoint=member.address,
            workload=member.workload,
            generation=pending.generation,
            lead=run.lead,
            any_success=run.any_success,
            trail=run.trail,
            best_run=run.best,
            last_status=pending.last_status,
            by=self._by,
        )
        try:
            verdict = self._store.report(batch, group.policy)
        except StoreUnavailable as error:
            self._lost(error)
            return
        if verdict.outcome == OVERFLOW:
            self._paused[group.name, member.address] = self._now_ms() + OVERFLOW_PAUSE_MS
        else:
            self._paused.pop((group.name, member.address), None)
        self._answer(group, member, verdict)
        gevent.sleep(0)
