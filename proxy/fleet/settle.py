"""What the leader does about a cluster that it looks at: where Redis and the scoreboard differ, settle it.

A look is one MGET (version, epoch, eject keys); everything is read only when that, or a new snapshot, tells of a
change, or it is due all the same (due.py). All numbers of an answer are as old as its question; whoever knew something
newer keeps it.
"""

from collections.abc import Callable, Mapping

from proxy.fleet.due import Due
from proxy.fleet.ejections import TAIL_MS, Ejections
from proxy.fleet.known import known_of
from proxy.fleet.members import Group, Member, present
from proxy.fleet.reporter import Reporter
from proxy.scoreboard import OutlierState, Scoreboard
from state.run import Run
from state.store import ALREADY_EJECTED, EJECTED, NO_PROBE, ClusterView, Glance, Store


class Settling:
    """When the leader looked, and the settling itself. `settle` may raise StoreUnavailable."""

    def __init__(
        self,
        scoreboard: Scoreboard,
        replica: str,
        store: Store,
        groups: Mapping[str, Group],
        ejections: Ejections,
        reporter: Reporter,
        now_ms: Callable[[], int],
    ) -> None:
        self._scoreboard = scoreboard
        self._replica = replica
        self._store = store
        self._groups = groups
        self._ejections = ejections
        self._reporter = reporter
        self._now_ms = now_ms
        self.alone_before = False  # this replica has just decided by itself: Redis does not know its runs of failures
        self._looked: dict[str, int] = {}  # cluster -> when
        self._synced: dict[str, Group] = {}  # cluster -> the group as it was when all of it was read
        self._foreign: dict[str, set[str]] = {}  # cluster -> eject keys that are another workload's
        self._due = Due()

    def begin(self, alone_before: bool) -> None:
        """Nothing is known; everything is read next."""
        self.alone_before = alone_before
        self._looked.clear()
        self._synced.clear()

    def retain(self) -> None:
        """Forgets clusters that are gone."""
        for name in self._synced.keys() - self._groups.keys():
            del self._synced[name]
        self._due.retain(self._groups)

    def looked(self, group: Group) -> int:
        """When the cluster was looked at last, monotonic ms; 0: it is due at once."""
        return self._looked.get(group.name, 0) if self._synced.get(group.name) is group else 0

    def ends(self, group: Group, at_ms: int) -> None:
        """An ejection will end, or has ended, at that time: everything is read soon after, so that the stream says
        so."""
        self._due.ends(group.name, at_ms)

    def look_at_once(self, group: Group) -> None:
        """Do not wait for its time."""
        self._looked.pop(group.name, None)

    def settle(self, group: Group, interval_ms: int) -> None:
        """Looks if it is time, and settles what it finds."""
        if self._synced.get(group.name) is not group:
            self._forget_removed(group)
            self._sync(group)
        elif self._now_ms() >= self._due.at(group.name):
            self._sync(group)
        elif self._now_ms() - self.looked(group) >= interval_ms:
            asked_ms = self._now_ms()
            glance = self._store.glance(group.name, list(group.members))
            self._looked[group.name] = asked_ms
            if self._differs(group, glance, asked_ms):
                self._sync(group)

    def _differs(self, group: Group, glance: Glance, asked_ms: int) -> bool:
        """Whether the look shows anything but what the scoreboard has."""
        if (glance.version, glance.epoch) != self._scoreboard.fleet_version(group.slot):
            return True
        own = set(self._scoreboard.undecided(group.slots))
        states = {member: self._ejections.state(member) for member in group.members.values()}
        if any(not states[member].held for member in states if member.slot in own):
            return True  # this replica's own decision, and nobody knows
        out = {member.address: state.ejected_until_ms for member, state in states.items() if state.shared}
        moved = self._due.moved(group.name, glance, asked_ms, out)
        return moved or glance.ejected - self._foreign.get(group.name, set()) != out.keys()

    def _forget_removed(self, group: Group) -> None:
        """Endpoints that left the cluster make room under the cap; those that never failed have left no trace."""
        before = self._synced.get(group.name)
        for slot, member in before.by_slot.items() if before else ():
            if slot not in group.by_slot and self._ejections.state(member).generation:
                self._store.forget(group.name, member.address, member.workload)

    def _sync(self, group: Group) -> None:
        """Reads everything and settles the differences."""
        _, epoch = self._scoreboard.fleet_version(group.slot)
        asked_ms = self._now_ms()
        view = self._store.sync(group.name, list(group.members), group.rule)
        self._due.read(group.name, view, asked_ms)
        lost = epoch not in ("", view.epoch)
        out = {ejection.endpoint: ejection for ejection in view.ejections}
        self._foreign[group.name] = set()
        for member in group.members.values():
            if present(self._groups, group, member) is None:
                continue
            if lost:
                self._ejections.forget_version(group, member, view.version)
            ejection = out.get(member.address)
            if ejection is None:
                self._settle(group, member, view, lost)
            elif ejection.workload not in ("", member.workload):
                self._foreign[group.name].add(member.address)
                self._settle(group, member, view, lost)
            else:
                known = known_of(ejection, view.version, ejection.reason)
                self._ejections.confirm(group, member, known, asked_ms, self._now_ms())
        if group.name in self._groups:
            self._looked[group.name], self._synced[group.name] = asked_ms, group
            self._scoreboard.set_fleet_version(group.slot, view.version, view.epoch)

    def _settle(self, group: Group, member: Member, view: ClusterView, lost: bool) -> None:
        """Redis does not have this endpoint out; what of the scoreboard?"""
        now_ms = self._now_ms()
        self._ejections.expire(group, member, now_ms)
        state = self._ejections.state(member)
        if not state.ejected_until_ms:
            self._learn(group, member, state, view, lost)
        elif state.private:
            return  # not the fleet's affair
        elif state.held or state.version > view.version:
            return  # its report is on the way, or the answer to that came after this view was taken
        elif not state.shared or lost:
            self._offer(group, member, state, view)
        elif state.ejected_until_ms - now_ms > TAIL_MS:  # else it ends by itself
            self._ejections.lift(group, member, "by_hand", now_ms)
            self._reporter.resume(group)

    def _learn(self, group: Group, member: Member, state: OutlierState, view: ClusterView, lost: bool) -> None:
        generation = view.generations.get(member.address, state.generation)
        known = view.dirty.get(member.address, 0)
        missing = state.failures - known if self.alone_before or lost else 0
        if missing > 0:  # the run goes on where this replica's own count has got to
            self._reporter.add(group, member, generation, Run.of_failures(missing), 0)
        dirty = known > 0 or missing > 0 or self._reporter.waiting(member)
        self._ejections.learn(group, member, generation, dirty=dirty, now_ms=self._now_ms())

    def _offer(self, group: Group, member: Member, state: OutlierState, view: ClusterView) -> None:
        """Redis never knew of this ejection, whatever generation it counts; the fleet's cap decides."""
        asked_ms = self._now_ms()
        verdict = self._store.offer(
            group.name,
            member.address,
            member.workload,
            state.ejected_until_ms - asked_ms,
            state.ejection_ms,
            max(state.generation, view.generations.get(member.address, 0) + 1),
            state.run,
            state.ejections,
            state.backoff,
            max(0, state.probe_at_ms - asked_ms) if state.probe_at_ms else NO_PROBE,
            group.policy,
            self._replica,
        )
        now_ms = self._now_ms()
        if present(self._groups, group, member) is None:
            return
        if verdict.outcome in (EJECTED, ALREADY_EJECTED):
            known = known_of(verdict, verdict.version)
            self._ejections.confirm(group, member, known, asked_ms, now_ms, certain=True)
        else:
            self._ejections.lift(group, member, verdict.outcome, now_ms)
