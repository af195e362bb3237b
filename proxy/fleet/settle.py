"""What the leader does about a cluster that it looks at: where Redis and the scoreboard differ, settle it.

A look is one MGET (version, epoch, eject keys); everything is read only when that, or a new snapshot, tells of a
change. All numbers of an answer are as old as its question; whoever knew something newer keeps it. Whether Redis has
lost data is told by what was known before it was asked: another epoch, or a version that has not got so far.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from proxy.fleet.budget import BUDGET_MS, within
from proxy.fleet.ejections import TAIL_MS, Ejections
from proxy.fleet.known import known_of
from proxy.fleet.members import Group, Member, present
from proxy.fleet.reporter import Reporter
from proxy.scoreboard import OutlierState, Scoreboard
from state.decide import Run
from state.store import ALREADY_EJECTED, EJECTED, ClusterView, Ejection, Glance, KeysUnusable, Store

log = logging.getLogger(__name__)

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
        self._replica = replica
        self._store = store
        self._groups = groups
        self._ejections = ejections
        self._reporter = reporter
        self._now_ms = now_ms
        self._chance = chance
        self.alone_before = False  # this replica has just decided by itself: Redis does not know its runs of failures
        self._looked: dict[str, int] = {}  # cluster -> when
        self._synced: dict[str, Group] = {}  # cluster -> the group as it was when all of it was read
        self._apart: dict[str, set[str]] = {}  # cluster -> endpoints where Redis differs, and need not be followed
        self._lost_ms: dict[str, int] = {}  # cluster -> when its data was lost last
        self._offers: dict[str, int] = {}  # cluster whose data Redis has lost -> when it is offered again
        self._by_message: dict[str, set[int]] = {}  # cluster -> slots whose end is known by a message only
        self._clock_ahead: dict[str, int] = {}  # cluster -> the clock of its Redis less ours, when it was read last
        self._kept: dict[int, int] = {}  # slot -> generation whose end only a clock of Redis has brought early
        self._told: set[str] = set()  # clusters whose unusable keys have been named

    def begin(self, alone_before: bool) -> None:
        """Nothing is known; everything is read next."""
        self.alone_before = alone_before
        self._looked.clear()
        self._synced.clear()

    def retain(self) -> None:
        """Forgets clusters that are gone."""
        known: tuple[dict[str, Any], ...] = (self._synced, self._looked, self._apart, self._offers, self._by_message)
        for name in self._synced.keys() - self._groups.keys():
            for each in (*known, self._clock_ahead, self._lost_ms):
                each.pop(name, None)
            self._told.discard(name)

    def due_ms(self, group: Group, interval_ms: int) -> int:
        """When the cluster is to be looked at next, monotonic ms; 0: at once."""
        if self._synced.get(group.name) is not group or group.name not in self._looked:
            return 0
        if self._scoreboard.alone(group.slot) and group.name not in self._told:
            return 0
        due = self._looked[group.name] + interval_ms
        return min(due, self._offers.get(group.name, due))

    def look_at_once(self, group: Group) -> None:
        """Do not wait for its time."""
        self._looked.pop(group.name, None)

    def told_by_message(self, group: Group, member: Member) -> None:
        """The end of this ejection is as late as its message was; the next look corrects it."""
        self._by_message.setdefault(group.name, set()).add(member.slot)

    def settle(self, group: Group, interval_ms: int) -> None:
        """Looks if it is time, and settles what it finds."""
        if self._now_ms() < self.due_ms(group, interval_ms):
            return
        try:
            self._look(group)
        except KeysUnusable as error:
            self._leave_alone(group, error)

    def _look(self, group: Group) -> None:
        if self._scoreboard.alone(group.slot) and self._has_misfits(group):
            return
        if self._synced.get(group.name) is not group:
            self._forget_removed(group)
            self._sync(group)
            return
        asked_ms = self._now_ms()
        with within(BUDGET_MS):
            glance = self._store.glance(group.name, list(group.members))
        self._looked[group.name] = asked_ms
        if self._differs(group, glance):
            self._sync(group)

    def _differs(self, group: Group, glance: Glance) -> bool:
        """Whether the look shows anything but what the scoreboard has."""
        if (glance.version, glance.epoch) != self._scoreboard.fleet_version(group.slot):
            return True
        if self._scoreboard.alone(group.slot) or group.name in self._by_message:
            return True
        own = set(self._scoreboard.undecided(group.slots))
        states = {member: self._ejections.state(member) for member in group.members.values()}
        if any(not states[member].held for member in states if member.slot in own):
            return True  # this replica's own decision, and nobody knows
        differing = glance.ejected ^ {member.address for member, state in states.items() if state.shared}
        apart = self._apart.setdefault(group.name, set())
        apart &= differing  # what comes to differ again is looked at again
        return bool(differing - apart)

    def _forget_removed(self, group: Group) -> None:
        """Endpoints that left the cluster make room under the cap; those that never failed have left no trace."""
        before = self._synced.get(group.name)
        for slot, member in before.by_slot.items() if before else ():
            if slot not in group.by_slot and self._ejections.state(member).generation:
                with within(BUDGET_MS):
                    self._store.forget(group.name, member.address, member.workload)

    def _leave_alone(self, group: Group, error: KeysUnusable) -> None:
        """Somebody has written other things where this cluster's state belongs: the replica decides about it alone."""
        self._scoreboard.set_alone(group.slot, True)
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
        if lost:
            self._lost_ms[group.name] = asked_ms
        if self._settle_missing(group, view, lost):
            asked_ms, again = self._read(group, view.version, view.epoch)
            if again.epoch != view.epoch:
                return  # lost in between: as the next look will find
            view = again
        self._adopt(group, view, asked_ms)
        self._offers.pop(group.name, None)
        if group.name in self._groups:
            self._scoreboard.set_fleet_version(group.slot, view.version, view.epoch)
            self._usable(group)

    def _known(self, group: Group) -> tuple[int, str]:
        """The newest version that Redis has told this replica, in whatever way, and the epoch."""
        version, epoch = self._scoreboard.fleet_version(group.slot)
        return max(version, *(self._scoreboard.outlier_state(slot).version for slot in group.slots), 0), epoch

    def _read(self, group: Group, version: int, epoch: str) -> tuple[int, ClusterView]:
        """(when it was asked, all of it)."""
        asked_ms = self._now_ms()
        with within(BUDGET_MS):
            view = self._store.sync(group.name, list(group.members), version, epoch)
        self._looked[group.name], self._synced[group.name] = asked_ms, group
        return asked_ms, view

    def _is_time_to_offer(self, name: str) -> bool:
        """The fleet need not offer all at once; what one replica has offered, the others find when they look."""
        now_ms = self._now_ms()
        due_ms = self._offers.setdefault(name, now_ms + int(self._chance() * OFFER_WITHIN_MS))
        return due_ms <= now_ms

    def _usable(self, group: Group) -> None:
        if self._scoreboard.set_alone(group.slot, False):
            log.info("cluster %s: its keys are usable again: ejections are the fleet's", group.name)
        self._told.discard(group.name)

    # -- out here, and not there --------------------------------------------------------------------------------------

    def _settle_missing(self, group: Group, view: ClusterView, lost: bool) -> bool:
        """Whether anything was offered. The oldest goes first: the cap may not let all of them in."""
        out = {e.endpoint: e.workload for e in view.ejections}
        jump_ms = self._clock_jump(group.name, view)
        offers = []
        for member in group.members.values():
            if present(self._groups, group, member) is None:
                continue
            if lost:
                self._ejections.forget_version(group, member, view.version)
            if out.get(member.address) not in ("", member.workload):
                state = self._settle(group, member, view, lost, jump_ms)
                offers += [(state.ejected_until_ms - state.ejection_ms, member)] if state else []
        for _, member in sorted(offers, key=lambda offer: offer[0]):
            self._offer(group, member, view)
        return bool(offers)

    def _clock_jump(self, name: str, view: ClusterView) -> int:
        """How far the clock of Redis has been put forward since it was read last, in ms; 0 if it was put back."""
        ahead_ms = view.time_ms - self._now_ms()
        before_ms = self._clock_ahead.get(name, ahead_ms)
        self._clock_ahead[name] = ahead_ms
        return max(0, ahead_ms - before_ms)

    def _settle(self, group: Group, member: Member, view: ClusterView, lost: bool, jump_ms: int) -> OutlierState | None:
        """Redis does not have this endpoint out; what of the scoreboard? The state that is to be offered, if any."""
        now_ms = self._now_ms()
        self._ejections.expire(group, member, now_ms)
        state = self._ejections.state(member)
        left_ms = state.ejected_until_ms - now_ms
        if not state.ejected_until_ms:
            self._learn(group, member, state, view, lost)
        elif state.held or state.version > view.version:
            pass  # its report is on the way, or the answer to that came after this view was taken
        elif not state.shared or lost:
            return state
        elif left_ms <= TAIL_MS + jump_ms:  # it ends by itself
            self._kept[member.slot] = state.generation
        elif self._kept.get(member.slot) != state.generation:
            self._ejections.lift(group, member, "by_hand", now_ms)
            self._reporter.resume(group)
        return None

    def _learn(self, group: Group, member: Member, state: OutlierState, view: ClusterView, lost: bool) -> None:
        generation = view.generations.get(member.address, state.generation)
        known = view.dirty.get(member.address, 0)
        alone = self.alone_before or self._scoreboard.alone(group.slot)
        missing = state.failures - known if alone or lost else 0
        if missing > 0:  # the run goes on where this replica's own count has got to
            self._reporter.add(group, member, generation, Run(missing, False, missing, missing), 0)
        dirty = known > 0 or missing > 0 or self._reporter.waiting(member)
        self._ejections.learn(group, member, generation, dirty=dirty, now_ms=self._now_ms())

    def _offer(self, group: Group, member: Member, view: ClusterView) -> None:
        """Redis does not know of this ejection; the fleet's cap decides. One that Redis knew before it lost its data
        keeps its generation, so that it is taken once, whoever offers it, and not again after a hand has lifted it.
        Our own decision is above whatever Redis has counted."""
        if present(self._groups, group, member) is None:
            return
        asked_ms = self._now_ms()
        state = self._ejections.state(member)
        if state.ejected_until_ms <= asked_ms or state.version > view.version:
            return  # it is over, or Redis has told of it meanwhile
        counted = view.generations.get(member.address, 0)
        with within(BUDGET_MS):
            verdict = self._store.offer(
                group.name,
                member.address,
                member.workload,
                state.ejected_until_ms - asked_ms,
                state.ejection_ms,
                state.generation if state.shared else max(state.generation, counted + 1),
                state.run,
                state.ejections,
                state.backoff,
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
            self._ejections.learn(group, member, verdict.generation, dirty=False, now_ms=now_ms)

    # -- out there ----------------------------------------------------------------------------------------------------

    def _adopt(self, group: Group, view: ClusterView, asked_ms: int) -> None:
        """What is out in Redis is out here, if it is this workload's."""
        by_message = self._by_message.pop(group.name, set())
        apart = self._apart[group.name] = set(self._kept_addresses(group))
        for ejection in view.ejections:
            member = group.members.get(ejection.endpoint)
            if member is None or present(self._groups, group, member) is None:
                continue
            if ejection.workload in ("", member.workload) and not self._has_ended(group, member, ejection):
                known = known_of(ejection, view.version, ejection.reason)
                correct = member.slot in by_message
                self._ejections.confirm(group, member, known, asked_ms, self._now_ms(), correct=correct)
            if not self._ejections.state(member).shared:
                apart.add(member.address)

    def _has_ended(self, group: Group, member: Member, ejection: Ejection) -> bool:
        """This very ejection is over here; Redis has had its clock put back. Not if it has lost its data since: then it
        counts generations from the beginning."""
        state = self._ejections.state(member)
        same = state.generation == ejection.generation and state.ejection_ms == ejection.ejection_ms
        return same and not state.ejected_until_ms and state.unejected_at_ms > self._lost_ms.get(group.name, 0)

    def _kept_addresses(self, group: Group) -> Iterator[str]:
        for member in group.members.values():
            if present(self._groups, group, member) is None:
                continue
            state = self._ejections.state(member)
            if state.ejected_until_ms and self._kept.get(member.slot) == state.generation:
                yield member.address
            else:
                self._kept.pop(member.slot, None)
