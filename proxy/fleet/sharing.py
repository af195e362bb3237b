"""Limits of clusters that the fleet keeps together: the worker that leads asks Redis for this replica's share, and puts
it on the scoreboard, where all workers go by it (relay/endpoints/allowance.pyx).

No request waits for this. While Redis is away a replica keeps the share that it has. One that has never had one goes by
a slice of the limit while those that were there before it may still have all of it: when it starts, and Redis does not
answer, for ALIVE_MS. After that, and in the moment after limits have become the fleet's, it goes by the whole limit, as
without the annotation: Redis that is away must not cost answers.
"""

from collections.abc import Callable, Iterable, Sequence

from proxy.fleet.budget import BUDGET_MS, CONNECT_MS
from proxy.fleet.clusters import take_over
from proxy.fleet.desk import Desk
from proxy.fleet.keep import look_after
from proxy.fleet.lease import LAPSE_MS
from proxy.fleet.share import Asking, Shared, shared_of
from proxy.ipc.snapshot import ClusterForm
from proxy.scoreboard.clusters import LIMITS
from proxy.scoreboard.views import InUse
from state.errors import StoreUnavailable
from state.shares.decide import ALIVE_MS, Shares, slice_of
from state.shares.store import Sharer

TURNS_AT_ONCE = 2
"""Questions in a row: the first may only find out which turn it is."""


class Sharing:
    """One in each worker, at work in the one that leads."""

    def __init__(self, desk: Desk, sharer: Sharer, leading: Callable[[], bool]) -> None:
        self._desk = desk
        self._board = desk.scoreboard
        self._sharer = sharer
        self._leading = leading
        self._shared: dict[str, Shared] = {}  # by cluster
        self._asking: dict[str, Asking] = {}
        self._wakeup = desk.loop.flag()
        self._began_ms = desk.loop.now_ms()

    def apply(self, full: bool, clusters: Iterable[ClusterForm], removed: Iterable[str]) -> None:
        """Takes over a snapshot's limits."""
        take_over(self._shared, full, clusters, removed, lambda form: shared_of(form["slot"], form["pool"]))
        self._asking = {name: each for name, each in self._asking.items() if name in self._shared}
        self._wakeup.set()

    @property
    def settled(self) -> bool:
        """Whether this replica knows what it goes by: its shares or, while Redis is away, what it begins with."""
        knows = self._has_begun if self._board.mode().reason else self._has_shares
        return all(map(knows, self._shared.values()))

    def _has_shares(self, shared: Shared) -> bool:
        return _complete(shared, self._board.shares.told(shared.slot))

    def _has_begun(self, shared: Shared) -> bool:
        return not self._young or _complete(shared, self._board.shares.of(shared.slot))

    @property
    def _young(self) -> bool:
        return self._desk.loop.now_ms() - self._began_ms < ALIVE_MS

    def run(self) -> None:
        """Asks for shares, for ever; to be spawned."""
        look_after(self._desk.loop, self._wakeup, self.look, lambda: self._shared)

    def look(self) -> bool:
        """Asks for what is due. False: there is nothing to look after."""
        if not self._shared or not self._leading():
            return False
        for name, shared in list(self._shared.items()):
            self._look_at(name, shared)
        return True

    def _look_at(self, cluster: str, shared: Shared) -> None:
        asking = self._asking.setdefault(cluster, Asking())
        in_use = self._in_use(shared)
        asking.note(in_use, shared.budget)
        now_ms = self._desk.loop.now_ms()
        if not self._board.shared_state:
            self._begin(shared)
        elif asking.due(shared, self._board.shares.told(shared.slot), in_use, now_ms):
            try:
                self._ask(cluster, shared, asking)
            except StoreUnavailable:  # who listens to Redis finds out whether it is away
                pause_ms = LAPSE_MS if self._has_shares(shared) else 0  # a worker may wait for the first
                asking.asked_ms = self._desk.loop.now_ms() + pause_ms
                self._begin(shared)

    def _begin(self, shared: Shared) -> None:
        """Without an answer: what nobody has said is a slice for a replica that has just started, later the limit."""
        told = self._board.shares.told(shared.slot)
        for name, limit in shared.limits.items():
            kind = LIMITS.index(name)
            if told[kind] < 0:
                self._board.shares.give(shared.slot, kind, slice_of(limit) if self._young else -1, told=False)

    def _in_use(self, shared: Shared) -> InUse:
        return self._board.shares.in_use(shared.slot, shared.interval_ms)

    def _ask(self, cluster: str, shared: Shared, asking: Asking) -> None:
        for _ in range(TURNS_AT_ONCE):
            in_use = self._in_use(shared)
            asked = asking.question(self._desk.replica, shared, self._board.shares.told(shared.slot), in_use)
            with self._desk.loop.within(BUDGET_MS if self._has_shares(shared) else CONNECT_MS):
                answer = self._sharer.share(cluster, asked)
            if self._shared.get(cluster) is not shared:
                return  # a snapshot has come meanwhile
            asking.answered(asked, answer, in_use, self._desk.loop.now_ms())
            if answer.shares is not None:
                self._put(shared, answer)
                return

    def _put(self, shared: Shared, answer: Shares) -> None:
        for name, share in (answer.shares or {}).items():
            self._board.shares.give(shared.slot, LIMITS.index(name), share)


def _complete(shared: Shared, shares: Sequence[int]) -> bool:
    return all(shares[LIMITS.index(name)] >= 0 for name in shared.limits)
