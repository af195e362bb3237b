"""The one worker of a replica that listens to the fleet and reconciles with it; the scoreboard's lease says which.

Push makes it fast, the reconcile makes it true: messages may be lost, keys set or deleted by hand, Redis restarted
without its data. So the leader reads a cluster's version, epoch and eject keys (one MGET) every `interval`, every
second while anything is out, and everything when those tell of a change. Where Redis and the scoreboard differ:

    Redis says out                                   out here
    out here, Redis had known it, same epoch         lifted by a hand: back
    out here by our own decision, or another epoch   offered; Redis accepts it, or it is lifted

It also notes the returns whose time has come, and lets stand what a worker held that has died since. What differs is
settled in settle.py (when) and differences.py (what).
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from proxy.fleet import silence, witnesses
from proxy.fleet.budget import CONNECT_MS
from proxy.fleet.clusters import Cluster, Endpoint
from proxy.fleet.desk import Desk
from proxy.fleet.holds import HOLD_MS
from proxy.fleet.known import known_of
from proxy.fleet.rates import Rates
from proxy.fleet.settle import Settling
from proxy.scoreboard.clusters import ClusterLocked
from state.constants import ANSWERS_MS, LONGEST_ASK_PAUSE_MS, LONGEST_MIN_RUN_MS
from state.errors import KeysUnusable, NotAllowed, StoreUnavailable
from state.outlier.events import Event
from state.outlier.run import SUCCESS
from state.outlier.store import News, SharedStore
from state.server.preflight import Problem

log = logging.getLogger(__name__)

# How long a wait for news lasts at most: the lease is renewed and the clock looked at in between.
TURN_MS = 500
# A run that is too young to eject, or that the fleet is not asked about yet, is asked about again within that time.
LONGEST_WAIT_MS = LONGEST_MIN_RUN_MS + ANSWERS_MS + LONGEST_ASK_PAUSE_MS
# A message is not older than this when a worker handles it, unless that was busy for longer.
LATE_MS = 500
# It is handled so long after it has come, as long as nothing is wrong.
HANDLED_US = 500
# Returns are looked for so often; those already known of at their time.
RETURNS_MS = 250
# A replica without outlierDetection listens to the events of nobody: what it shares else is as much in need of Redis,
# and only who listens finds out that it has gone.
NOBODY = "-"
# A worker looks so often whether the lease is free.
FOLLOW_SECONDS = 0.25
# Pauses between attempts to reach Redis. One that answers only to fail again soon is left alone for longer.
FIRST_PAUSE_SECONDS = 0.1
LAST_PAUSE_SECONDS = 0.5
SICK_PAUSE_SECONDS = 5.0
HEALTHY_MS = 10_000


def unanswered(error: StoreUnavailable) -> str:
    """What is the matter with Redis, for the log."""
    return f"Redis does not {'let us' if isinstance(error, NotAllowed) else 'answer'} ({error})"


class Leader:
    """One in each worker, at most one of them at work. `problems` tells what is wrong with the servers there are."""

    def __init__(self, desk: Desk, store: SharedStore, problems: Callable[[], Sequence[Problem]]) -> None:
        self._desk = desk
        self._scoreboard = desk.scoreboard
        self._store = store
        self._problems = problems
        self._ejections = desk.ejections
        self._now_ms = desk.loop.now_ms
        self._settling = Settling(desk, store)
        self._rates = Rates(desk, store)
        self._leading = False
        self._stopped = False
        self._came_ns = 0  # the messages that are taken now have come since, perhaps while something else was done
        self._told: set[str] = set()  # kinds of failure that were logged since Redis answered last
        self._wakeup = desk.loop.flag()

    def wake(self) -> None:
        """The snapshot or the state of Redis changed."""
        self._wakeup.set()

    @property
    def leading(self) -> bool:
        """Whether this worker is the one."""
        return self._leading

    def stop(self) -> None:
        """Gives the lease back and does not take it again."""
        self._stopped = True
        self._leading = False
        self._scoreboard.workers.drop_lease(self._desk.worker)
        self._wakeup.set()

    def run(self) -> None:
        """Leads whenever it is this worker's turn; to be spawned."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            self._leading = self._my_turn()
            if not self._leading:
                self._wait(LAST_PAUSE_SECONDS if self._stopped else FOLLOW_SECONDS)
                continue
            began_ms = self._now_ms()
            try:
                self._lead()
                longest = SICK_PAUSE_SECONDS
            except StoreUnavailable as error:
                self._tell(error)
                # What is looked at for rights asks the server some forty times.
                longest = SICK_PAUSE_SECONDS if isinstance(error, NotAllowed) else LAST_PAUSE_SECONDS
            if self._now_ms() - began_ms >= HEALTHY_MS:
                pause = FIRST_PAUSE_SECONDS
            self._rest(pause * (1 + self._desk.loop.chance()) / 2)  # a fleet does not come back in one moment
            pause = min(2 * pause, longest)

    def _rest(self, seconds: float) -> None:
        """Leads on meanwhile: another worker would not know how long Redis is to be left alone."""
        until_ms = self._now_ms() + 1000 * seconds
        while self._leading and (left_ms := until_ms - self._now_ms()) > 0:
            self._desk.loop.sleep(min(left_ms / 1000, LAST_PAUSE_SECONDS))
            self._leading = self._my_turn()

    def _my_turn(self) -> bool:
        return not self._stopped and self._scoreboard.workers.take_lease(self._desk.worker)

    def _wait(self, seconds: float) -> None:
        self._wakeup.clear()
        self._wakeup.wait(self._desk.loop.together(seconds))

    def _tell(self, error: StoreUnavailable) -> None:
        """One warning when Redis goes or is not there at the start; each other reason why it stays away is told."""
        kind = type(error.__cause__).__name__
        at_start = not self._scoreboard.reconciled and not self._told
        if at_start:
            self._scoreboard.note_mode(str(error))
        if self._scoreboard.leave_shared_state(str(error)) or at_start:
            log.warning("%s: this replica decides by itself until it does", unanswered(error))
        elif kind not in self._told:
            log.info("Redis still does not answer (%s)", error)
        self._told.add(kind)

    def _lead(self) -> None:
        """Listens and reconciles until the lease is lost or Redis is. Raises StoreUnavailable.

        Connecting may take its time; then Redis must be prompt, or it is not relied upon.
        """
        problems = self._problems()
        for problem in problems:
            log.log(logging.DEBUG if problem.told else problem.level, "%s", problem.text)
        if unfit := [problem.text for problem in problems if problem.unfit]:
            raise NotAllowed(unfit[0])
        if not self._my_turn():
            return  # that took so long that another worker leads
        subscription = self._store.subscribe(self._clusters())
        self._came_ns = self._desk.loop.now_ns()
        try:
            with self._desk.loop.within(CONNECT_MS, "no connection"):  # the subscription has taken the one there was
                self._store.glance(self._clusters()[0], [])
            self._settling.begin(alone_before=not self._scoreboard.shared_state)
            if not self._reconcile():
                return
            if not self._scoreboard.shared_state:
                log.info("Redis answers: ejections are the fleet's")
            self._scoreboard.shared_state = True
            self._scoreboard.reconciled = True
            self._settling.alone_before = False
            self._told.clear()
            while self._my_turn() and self._scoreboard.shared_state:
                self._turn(subscription)
        finally:
            subscription.close()

    def _clusters(self) -> list[str]:
        return list(self._desk.clusters) or [NOBODY]

    def _turn(self, subscription: News) -> None:
        event = subscription.next(0)
        if event is None:  # else it has come meanwhile
            event = subscription.next(self._until_next_look() / 1000)
            self._came_ns = self._desk.loop.now_ns()
        while event is not None:
            self._apply_event(event)
            event = subscription.next(0)
        self._came_ns = self._desk.loop.now_ns()
        subscription.update(self._clusters())
        if self._reconcile():
            self._tell_rates()

    def _tell_rates(self) -> None:
        for cluster in self._rates.due(shared=True):
            try:
                self._rates.tell(cluster)
            except KeysUnusable as error:
                self._settling.leave_alone(cluster, error)
            except ClusterLocked as error:
                log.warning("cluster %s: %s", cluster.name, error)

    # -- news ---------------------------------------------------------------------------------------------------------

    def _apply_event(self, event: Event) -> None:
        cluster = self._desk.clusters.get(event.cluster)
        if cluster is None:
            return
        version, epoch = self._scoreboard.clusters.fleet_version(cluster.slot)
        endpoint = cluster.endpoints.get(event.endpoint)
        if event.version not in (version, version + 1):
            if endpoint is not None and event.kind == "dirty":  # a look that came first does not say since when
                self._tell_success(cluster, endpoint, event)
            self._settling.look_at_once(
                cluster
            )  # something was missed, or the store has lost its data: see what is true
            return
        if event.version > version:
            self._scoreboard.clusters.set_fleet_version(cluster.slot, event.version, epoch)
        if endpoint is not None and (event.kind in ("dirty", "full") or event.workload in ("", endpoint.workload)):
            # dirty by whatever name: a success here shows whether both mean the same
            try:
                self._take(cluster, endpoint, event, version)
            except ClusterLocked:
                self._settling.look_at_once(cluster)  # which says so

    def _take(self, cluster: Cluster, endpoint: Endpoint, event: Event, version: int) -> None:
        now_ms = self._now_ms()
        if event.kind in ("dirty", "clean"):
            dirty = event.kind == "dirty" or self._desk.outbox.waiting(endpoint)
            if event.kind == "dirty":
                self._tell_success(cluster, endpoint, event)
            else:
                self._scoreboard.outlier.set_asked(endpoint.slot, False)
            asked_ms = now_ms - LATE_MS
            self._ejections.learn(cluster, endpoint, event.generation, dirty=dirty, asked_ms=asked_ms, now_ms=now_ms)
        elif event.kind == "witnesses":
            witnesses.begin(self._desk, cluster, endpoint, event)
        elif event.kind == "full":
            silence.begin(self._desk, cluster)
        elif event.version <= version:
            return  # from before the last look
        elif event.kind == "eject" and not self._ejections.has_room(cluster, endpoint, event.reason):
            self._settling.look_at_once(
                cluster
            )  # Redis does not know of all that is out here, or not we of what is back
        elif event.kind == "eject":
            self._settling.told_by_message(cluster, endpoint)
            self._ejections.confirm(cluster, endpoint, known_of(event, event.version), now_ms, now_ms)
        else:
            self._ejections.lift(cluster, endpoint, event.reason or "lifted", now_ms, event.version)
            silence.look_again(self._desk, cluster)

    def _tell_success(self, cluster: Cluster, endpoint: Endpoint, event: Event) -> None:
        """A run has begun somewhere. A success here since then ends it, if it was not told, or too early to end it."""
        self._scoreboard.outlier.set_asked(endpoint.slot, True)
        if self._ejections.state(endpoint).generation != event.generation or not self._ejections.shared(cluster):
            return
        on_its_way_ns = 1000 * (self._desk.pace.one_way_us() + HANDLED_US)
        counted_ns = self._desk.loop.now_ns() - on_its_way_ns
        began_ns = self._came_ns - on_its_way_ns - 1000 * event.age_us
        if not self._scoreboard.outlier.succeeded_untold(endpoint.slot, began_ns, counted_ns):
            return
        tell = partial(self._desk.outbox.add, cluster, endpoint, event.generation, SUCCESS, 0)
        if event.witnesses:
            witnesses.answer(self._desk, endpoint, event.of, tell)
        else:
            tell()

    # -- the reconcile ------------------------------------------------------------------------------------------------

    def _until_next_look(self) -> int:
        now_ms, turn_ms = self._now_ms(), int(1000 * self._desk.loop.together(TURN_MS / 1000))
        due = (self._settling.due_ms(cluster) for cluster in self._desk.clusters.values())
        look_ms = min(due, default=now_ms + turn_ms) - now_ms
        tell_ms = self._rates.until_due_ms()
        return max(0, min(turn_ms, look_ms, turn_ms if tell_ms is None else tell_ms))

    def _reconcile(self) -> bool:
        """Looks at the clusters that are due; False if this worker leads no longer."""
        for cluster in list(self._desk.clusters.values()):
            if not self._my_turn():
                return False
            self._settling.settle(cluster)
        self._settling.retain()
        self._rates.retain()
        return True

    # -- time ---------------------------------------------------------------------------------------------------------

    def keep_time(self) -> None:
        """Notes returns at their time, in whichever worker leads; to be spawned."""
        while True:
            pause_ms = self._pass_time() if self._leading else RETURNS_MS
            self._desk.loop.sleep(self._desk.loop.together(pause_ms / 1000))

    def _pass_time(self) -> int:
        """Milliseconds until there is something to do again."""
        pause = RETURNS_MS
        for cluster in list(self._desk.clusters.values()):
            with suppress(ClusterLocked):  # the others' time passes too; balancing has taken its endpoints back anyway
                pause = min(pause, self._pass_time_in(cluster))
        for cluster in self._rates.due(shared=False):
            with suppress(ClusterLocked):
                self._rates.judge_alone(cluster)
        return pause

    def _pass_time_in(self, cluster: Cluster) -> int:
        over, soonest = self._scoreboard.outlier.returns(cluster.slots)
        for slot in over:
            self._ejections.expire(cluster, cluster.by_slot[slot], self._now_ms())
            silence.look_again(self._desk, cluster)
            self._settling.ends(cluster, self._now_ms())
        if soonest < 0:
            return RETURNS_MS
        self._settling.ends(cluster, self._now_ms() + soonest)
        self._adopt_holds(cluster)
        return soonest

    def _adopt_holds(self, cluster: Cluster) -> None:
        """What is still held long after its time was held by a worker that is gone."""
        for slot in self._scoreboard.outlier.undecided(cluster.slots):
            state = self._ejections.state(cluster.by_slot[slot])
            if state.held and self._now_ms() - state.begun_ms > LONGEST_WAIT_MS + 3 * HOLD_MS:
                self._ejections.stand(cluster, cluster.by_slot[slot], state.generation)
