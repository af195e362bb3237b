"""Rate limits that the fleet keeps together: the worker that leads asks Redis for leases of requests, and puts them on
the scoreboard, where all workers of the replica take from them (relay/endpoints/rate_limits.pyx).

No request waits for this. Without a lease, and while Redis is away, a replica lets in its share of the limit by itself;
what it has let in so is told with the next lease.
"""

from collections.abc import Callable, Iterable

from proxy.fleet.budget import BUDGET_MS
from proxy.fleet.clusters import take_over
from proxy.fleet.desk import Desk
from proxy.fleet.keep import look_after
from proxy.fleet.lease import LAPSE_MS, Asking, capacity
from proxy.fleet.lending_by_key import LendingByKey, put
from proxy.ipc.snapshot import ClusterForm, RateLimitForm, limits_of
from proxy.scoreboard.views import Lent
from state.errors import StoreUnavailable
from state.rate_limits.decide import Asked
from state.rate_limits.store import Lender


class Lending:
    """One in each worker, at work in the one that leads."""

    def __init__(self, desk: Desk, lender: Lender, leading: Callable[[], bool]) -> None:
        self._desk = desk
        self._board = desk.scoreboard
        self._lender = lender
        self._leading = leading
        self._limits: dict[str, list[RateLimitForm]] = {}  # by cluster
        self._asking: dict[int, Asking] = {}  # by the limit's number
        self._by_key = LendingByKey(desk, lender)
        self._wakeup = desk.loop.flag()

    def apply(self, full: bool, clusters: Iterable[ClusterForm], removed: Iterable[str]) -> None:
        """Takes over a snapshot's limits."""
        take_over(self._limits, full, clusters, removed, _of_fleet)
        known = {each["id"] for limits in self._limits.values() for each in limits}
        self._asking = {number: asking for number, asking in self._asking.items() if number in known}
        self._by_key.retain(known)
        self._wakeup.set()

    def run(self) -> None:
        """Asks for leases, for ever; to be spawned."""
        look_after(self._desk.loop, self._wakeup, self.look, lambda: self._limits)

    def look(self) -> bool:
        """Asks for what is due. False: there is nothing to look after."""
        if not self._limits or not self._leading():
            return False
        for cluster, limits in list(self._limits.items()):
            for limit in limits:
                if limit["key"] == "none":
                    self._look_at(cluster, limit)
                else:
                    self._by_key.look_at(cluster, limit)
        return True

    def _look_at(self, cluster: str, limit: RateLimitForm) -> None:
        if not self._board.shared_state:
            self._board.rate_limits.disown(limit["id"])
            return
        asking = self._asking.setdefault(limit["id"], Asking())
        lent, now_ms = self._board.rate_limits.lent(limit["id"]), self._desk.loop.now_ms()
        if asking.due(lent, now_ms):
            try:
                self._ask(cluster, limit, asking, lent)
            except StoreUnavailable:  # who listens to Redis finds out whether it is away
                self._board.rate_limits.disown(limit["id"])
                asking.not_before_ms = self._desk.loop.now_ms() + LAPSE_MS

    def _ask(self, cluster: str, limit: RateLimitForm, asking: Asking, lent: Lent) -> None:
        now_ms = self._desk.loop.now_ms()
        asked = Asked(
            replica=self._desk.replica,
            limit=limit["id"],
            text=limit["text"],
            interval_ns=limit["interval_ns"],
            capacity=capacity(limit),
            owed=self._board.rate_limits.settle(limit["id"]),
            wanted=asking.wanted(lent, limit, now_ms),
        )
        with self._desk.loop.within(BUDGET_MS):
            lease = self._lender.lease(cluster, asked)
        asking.answered(now_ms, lent.asked, lease.requests, lease.wait_us // 1000)
        put(self._desk, limit["id"], lease)


def _of_fleet(form: ClusterForm) -> list[RateLimitForm]:
    return [each for each in limits_of(form) if each["fleet"]]
