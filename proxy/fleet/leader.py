"""The one worker of a replica that listens to the fleet and reconciles with it; the scoreboard's lease says which.

Push makes it fast, the reconcile makes it true: messages may be lost, keys set or deleted by hand, Redis restarted without
its data. So the leader reads a cluster's version, epoch and eject keys (one MGET) every `interval`, every second while
anything is out, and everything when those tell of a change. Where Redis and the scoreboard differ:

    Redis says out                                   out here
    out here, Redis had known it, same epoch         lifted by a hand: back
    out here by our own decision, or another epoch   offered; Redis accepts it, or it is lifted

It also notes the returns whose time has come.
"""

import logging
from collections.abc import Callable, Mapping, Set

import gevent
from gevent.event import Event as Wakeup

from proxy.fleet.ejections import Ejections, Known
from proxy.fleet.members import Group, Member
from proxy.scoreboard import OutlierState, Scoreboard
from state.events import Event
from state.redis_store import RedisStore
from state.store import ALREADY_EJECTED, EJECTED, ClusterView, Ejection, StoreUnavailable
from state.subscription import Subscription

log = logging.getLogger(__name__)

# How long a wait for news lasts at most: the lease is renewed and the clock looked at in between.
TURN_MS = 500
# A cluster with an ejection is looked at so often.
EJECTED_INTERVAL_MS = 1000
# Returns are looked for so often; those already known of at their time.
RETURNS_MS = 250
# Pauses between attempts to reach Redis.
FIRST_PAUSE_SECONDS = 0.1
LAST_PAUSE_SECONDS = 1.0


class Leader:
    """One in each worker, at most one of them at work. `groups` is shared with the door and changes with snapshots."""

    def __init__(
        self,
        scoreboard: Scoreboard,
        worker: int,
        replica: str,
        store: RedisStore,
        groups: Mapping[str, Group],
        ejections: Ejections,
        now_ms: Callable[[], int],
        back: Callable[[str], None],
    ) -> None:
        self._scoreboard = scoreboard
        self._worker = worker
        self._replica = replica
        self._store = store
        self._groups = groups
        self._ejections = ejections
        self._now_ms = now_ms
        self._back = back
        self._looked: dict[str, int] = {}  # cluster -> when it was last looked at
        self._seen: dict[str, Set[str]] = {}  # cluster -> who had an eject key then
        self._synced: dict[str, Group] = {}  # cluster -> the group as it was then
        self._leading = False
        self._wakeup = Wakeup()

    def wake(self) -> None:
        """The snapshot or the state of Redis changed."""
        self._wakeup.set()

    def run(self) -> None:
        """Leads whenever it is this worker's turn; to be spawned."""
        gevent.spawn(self._keep_time)
        pause = FIRST_PAUSE_SECONDS
        while True:
            self._leading = self._scoreboard.take_lease(self._worker)
            if not self._leading:
                self._wait(LAST_PAUSE_SECONDS)
                continue
            try:
                self._lead()
                pause = FIRST_PAUSE_SECONDS
            except StoreUnavailable as error:
                if self._scoreboard.shared_state:
                    log.warning("Redis does not answer (%s): this replica decides by itself until it does", error)
                self._scoreboard.shared_state = False
                self._wait(pause)
                pause = min(2 * pause, LAST_PAUSE_SECONDS)

    def _wait(self, seconds: float) -> None:
        self._wakeup.clear()
        self._wakeup.wait(seconds)

    def _lead(self) -> None:
        """Listens and reconciles until the lease is lost. Raises StoreUnavailable."""
        subscription = self._store.subscribe(list(self._groups))
        try:
            self._looked.clear()
            self._synced.clear()
            self._reconcile()
            if not self._scoreboard.shared_state:
                log.info("Redis answers: ejections are the fleet's")
            self._scoreboard.shared_state = True
            self._scoreboard.reconciled = True
            while self._scoreboard.take_lease(self._worker) and self._scoreboard.shared_state:
                self._turn(subscription)
        finally:
            subscription.close()

    def _turn(self, subscription: Subscription) -> None:
        event = subscription.next(self._until_next_look() / 1000)
        while event is not None:
            self._apply_event(event)
            event = subscription.next(0)
        if self._groups.keys() != self._synced.keys():
            subscription.update(list(self._groups))
        self._reconcile()

    # -- news ---------------------------------------------------------------------------------------------------------

    def _apply_event(self, event: Event) -> None:
        group = self._groups.get(event.cluster)
        member = group.members.get(event.endpoint) if group else None
        if group is None or member is None or event.workload not in ("", member.workload):
            return
        version, epoch = self._scoreboard.fleet_version(group.slot)
        if event.version > version + 1:
            self._looked.pop(event.cluster, None)  # something was missed: look at once
        self._scoreboard.set_fleet_version(group.slot, max(version, event.version), epoch)
        if event.kind == "eject":
            self._ejections.confirm(group, member, known_of(event), self._now_ms())
        elif event.kind == "uneject":
            self._ejections.lift(group, member, event.reason or "lifted", self._now_ms())
            self._back(group.name)
        elif not self._ejections.state(member).held:
            self._ejections.learn(group, member, event.generation, dirty=event.kind == "dirty")

    # -- the reconcile ------------------------------------------------------------------------------------------------

    def _interval_ms(self, group: Group) -> int:
        interval = group.policy.interval_ms
        return min(interval, EJECTED_INTERVAL_MS) if self._scoreboard.count_ejected(group.slots) else interval

    def _until_next_look(self) -> int:
        now_ms = self._now_ms()
        due = (self._looked.get(name, 0) + self._interval_ms(group) for name, group in self._groups.items())
        return max(0, min(TURN_MS, min(due, default=now_ms + TURN_MS) - now_ms))

    def _reconcile(self) -> None:
        """Looks at the clusters that are due."""
        for name in [name for name in self._synced if name not in self._groups]:
            del self._synced[name]
        for name, group in list(self._groups.items()):
            if self._synced.get(name) is not group:
                self._sync(group)
            elif self._now_ms() - self._looked.get(name, 0) >= self._interval_ms(group):
                self._look(group)

    def _look(self, group: Group) -> None:
        glance = self._store.glance(group.name, list(group.members))
        self._looked[group.name] = self._now_ms()
        known = self._scoreboard.fleet_version(group.slot)
        if (glance.version, glance.epoch) != known or glance.ejected != self._seen.get(group.name):
            self._sync(group)

    def _sync(self, group: Group) -> None:
        """Reads everything and settles the differences."""
        _, epoch = self._scoreboard.fleet_version(group.slot)
        view = self._store.sync(group.name, list(group.members))
        self._looked[group.name] = self._now_ms()
        self._synced[group.name] = group
        out = {ejection.endpoint: ejection for ejection in view.ejections}
        self._seen[group.name] = out.keys()
        for address, member in group.members.items():
            ejection = out.get(address)
            if ejection is not None and ejection.workload in ("", member.workload):
                self._ejections.confirm(group, member, known_of(ejection), self._now_ms())
            else:
                self._settle(group, member, view, same_epoch=epoch in ("", view.epoch))
        self._scoreboard.set_fleet_version(group.slot, view.version, view.epoch)

    def _settle(self, group: Group, member: Member, view: ClusterView, same_epoch: bool) -> None:
        """Redis does not have this endpoint out; what of the scoreboard?"""
        state = self._ejections.state(member)
        if state.ejected_until_ms <= self._now_ms():
            self._ejections.learn(
                group, member, view.generations.get(member.address, 0), dirty=member.address in view.dirty
            )
        elif state.held:
            return  # its report is on the way
        elif state.shared and same_epoch:
            self._ejections.lift(group, member, "by_hand", self._now_ms())
            self._back(group.name)
        else:
            self._offer(group, member, state)

    def _offer(self, group: Group, member: Member, state: OutlierState) -> None:
        verdict = self._store.offer(
            group.name,
            member.address,
            member.workload,
            state.ejected_until_ms - self._now_ms(),
            state.ejection_ms,
            state.generation,
            state.run,
            state.ejections,
            state.backoff,
            group.policy,
            self._replica,
        )
        if verdict.outcome in (EJECTED, ALREADY_EJECTED):
            known = Known(
                verdict.left_ms,
                verdict.ejection_ms,
                verdict.generation,
                verdict.failures,
                verdict.ejections,
                verdict.backoff,
                verdict.by,
                "consecutive_5xx",
            )
            self._ejections.confirm(group, member, known, self._now_ms())
        else:
            self._ejections.lift(group, member, verdict.outcome, self._now_ms())

    # -- time ---------------------------------------------------------------------------------------------------------

    def _keep_time(self) -> None:
        """Notes returns at their time, in whichever worker leads."""
        while True:
            gevent.sleep(self._expire_due() / 1000 if self._leading else LAST_PAUSE_SECONDS)

    def _expire_due(self) -> int:
        """Milliseconds until there is something to do again."""
        pause = RETURNS_MS
        for group in list(self._groups.values()):
            over, soonest = self._scoreboard.returns(group.slots)
            for member in group.members.values() if over else ():
                if member.slot in over:
                    self._ejections.expire(group, member, self._now_ms())
                    self._back(group.name)
            if soonest >= 0:
                pause = min(pause, soonest)
        return pause


def known_of(told: Event | Ejection) -> Known:
    """An ejection as an event or a view tells it."""
    return Known(
        left_ms=told.left_ms,
        ejection_ms=told.ejection_ms,
        generation=told.generation,
        failures=told.failures,
        ejections=told.ejections,
        backoff=told.backoff,
        by=told.by,
        reason=told.reason,
    )
