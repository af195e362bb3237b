"""What goes wrong, and what hands do: a function for each kind of plan.KINDS."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from state.errors import StoreUnavailable
from state.keys import Keys
from state.operating.operator import Order
from state.operating.viewer import Refused
from tests.fleet.simulator.plan import KINDS, Step
from tests.fleet.simulator.replica import NAME, Manifests, Replica
from tests.fleet.simulator.server import Server
from tests.fleet.simulator.world import MS

if TYPE_CHECKING:
    from tests.fleet.simulator.run import Simulation

KEYS = Keys("waypoint", NAME)
Mend = Callable[[], object]
JUNK = "what is this?"


class Faults:
    """Each method returns how it is mended, after the step's time, or when all is; None: there is nothing to mend."""

    def __init__(self, simulation: "Simulation") -> None:
        self._sim = simulation
        self._world, self._rng = simulation.world, simulation.world.rng
        self._network = simulation.network
        self._mends: dict[int, tuple[Step, Mend]] = {}

    def begin(self, step: Step) -> None:
        """It happens; what is to be mended will be."""
        if not self._sim.living():
            return
        self._world.tell(f"-- {step.kind} for {step.for_s} s")
        self._sim.watch.disturbed(KINDS[step.kind].calm_ms)
        mend = getattr(self, step.kind)()
        if mend is not None:
            self._mends[id(step)] = step, mend
            self._world.at(step.for_s * 1000 * MS, lambda: self._mend(id(step)))

    def _mend(self, key: int) -> None:
        found = self._mends.pop(key, None)
        if found is not None:
            step, mend = found
            mend()
            if KINDS[step.kind].grave:
                self._sim.watch.wrong(self._world.begun_ns + int(step.at_s * 1e9))
            self._world.tell(f"-- {step.kind} is mended")
            self._sim.watch.disturbed(KINDS[step.kind].calm_ms)

    @property
    def grave(self) -> bool:
        """Something goes on just now with which nothing is expected to happen in time."""
        return any(KINDS[step.kind].grave for step, _ in self._mends.values())

    def mend_all(self) -> None:
        """Nothing is wrong any more."""
        for key in list(self._mends):
            self._mend(key)

    def _replica(self) -> Replica:
        return self._rng.choice(self._sim.living())

    # -- the network --------------------------------------------------------------------------------------------------

    def cut(self) -> Mend:
        links = [self._replica().link] if self._rng.random() < 0.6 else [r.link for r in self._sim.replicas]
        for link in links:
            link.cut = True

        def mend() -> None:
            for link in links:
                link.mend()

        return mend

    def half_open(self) -> None:
        link = self._replica().link
        for connection in self._network.connections:
            if connection.link is link and self._rng.random() < 0.8:
                connection.mute_since_ns = self._world.now_ns

    def loss(self) -> Mend:
        link = self._replica().link
        link.loss = self._rng.choice((0.05, 0.3))
        return lambda: setattr(link, "loss", 0.0)

    def slow(self) -> Mend:
        link = self._replica().link
        link.extra_ms = self._rng.choice((2.0, 10.0, 30.0, 100.0))
        return lambda: setattr(link, "extra_ms", 0.0)

    def unreachable(self) -> Mend:
        replica, served = self._replica(), list(self._sim.traffic.pods)
        pairs = [(replica.name, address) for address in served if self._rng.random() < 0.7]
        self._sim.traffic.unreachable.update(pairs)
        return lambda: self._sim.traffic.unreachable.difference_update(pairs)

    # -- the server ---------------------------------------------------------------------------------------------------

    def hung(self) -> Mend:
        self._network.hung = True
        return self._network.go_on

    def _away(self, back: Callable[[], None]) -> Mend:
        self._network.up = False
        self._network.reset()

        def again() -> None:
            back()
            self._network.up = True

        return again

    def restart_empty(self) -> Mend:
        return self._away(lambda: self._sim.lose_data(({}, {})))

    def restart_as_it_was(self) -> Mend:
        return self._away(lambda: None)

    def restart_old(self) -> Mend:
        data = self._rng.choice(self._sim.snapshots)
        return self._away(lambda: self._sim.lose_data(data))

    def flushed(self) -> None:
        self._sim.lose_data(({}, {}))

    def failover(self) -> Mend:
        """To a replica that lags behind; the old primary takes calls for a while."""
        old, new = self._sim.server, Server(self._world)
        new.ahead_ms = old.ahead_ms + self._rng.choice((0, 0, 0, -3, 40))
        new.restore(self._rng.choice(self._sim.snapshots[-3:]) if self._rng.random() < 0.5 else old.copy())
        self._sim.replace_server(new)
        if self._rng.random() < 0.5:
            self._network.reset(but=new)
            return lambda: None
        return lambda: self._network.reset(but=self._sim.server)

    def clock_set(self) -> None:
        by_ms = self._rng.choice((-30_000, -2000, -300, 300, 2000, 30_000))
        self._sim.server.ahead_ms += by_ms
        self._sim.watch.clock_was_set = True
        self._world.tell(f"-- the clock of Redis goes by {by_ms} ms")

    def rights(self) -> Mend:
        server = self._sim.server
        server.denied = frozenset({self._rng.choice(("publish", "xadd", "set", "hset", "get", "zadd", "incr", "time"))})
        self._world.tell(f"-- nobody may {', '.join(server.denied)}")
        return lambda: setattr(server, "denied", frozenset())

    def junk(self) -> Mend | None:
        key = self._rng.choice((KEYS.log, KEYS.version, KEYS.ejected, KEYS.endpoint(self._address())))
        if "set" in self._sim.server.denied:
            return None
        self._sim.server.command("SET", key, JUNK)
        self._world.tell(f"-- {key} is junk")

        def mend() -> None:
            """Wherever it has got to meanwhile."""
            self._sim.server.command("DEL", key)
            for values, _ in self._sim.snapshots:
                if values.get(key) == JUNK:
                    del values[key]

        return mend

    def record_lost(self) -> None:
        self._sim.server.command("DEL", KEYS.endpoint(self._address()))

    # -- processes ----------------------------------------------------------------------------------------------------

    def stopped(self) -> Mend:
        worker = self._rng.choice(self._replica().workers)
        worker.stop()
        return worker.go_on

    def stopped_with_lock(self) -> Mend | None:
        replica = self._replica()
        stopped = any(worker.stopped or not worker.alive for worker in replica.workers)
        if len(replica.workers) < 2 or replica.form is None or stopped:
            return None
        worker, slot = self._rng.choice(replica.workers), replica.slot
        replica.board.clusters.lock(slot)
        worker.stop()

        def go_on() -> None:
            replica.board.clusters.unlock(slot)
            worker.go_on()

        return go_on

    def worker_dies(self) -> None:
        replica = self._replica()
        if not any(worker.stopped for worker in replica.workers):
            replica.lose(self._rng.randrange(len(replica.workers)))

    def replica_dies(self) -> Mend | None:
        replica = self._replica()
        if any(worker.stopped for worker in replica.workers):
            return None
        self._sim.watch.replicas_forget()
        replica.die()
        return self._sim.start_replica

    def replica_comes(self) -> None:
        if len(self._sim.replicas) < 6:
            self._sim.start_replica()

    # -- the mesh -----------------------------------------------------------------------------------------------------

    def _address(self) -> str:
        return self._rng.choice(list(self._sim.traffic.pods))

    def burst(self) -> None:
        """Many requests at once."""
        self._sim.burst()

    def pod_replaced(self) -> None:
        """Another pod takes an address, and all replicas hear of it."""
        self._sim.replace_pod(self._address())
        self._sim.publish()

    def pod_replaced_unseen(self) -> Mend:
        """One replica does not hear of it: its files are invalid just now."""
        replica = self._replica()
        self._sim.replace_pod(self._address())
        replica.deaf = True
        self._sim.publish()

        def hear() -> None:
            replica.deaf = False
            self._sim.publish()

        return hear

    def removed(self) -> Mend | None:
        """A pod is not ready for a while, or never again."""
        if len(self._sim.manifests.endpoints) < 2:
            return None
        served = list(self._sim.manifests.endpoints)
        out = [address for address in served if self._sim.watch.out_in_redis(address)]
        address = self._rng.choice(out if out and self._rng.random() < 0.5 else served)
        before, comes_back = self._sim.manifests.endpoints[address], self._rng.random() < 0.5
        self._sim.watch.pod_goes(address)
        self._sim.change(lambda endpoints: endpoints.pop(address, None))
        self._sim.watch.endpoints_changed = True
        return (
            (lambda: self._sim.change(lambda endpoints: endpoints.setdefault(address, before))) if comes_back else None
        )

    def removed_in_one(self) -> Mend | None:
        """One replica has lost sight of it."""
        replica = self._replica()
        if len(self._sim.manifests.endpoints) < 2 or replica.deaf:
            return None
        address = self._rng.choice(list(self._sim.manifests.endpoints))
        fewer = {name: pod for name, pod in self._sim.manifests.endpoints.items() if name != address}
        replica.load(Manifests(fewer, self._sim.manifests.rule))
        replica.deaf = True

        def hear() -> None:
            replica.deaf = False
            self._sim.publish()

        return hear

    def rule_changed(self) -> None:
        rule = self._sim.manifests.rule
        if rule is not None:
            threshold = self._rng.choice((1, 2, 3, 5))
            self._sim.change_rule(replace(rule, consecutive_5xx=threshold))

    def rule_deleted(self) -> Mend | None:
        rule = self._sim.manifests.rule
        if rule is None:
            return None
        self._sim.watch.replicas_forget()
        self._sim.change_rule(None)
        return lambda: self._sim.change_rule(rule)

    # -- hands --------------------------------------------------------------------------------------------------------

    def hand_ejects(self) -> None:
        lasts_ms = self._rng.choice((0, 0, 0, 1000, 60_000))
        order = Order(NAME, self._address(), "alice", f"maintenance-{self._world.rng.randrange(99)}", lasts_ms)
        self._sim.operator.loop.spawn(self._eject, order)

    def _eject(self, order: Order) -> None:
        try:
            with self._sim.operator.loop.within(500):
                self._sim.operator.orders.eject(order)
        except (StoreUnavailable, Refused) as error:
            self._world.tell(f"-- {error}")
            self._sim.watch.hand_is_unsure(order.endpoint)
            return
        self._world.tell(f"-- alice has ejected {order.endpoint}: {order.why}")
        self._sim.watch.hand_ejected(order.endpoint, order.why, "alice", order.ejection_ms)

    def hand_unejects(self) -> None:
        order = Order(NAME, self._address(), "bob", "replaced")
        self._sim.operator.loop.spawn(self._uneject, order)

    def _uneject(self, order: Order) -> None:
        knew = self._sim.watch.replicas_with(order.endpoint)
        try:
            with self._sim.operator.loop.within(500):
                self._sim.operator.orders.uneject(order)
        except Refused:
            return
        except StoreUnavailable as error:
            self._world.tell(f"-- {error}")
            self._sim.watch.hand_is_unsure(order.endpoint)
            return
        self._world.tell(f"-- bob has unejected {order.endpoint}")
        self._sim.watch.hand_unejected(order.endpoint, knew)

    def key_set(self) -> None:
        address = self._address()
        endless = self._sim.server.do_pttl(KEYS.eject(address)) == -1  # other words with the same end, nobody notices
        may = self._network.up and not self._network.hung and "set" not in self._sim.server.denied
        if may and not endless:
            self._sim.server.command("SET", KEYS.eject(address), "reason=by-key by=carol")
            self._world.tell(f"-- carol has set the key of {address}")
            self._sim.watch.hand_ejected(address, "by-key", "carol", 0)

    def key_deleted(self) -> None:
        address = self._address()
        knew = self._sim.watch.replicas_with(address)
        if self._network.up and not self._network.hung and self._sim.server.command("DEL", KEYS.eject(address)):
            self._world.tell(f"-- carol has deleted the key of {address}")
            self._sim.watch.hand_unejected(address, knew)
