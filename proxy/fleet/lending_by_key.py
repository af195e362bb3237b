"""Rate limits that the fleet keeps together and under which requests count by a key: leases for each key that is in
use, one call for all keys of a limit.

The keys are clients' choice. So many of them are looked after at a time; the others go by this replica's share.
"""

from collections.abc import Collection

from proxy.fleet.budget import BUDGET_MS
from proxy.fleet.desk import Desk
from proxy.fleet.lease import LAPSE_MS, PRESENT_MS, TURN_MS, Asking, capacity, refused_ns
from proxy.ipc.snapshot import RateLimitForm
from state.errors import StoreUnavailable
from state.rate_limits.decide import AskedByKey, Lease
from state.rate_limits.store import Lender

MOST = 4096
"""Keys of a limit that are looked after."""
AT_ONCE = 512
"""... and for which one call asks."""


class _Limit:
    """Where this replica is with one limit."""

    def __init__(self) -> None:
        self.asked_ms = -PRESENT_MS
        self.keys: dict[int, Asking] = {}


class LendingByKey:
    """One in each worker, at work in the one that leads."""

    def __init__(self, desk: Desk, lender: Lender) -> None:
        self._desk = desk
        self._buckets = desk.scoreboard.rate_limits
        self._lender = lender
        self._limits: dict[int, _Limit] = {}  # by number

    def retain(self, limits: Collection[int]) -> None:
        """Forgets all others."""
        self._limits = {number: each for number, each in self._limits.items() if number in limits}

    def look_at(self, cluster: str, limit: RateLimitForm) -> None:
        """Asks for what is due, a turn after the last time at the earliest."""
        known = self._limits.setdefault(limit["id"], _Limit())
        now_ms = self._desk.loop.now_ms()
        if now_ms - known.asked_ms < TURN_MS:
            return
        in_use = self._buckets.in_use(limit["id"], MOST)
        known.keys = {key: known.keys.get(key) or Asking(asked_ms=now_ms - TURN_MS) for key in in_use}
        if not self._desk.scoreboard.shared_state:
            self._disown(known)
            return
        due = [key for key, each in known.keys.items() if self._is_due(key, each, now_ms)][:AT_ONCE]
        if due or now_ms - known.asked_ms >= PRESENT_MS:
            try:
                self._ask(cluster, limit, known, due)
            except StoreUnavailable:  # who listens to Redis finds out whether it is away
                self._disown(known)
                known.asked_ms = self._desk.loop.now_ms() + LAPSE_MS - TURN_MS

    def _is_due(self, key: int, asking: Asking, now_ms: int) -> bool:
        """As with one lease; but of one that nobody asks for any more it is only said once what was not used."""
        lent = self._buckets.lent(key, True)
        idle = lent.asked == asking.asked and not lent.owed and not asking.granted
        return not idle and asking.due(lent, now_ms)

    def _disown(self, known: _Limit) -> None:
        for key in known.keys:
            self._buckets.disown(key, True)

    def _ask(self, cluster: str, limit: RateLimitForm, known: _Limit, keys: list[int]) -> None:
        now_ms = self._desk.loop.now_ms()
        lent = {key: self._buckets.lent(key, True) for key in keys}
        wanted = {
            key: (self._buckets.settle(key, True), known.keys[key].wanted(lent[key], limit, now_ms)) for key in keys
        }
        asked = AskedByKey(
            replica=self._desk.replica,
            limit=limit["id"],
            text=limit["text"],
            interval_ns=limit["interval_ns"],
            capacity=capacity(limit),
            keys=wanted,
        )
        with self._desk.loop.within(BUDGET_MS):
            replicas, leases = self._lender.lease_by_key(cluster, asked)
        known.asked_ms = now_ms
        self._buckets.lend(limit["id"], 0, 0, 0, replicas)
        for key, lease in leases.items():
            known.keys[key].answered(now_ms, lent[key].asked, lease.requests, lease.wait_us // 1000)
            put(self._desk, key, lease, True)


def put(desk: Desk, number: int, lease: Lease, by_key: bool = False) -> None:
    """A lease of a limit, or of a key, on the scoreboard; where the fleet has no more, the rest is refused until it is
    asked again."""
    now_ns = desk.loop.now_ns()
    lapses_ns = now_ns + LAPSE_MS * 1_000_000
    desk.scoreboard.rate_limits.lend(
        number, lease.requests, lapses_ns, now_ns + refused_ns(lease), lease.replicas, by_key
    )
