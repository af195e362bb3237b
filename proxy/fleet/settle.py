"""When the leader looks at a cluster, and whether there is anything to settle (differences.py settles it).

A look is one MGET (version, epoch, eject keys); everything is read only when that, or a new snapshot, tells of a
change, or it is due all the same (due.py). All numbers of an answer are as old as its question; whoever knew something
newer keeps it. Whether Redis has lost data is told by what was known before it was asked: another epoch, or a version
that has not got so far.
"""

import logging
from contextlib import suppress
from typing import Any

from proxy.fleet.budget import BUDGET_MS
from proxy.fleet.clusters import Cluster, Endpoint, view_of
from proxy.fleet.desk import Desk
from proxy.fleet.differences import Differences
from proxy.fleet.due import Due
from proxy.fleet.known import merged
from proxy.fleet.strangers import Strangers
from proxy.scoreboard.clusters import ClusterLocked
from state.errors import KeysUnusable
from state.outlier.store import ClusterView, Glance, Store, View

log = logging.getLogger(__name__)

# A cluster with an ejection is looked at so often, and so often by a large fleet together: who finds what a hand has
# done tells the others.
EJECTED_INTERVAL_MS = 1000
LOOKS_APART_MS = 20
# A sync reads so many endpoints at a time: about 10 ms of Redis's.
SYNC_ENDPOINTS = 500
# A look asks twice while anything is out, or a view is to be told.
LOOK_TRIPS = 2
# After lost data every replica of the fleet has the same to offer: who begins is left to chance, within this time.
OFFER_WITHIN_MS = 500
# Who is in the cluster, as this replica has it, is told at every look while anything is out, else more seldom, and is
# to be believed for some looks more. A replica that is gone without a word has its say for so long still.
VIEW_HOLDS_MS = 5000
QUIET_VIEW_MS = 30_000
LOOKS = 3


class Settling:
    """When the leader looked, and the settling itself. `settle` may raise StoreUnavailable."""

    def __init__(self, desk: Desk, store: Store) -> None:
        self._desk = desk
        self._scoreboard = desk.scoreboard
        self._store = store
        self._ejections = desk.ejections
        self._now_ms = desk.loop.now_ms
        self._differences = Differences(desk, store)
        self.alone_before = False  # this replica has just decided by itself: Redis does not know its runs of failures
        self._looked: dict[str, int] = {}  # cluster -> when
        self._synced: dict[str, Cluster] = {}  # cluster -> the cluster as it was when all of it was read
        self._before: dict[str, Cluster] = {}  # the same, whatever has become of Redis since
        self._apart: dict[str, dict[str, int]] = {}  # cluster -> endpoint -> generation in which Redis rightly differs
        self._offers: dict[str, int] = {}  # cluster whose data Redis has lost -> when it is offered again
        self._replicas: dict[str, int] = {}  # cluster -> how many look at it
        self._every_ms: dict[str, int] = {}  # cluster -> how often this one has promised to, while anything is out
        self._views: dict[str, int] = {}  # cluster -> when its view is to be told again
        self._gone_back: set[str] = set()  # clusters of which Redis has older data than it had, until that is settled
        self._due = Due()
        self._strangers = Strangers(desk.mesh)
        self._told: set[str] = set()  # clusters whose unusable keys have been named

    def begin(self, alone_before: bool) -> None:
        """Nothing is known; everything is read next."""
        self.alone_before = alone_before
        self._looked.clear()
        self._synced.clear()

    def retain(self) -> None:
        """Forgets clusters that are gone, or have no rule any more, and tells so."""
        by_cluster: tuple[dict[str, Any], ...] = (
            self._synced,
            self._before,
            self._looked,
            self._apart,
            self._offers,
            self._replicas,
            self._every_ms,
            self._views,
        )
        for name in self._before.keys() - self._desk.clusters.keys():
            with suppress(KeysUnusable), self._desk.loop.within(BUDGET_MS):  # it has no stream
                self._store.rule_deleted(name, self._desk.replica)
            for each in by_cluster:
                each.pop(name, None)
            self._differences.forget(name)
            self._told.discard(name)
            self._gone_back.discard(name)
        self._due.retain(self._desk.clusters)
        self._strangers.retain(self._desk.clusters)

    def _interval_ms(self, cluster: Cluster) -> int:
        """How often it is looked at."""
        if not self._scoreboard.outlier.count_ejected(cluster.slots):
            return cluster.policy.interval_ms
        return min(cluster.policy.interval_ms, self._every_ms.get(cluster.name, EJECTED_INTERVAL_MS))

    def due_ms(self, cluster: Cluster) -> int:
        """When the cluster is to be looked at next, monotonic ms; 0: at once."""
        if self._synced.get(cluster.name) is not cluster or cluster.name not in self._looked:
            return 0
        due = self._looked[cluster.name] + self._interval_ms(cluster)
        if self._scoreboard.clusters.alone(cluster.slot):
            return due if cluster.name in self._told else 0
        return min(due, self._offers.get(cluster.name, due), self._due.at(cluster.name))

    def ends(self, cluster: Cluster, at_ms: int) -> None:
        """An ejection will end, or has ended, at that time: everything is read soon after, so that the stream says
        so."""
        self._due.ends(cluster.name, at_ms)

    def look_at_once(self, cluster: Cluster) -> None:
        """Do not wait for its time; what rightly differed may do so no longer."""
        self._looked.pop(cluster.name, None)
        self._apart.pop(cluster.name, None)

    def told_by_message(self, cluster: Cluster, endpoint: Endpoint) -> None:
        """The end of this ejection is as late as its message was; the next look corrects it."""
        self._differences.told_by_message(cluster, endpoint)

    def settle(self, cluster: Cluster) -> None:
        """Looks if it is time, and settles what it finds."""
        if self._now_ms() < self.due_ms(cluster):
            return
        try:
            self._look(cluster)
        except KeysUnusable as error:
            self.leave_alone(cluster, error)
        except ClusterLocked as error:  # the other clusters go on; this one is looked at again in its time
            self._looked[cluster.name], self._synced[cluster.name] = self._now_ms(), cluster
            log.warning("cluster %s: %s", cluster.name, error)

    def _look(self, cluster: Cluster) -> None:
        if self._scoreboard.clusters.alone(cluster.slot) and self._has_misfits(cluster):
            return
        if self._synced.get(cluster.name) is not cluster:
            self._forget_removed(cluster)
            self._sync(cluster)
            return
        if self._now_ms() >= self._due.at(cluster.name):
            self._sync(cluster)
            return
        asked_ms = self._now_ms()
        with self._desk.loop.within(LOOK_TRIPS * BUDGET_MS):
            glance = self._store.glance(cluster.name, list(cluster.endpoints), self._view_if_due(cluster))
        self._looked[cluster.name] = asked_ms
        self._replicas[cluster.name] = glance.replicas or self._replicas.get(cluster.name, 0)
        if self._differs(cluster, glance, asked_ms):
            self._sync(cluster)
        else:
            self._offers.pop(cluster.name, None)  # what was lost has come back meanwhile

    def _view_if_due(self, cluster: Cluster) -> View | None:
        out = self._scoreboard.outlier.count_ejected(cluster.slots)
        return self._view(cluster) if out or self._now_ms() >= self._views.get(cluster.name, 0) else None

    def _view(self, cluster: Cluster) -> View:
        """To be told now."""
        out = self._scoreboard.outlier.count_ejected(cluster.slots)
        every_ms = max(EJECTED_INTERVAL_MS, LOOKS_APART_MS * self._replicas.get(cluster.name, 0))
        self._every_ms[cluster.name] = every_ms
        pause_ms = 0 if out else max(QUIET_VIEW_MS, cluster.policy.interval_ms)
        self._views[cluster.name] = self._now_ms() + pause_ms
        pauses_ms = LOOKS * (pause_ms or every_ms - EJECTED_INTERVAL_MS)
        return view_of(cluster, self._desk.replica, VIEW_HOLDS_MS + pauses_ms)

    def _differs(self, cluster: Cluster, glance: Glance, asked_ms: int) -> bool:
        """Whether the look shows anything but what the scoreboard has."""
        if (glance.version, glance.epoch) != self._scoreboard.clusters.fleet_version(cluster.slot):
            return True
        if self._scoreboard.clusters.alone(cluster.slot) or self._differences.are_due(cluster):
            return True
        own = set(self._scoreboard.outlier.undecided(cluster.slots))
        states = {endpoint: self._ejections.state(endpoint) for endpoint in cluster.endpoints.values()}
        if any(not states[endpoint].held for endpoint in states if endpoint.slot in own):
            return True  # this replica's own decision, and nobody knows
        own_ends = {endpoint.address: state.ejected_until_ms for endpoint, state in states.items() if state.shared}
        moved = self._due.moved(cluster.name, glance, asked_ms, own_ends)
        apart = self._apart.get(cluster.name, {})
        return moved or any(
            (endpoint.address in glance.ejected) != state.shared and apart.get(endpoint.address) != state.generation
            for endpoint, state in states.items()
        )

    def _forget_removed(self, cluster: Cluster) -> None:
        """Endpoints that left the cluster; those that never failed have left no trace."""
        before = self._before.get(cluster.name)
        for slot, endpoint in before.by_slot.items() if before else ():
            if slot not in cluster.by_slot and self._ejections.state(endpoint).generation:
                with self._desk.loop.within(BUDGET_MS):
                    self._store.forget(cluster.name, endpoint.address, endpoint.workload, self._desk.replica)

    def leave_alone(self, cluster: Cluster, error: KeysUnusable) -> None:
        """Somebody has written other things where this cluster's state belongs: the replica decides about it alone."""
        self._scoreboard.clusters.set_alone(cluster.slot, True)
        if not self._has_misfits(cluster):
            self._tell(cluster, str(error))

    def _has_misfits(self, cluster: Cluster) -> bool:
        self._looked[cluster.name], self._synced[cluster.name] = self._now_ms(), cluster
        with self._desk.loop.within(BUDGET_MS):
            faults = self._store.misfits(cluster.name, list(cluster.endpoints))
        if faults:
            self._tell(cluster, "; ".join(faults))
        return bool(faults)

    def _tell(self, cluster: Cluster, faults: str) -> None:
        if cluster.name not in self._told:
            remedy = "this replica decides about it by itself until that is deleted (redis-cli del KEY)"
            log.warning("cluster %s: %s: %s", cluster.name, faults, remedy)
        self._told.add(cluster.name)

    # -- everything ---------------------------------------------------------------------------------------------------

    def _sync(self, cluster: Cluster) -> None:
        """Reads everything and settles the differences: first what is out here and not there, since what is lifted
        makes room for what is out there."""
        version, epoch = self._known(cluster)
        asked_ms, view = self._read(cluster, version, epoch)
        lost = epoch not in ("", view.epoch)
        if lost and not self._is_time_to_offer(cluster.name):
            return
        alone = self.alone_before or self._scoreboard.clusters.alone(cluster.slot)
        older = lost or alone or cluster.name in self._gone_back  # another epoch may be an older one
        if older and self._differences.withdraw(cluster, view, asked_ms):
            asked_ms, view = self._read(cluster, view.version, view.epoch)
        self._gone_back.discard(cluster.name)
        if self._differences.settle_missing(cluster, view, asked_ms, lost=lost, alone=alone):
            asked_ms, again = self._read(cluster, view.version, view.epoch)
            if again.epoch != view.epoch:
                return  # lost in between: as the next look will find
            view = again
        self._apart[cluster.name] = self._differences.adopt(cluster, view, asked_ms)
        self._offers.pop(cluster.name, None)
        if cluster.name in self._desk.clusters:
            self._scoreboard.clusters.set_fleet_version(cluster.slot, view.version, view.epoch)
            self._usable(cluster)

    def _known(self, cluster: Cluster) -> tuple[int, str]:
        """The newest version that Redis has told this replica, in whatever way, and the epoch."""
        version, epoch = self._scoreboard.clusters.fleet_version(cluster.slot)
        return max(version, *(self._scoreboard.outlier.state(slot).version for slot in cluster.slots), 0), epoch

    def _read(self, cluster: Cluster, version: int, epoch: str) -> tuple[int, ClusterView]:
        """(when it was asked, all of it); of a large cluster in parts, since Redis does nothing else meanwhile."""
        asked_ms, endpoints, views = self._now_ms(), list(cluster.endpoints), []
        view, rule = self._view(cluster), self._strangers.told_by_us(cluster)
        for at in range(0, max(1, len(endpoints)), SYNC_ENDPOINTS):
            with self._desk.loop.within(BUDGET_MS):
                part = endpoints[at : at + SYNC_ENDPOINTS]
                views.append(self._store.sync(cluster.name, part, version, epoch, rule, view))
        self._looked[cluster.name] = asked_ms
        self._synced[cluster.name] = self._before[cluster.name] = cluster
        found = merged(views)
        if warning := self._strangers.warning(cluster, found.rule_before, asked_ms):
            log.warning("cluster %s: %s", cluster.name, warning)
        if found.gone_back:
            self._gone_back.add(cluster.name)
        self._due.read(cluster.name, found, asked_ms)
        return asked_ms, found

    def _is_time_to_offer(self, name: str) -> bool:
        """The fleet need not offer all at once; what one replica has offered, the others find when they look."""
        now_ms = self._now_ms()
        due_ms = self._offers.setdefault(name, now_ms + int(self._desk.loop.chance() * OFFER_WITHIN_MS))
        return due_ms <= now_ms

    def _usable(self, cluster: Cluster) -> None:
        if self._scoreboard.clusters.set_alone(cluster.slot, False):
            log.info("cluster %s: its keys are usable again: ejections are the fleet's", cluster.name)
        self._told.discard(cluster.name)
