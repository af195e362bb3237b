"""When the leader looks at a cluster, and whether there is anything to settle (differences.py settles it).

A look is one MGET (version, epoch, eject keys); everything is read only when that, or a new snapshot, tells of a
change, or it is due all the same (due.py). All numbers of an answer are as old as its question; whoever knew something
newer keeps it. Whether Redis has lost data is told by what was known before it was asked: another epoch, or a version
that has not got so far.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from proxy.fleet.budget import BUDGET_MS, within
from proxy.fleet.differences import Differences
from proxy.fleet.due import Due
from proxy.fleet.ejections import Ejections
from proxy.fleet.known import merged
from proxy.fleet.members import Group, Member
from proxy.fleet.reporter import Reporter
from proxy.scoreboard.scoreboard import Scoreboard
from state.errors import KeysUnusable
from state.outlier.store import ClusterView, Glance, Store

log = logging.getLogger(__name__)

# A sync reads so many endpoints at a time: about 10 ms of Redis's.
SYNC_ENDPOINTS = 500
# After lost data every replica of the fleet has the same to offer: who begins is left to chance, within this time.
OFFER_WITHIN_MS = 500


class Settling:
    """When the leader looked, and the settling itself. `settle` may raise StoreUnavailable.

    `chance` gives a number from 0 to 1.
    """

    def __init__(
        self,
        scoreboard: Scoreboard,
        replica: str,
        store: Store,
        groups: Mapping[str, Group],
        ejections: Ejections,
        reporter: Reporter,
        now_ms: Callable[[], int],
        chance: Callable[[], float],
    ) -> None:
        self._scoreboard = scoreboard
        self._store = store
        self._groups = groups
        self._ejections = ejections
        self._now_ms = now_ms
        self._chance = chance
        self._differences = Differences(replica, store, groups, ejections, reporter, now_ms)
        self.alone_before = False  # this replica has just decided by itself: Redis does not know its runs of failures
        self._looked: dict[str, int] = {}  # cluster -> when
        self._synced: dict[str, Group] = {}  # cluster -> the group as it was when all of it was read
        self._before: dict[str, Group] = {}  # the same, whatever has become of Redis since
        self._apart: dict[str, dict[str, int]] = {}  # cluster -> endpoint -> generation in which Redis rightly differs
        self._offers: dict[str, int] = {}  # cluster whose data Redis has lost -> when it is offered again
        self._due = Due()
        self._told: set[str] = set()  # clusters whose unusable keys have been named

    def begin(self, alone_before: bool) -> None:
        """Nothing is known; everything is read next."""
        self.alone_before = alone_before
        self._looked.clear()
        self._synced.clear()

    def retain(self) -> None:
        """Forgets clusters that are gone."""
        by_cluster: tuple[dict[str, Any], ...] = (self._synced, self._before, self._looked, self._apart, self._offers)
        for name in self._before.keys() - self._groups.keys():
            for each in by_cluster:
                each.pop(name, None)
            self._differences.forget(name)
            self._told.discard(name)
        self._due.retain(self._groups)

    def due_ms(self, group: Group, interval_ms: int) -> int:
        """When the cluster is to be looked at next, monotonic ms; 0: at once."""
        if self._synced.get(group.name) is not group or group.name not in self._looked:
            return 0
        due = self._looked[group.name] + interval_ms
        if self._scoreboard.clusters.alone(group.slot):
            return due if group.name in self._told else 0
        return min(due, self._offers.get(group.name, due), self._due.at(group.name))

    def ends(self, group: Group, at_ms: int) -> None:
        """An ejection will end, or has ended, at that time: everything is read soon after, so that the stream says
        so."""
        self._due.ends(group.name, at_ms)

    def look_at_once(self, group: Group) -> None:
        """Do not wait for its time."""
        self._looked.pop(group.name, None)

    def told_by_message(self, group: Group, member: Member) -> None:
        """The end of this ejection is as late as its message was; the next look corrects it."""
        self._differences.told_by_message(group, member)

    def settle(self, group: Group, interval_ms: int) -> None:
        """Looks if it is time, and settles what it finds."""
        if self._now_ms() < self.due_ms(group, interval_ms):
            return
        try:
            self._look(group)
        except KeysUnusable as error:
            self._leave_alone(group, error)

    def _look(self, group: Group) -> None:
        if self._scoreboard.clusters.alone(group.slot) and self._has_misfits(group):
            return
        if self._synced.get(group.name) is not group:
            self._forget_removed(group)
            self._sync(group)
            return
        if self._now_ms() >= self._due.at(group.name):
            self._sync(group)
            return
        asked_ms = self._now_ms()
        with within(BUDGET_MS):
            glance = self._store.glance(group.name, list(group.members))
        self._looked[group.name] = asked_ms
        if self._differs(group, glance, asked_ms):
            self._sync(group)

    def _differs(self, group: Group, glance: Glance, asked_ms: int) -> bool:
        """Whether the look shows anything but what the scoreboard has."""
        if (glance.version, glance.epoch) != self._scoreboard.clusters.fleet_version(group.slot):
            return True
        if self._scoreboard.clusters.alone(group.slot) or self._differences.are_due(group):
            return True
        own = set(self._scoreboard.outlier.undecided(group.slots))
        states = {member: self._ejections.state(member) for member in group.members.values()}
        if any(not states[member].held for member in states if member.slot in own):
            return True  # this replica's own decision, and nobody knows
        own_ends = {member.address: state.ejected_until_ms for member, state in states.items() if state.shared}
        moved = self._due.moved(group.name, glance, asked_ms, own_ends)
        apart = self._apart.get(group.name, {})
        return moved or any(
            (member.address in glance.ejected) != state.shared and apart.get(member.address) != state.generation
            for member, state in states.items()
        )

    def _forget_removed(self, group: Group) -> None:
        """Endpoints that left the cluster make room under the cap; those that never failed have left no trace."""
        before = self._before.get(group.name)
        for slot, member in before.by_slot.items() if before else ():
            if slot not in group.by_slot and self._ejections.state(member).generation:
                with within(BUDGET_MS):
                    self._store.forget(group.name, member.address, member.workload)

    def _leave_alone(self, group: Group, error: KeysUnusable) -> None:
        """Somebody has written other things where this cluster's state belongs: the replica decides about it alone."""
        self._scoreboard.clusters.set_alone(group.slot, True)
        if not self._has_misfits(group):
            self._tell(group, str(error))

    def _has_misfits(self, group: Group) -> bool:
        self._looked[group.name], self._synced[group.name] = self._now_ms(), group
        with within(BUDGET_MS):
            faults = self._store.misfits(group.name, list(group.members))
        if faults:
            self._tell(group, "; ".join(faults))
        return bool(faults)

    def _tell(self, group: Group, faults: str) -> None:
        if group.name not in self._told:
            remedy = "this replica decides about it by itself until that is deleted (redis-cli del KEY)"
            log.warning("cluster %s: %s: %s", group.name, faults, remedy)
        self._told.add(group.name)

    # -- everything ---------------------------------------------------------------------------------------------------

    def _sync(self, group: Group) -> None:
        """Reads everything and settles the differences: first what is out here and not there, since what is lifted
        makes room for what is out there."""
        version, epoch = self._known(group)
        asked_ms, view = self._read(group, version, epoch)
        lost = epoch not in ("", view.epoch)
        if lost and not self._is_time_to_offer(group.name):
            return
        alone = self.alone_before or self._scoreboard.clusters.alone(group.slot)
        if self._differences.settle_missing(group, view, asked_ms, lost=lost, alone=alone):
            asked_ms, again = self._read(group, view.version, view.epoch)
            if again.epoch != view.epoch:
                return  # lost in between: as the next look will find
            view = again
        self._apart[group.name] = self._differences.adopt(group, view, asked_ms)
        self._offers.pop(group.name, None)
        if group.name in self._groups:
            self._scoreboard.clusters.set_fleet_version(group.slot, view.version, view.epoch)
            self._usable(group)

    def _known(self, group: Group) -> tuple[int, str]:
        """The newest version that Redis has told this replica, in whatever way, and the epoch."""
        version, epoch = self._scoreboard.clusters.fleet_version(group.slot)
        return max(version, *(self._scoreboard.outlier.state(slot).version for slot in group.slots), 0), epoch

    def _read(self, group: Group, version: int, epoch: str) -> tuple[int, ClusterView]:
        """(when it was asked, all of it); of a large cluster in parts, since Redis does nothing else meanwhile."""
        asked_ms, endpoints, views = self._now_ms(), list(group.members), []
        for at in range(0, max(1, len(endpoints)), SYNC_ENDPOINTS):
            with within(BUDGET_MS):
                views.append(
                    self._store.sync(group.name, endpoints[at : at + SYNC_ENDPOINTS], version, epoch, group.rule)
                )
        self._looked[group.name] = asked_ms
        self._synced[group.name] = self._before[group.name] = group
        view = merged(views)
        self._due.read(group.name, view, asked_ms)
        return asked_ms, view

    def _is_time_to_offer(self, name: str) -> bool:
        """The fleet need not offer all at once; what one replica has offered, the others find when they look."""
        now_ms = self._now_ms()
        due_ms = self._offers.setdefault(name, now_ms + int(self._chance() * OFFER_WITHIN_MS))
        return due_ms <= now_ms

    def _usable(self, group: Group) -> None:
        if self._scoreboard.clusters.set_alone(group.slot, False):
            log.info("cluster %s: its keys are usable again: ejections are the fleet's", group.name)
        self._told.discard(group.name)
