"""Detection by rates, where a rule asks for it: how often requests to each endpoint succeed, in the whole fleet.

Workers count on the scoreboard (relay/exchange/attempt.pyx); the leader takes what has come since it did so last, some
times in an interval, and tells Redis, where whoever closes the interval judges for the fleet. What is ejected all hear
of as of any ejection. While Redis does not decide, the replica judges what it sees itself, by the same formulas: with
as many requests as those ask for, it knows as much as any Envoy does; with fewer it knows too little, and judges
nothing. A replica that suspects its own network counts for nobody.
"""

from collections.abc import Iterator, Mapping, Sequence

from proxy.fleet.budget import BUDGET_MS
from proxy.fleet.clusters import Cluster
from proxy.fleet.desk import Desk
from proxy.fleet.records import ScoreboardRecords
from state.outlier.local_store import LocalStore
from state.outlier.rates import Count, Found, Name, Outcomes, RateRule
from state.outlier.store import EJECTED, OVERFLOW, Store

# So often in an interval: what is judged is that much older than it could be, and no more.
TELLS = 4


class Rates:
    """One worker's; at work while that worker leads. `tell` may raise StoreUnavailable, both ClusterLocked."""

    def __init__(self, desk: Desk, store: Store) -> None:
        self._desk = desk
        self._scoreboard = desk.scoreboard
        self._ejections = desk.ejections
        self._store = store
        self._local = LocalStore(ScoreboardRecords(desk.scoreboard, desk.clusters), desk.loop.now_ms)
        self._due_ms: dict[str, int] = {}  # cluster -> when it is to be told of next

    def retain(self) -> None:
        """Forgets clusters that are gone, or have no such rule any more."""
        kept = {each.name for each in self._desk.clusters.values() if each.rates}
        for name in self._due_ms.keys() - kept:
            del self._due_ms[name]
            self._local.keep_rates(name, ())

    def until_due_ms(self) -> int | None:
        """Milliseconds until the fleet is to be told something; None: nothing ever is."""
        now_ms = self._desk.loop.now_ms()
        asking = (each for each in self._desk.clusters.values() if each.rates and self._ejections.shared(each))
        soonest = min((self._due_ms.get(each.name, now_ms) for each in asking), default=None)
        return None if soonest is None else max(0, soonest - now_ms)

    def due(self, *, shared: bool) -> Iterator[Cluster]:
        """Clusters that are to be told of now, of those about which the fleet decides, or this replica alone."""
        now_ms = self._desk.loop.now_ms()
        for cluster in list(self._desk.clusters.values()):
            due = cluster.rates and now_ms >= self._due_ms.get(cluster.name, 0)
            if due and self._ejections.shared(cluster) == shared:
                yield cluster

    def tell(self, cluster: Cluster) -> None:
        """To the fleet."""
        self._local.keep_rates(cluster.name, ())
        rule, told = self._told(cluster)
        if not rule or not told.counts:
            return
        with self._desk.loop.within(BUDGET_MS):
            found = self._store.tell_rates(cluster.name, told, rule, cluster.policy)
        self._tell_overflows(cluster, found)

    def judge_alone(self, cluster: Cluster) -> None:
        """By what this replica has seen."""
        rule, told = self._told(cluster)
        if not rule:
            return
        self._local.keep_rates(cluster.name, {(each.address, each.workload) for each in cluster.endpoints.values()})
        found = self._local.tell_rates(cluster.name, told, rule, cluster.own_policy)
        for each in found:
            endpoint = cluster.endpoints[each.endpoint]
            if each.outcome == EJECTED:
                self._ejections.stand(cluster, endpoint, each.generation, each.reason)
        self._tell_overflows(cluster, found)

    def _tell_overflows(self, cluster: Cluster, found: Sequence[Found]) -> None:
        """In this replica's log; what is ejected comes as news."""
        for each in found:
            endpoint = cluster.endpoints.get(each.endpoint)
            if each.outcome == OVERFLOW and endpoint is not None:
                now_ms = self._desk.loop.now_ms()
                self._ejections.overflow(cluster, endpoint, each.number, now_ms, each.reason)

    def _told(self, cluster: Cluster) -> tuple[RateRule | None, Outcomes]:
        """The rule, and what has come since the last time; nothing of a replica that does not trust itself."""
        rule = cluster.rates
        self._due_ms[cluster.name] = self._desk.loop.now_ms() + (rule.interval_ms // TELLS if rule else 0)
        taken = self._scoreboard.endpoints.take_rates(cluster.slots)
        counts = {} if self._scoreboard.suspects_itself else self._by_name(cluster, taken)
        return rule, Outcomes(self._desk.replica, counts, int(100 * self._desk.loop.chance()))

    def _by_name(self, cluster: Cluster, taken: Mapping[int, tuple[int, int]]) -> Mapping[Name, Count]:
        endpoints = ((cluster.by_slot[slot], Count(*count)) for slot, count in taken.items())
        return {(endpoint.address, endpoint.workload): count for endpoint, count in endpoints}
