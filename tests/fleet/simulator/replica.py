"""A replica: its scoreboard and its workers, put together as arbiter, controller and worker.py do."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

from proxy.controller.forms import cluster_form
from proxy.controller.slots import Slots
from proxy.fleet import wiring
from proxy.fleet.desk import Links
from proxy.fleet.door import Fleet
from proxy.ipc.snapshot import ClusterForm
from proxy.mesh import model
from proxy.mesh.traffic.outlier import OutlierDetection
from proxy.mesh.traffic.policy import EffectivePolicy
from proxy.observe.outlier_log import Notice
from proxy.scoreboard.scoreboard import Scoreboard
from proxy.scoreboard.views import OutlierState
from state.outlier.redis_store import RedisStore
from state.rate_limits.store import RateLimitStore
from state.shares.store import ShareStore
from state.warmup.store import WarmupStore
from tests.fleet.simulator.network import Client, Link, Network
from tests.fleet.simulator.world import MS, Process, SimLoop, World

NAME = "httpbin/in-ambient:8000"
RESTART_MS = 100


@dataclass(frozen=True)
class Manifests:
    """What a replica's files say: address -> workload, and the rule, None for none."""

    endpoints: dict[str, str]
    rule: OutlierDetection | None


class Worker(Process):
    """One process that serves."""

    def __init__(self, replica: "Replica", index: int) -> None:
        super().__init__(replica.world, f"{replica.name}/{index}", replica.clock_ns)
        self.replica = replica
        self.index = index
        self.board = replica.board
        self.loop = SimLoop(self)
        self.clients = [Client(replica.network, replica.link, self) for _ in range(2)]
        reports, all_else = self.clients
        desk = wiring.desk(self.board, index, replica.name, self.loop, replica.heard)
        links = Links(
            reports=RedisStore(reports),  # type: ignore[arg-type]
            store=RedisStore(all_else),  # type: ignore[arg-type]
            forget_connections=reports.forget_idle,
            problems=list,
            moved=all_else.moved,
            lender=RateLimitStore(all_else),  # type: ignore[arg-type]
            sharer=ShareStore(all_else),  # type: ignore[arg-type]
            register=WarmupStore(all_else),  # type: ignore[arg-type]
        )
        self.fleet = Fleet(desk, links)
        self.applied = 0
        self.endpoints: list[tuple[int, str]] = []  # slot, address: what requests are balanced over
        self.served: list[tuple[frozenset[str], int]] = []  # the addresses that were served before, and until when

    def enter(self) -> None:
        """See Process."""
        self.board.tell_time(self.world.now_ns + self.clock_ns)

    def start(self) -> None:
        """Serves what its replica serves."""
        self.replica.board.workers.start(self.index, 1000 + self.index)

        def begin() -> None:
            self._apply(True, self.replica.number, self.replica.form)
            self.fleet.start()

        self.loop.spawn(begin)

    def apply(self, number: int, form: ClusterForm | None, delay_ms: float) -> None:
        """A snapshot reaches it, so much later."""
        self.loop.spawn_later(delay_ms / 1000, self._apply, False, number, form)

    def _apply(self, full: bool, number: int, form: ClusterForm | None) -> None:
        if number < self.applied:
            return
        self.applied = number
        self.served.append((frozenset(address for _, address in self.endpoints), self.world.now_ns))
        served = form["endpoints"] if form else []
        self.endpoints = [(each["slot"], f"{each['ip']}:{each['port']}") for each in served]
        self.fleet.apply(full, [form] if form else [], [] if form else [NAME])


@dataclass
class Heard:
    """A line of a replica's log."""

    at_ns: int
    notice: Notice
    fields: dict[str, str | int] = field(default_factory=dict)


class Replica:
    """One waypointd. `told` hears each line of its log."""

    def __init__(
        self,
        world: World,
        network: Network,
        name: str,
        workers: int,
        link: Link,
        told: Callable[["Replica", Heard], object],
    ) -> None:
        self.world = world
        self.network = network
        self.name = name
        self.link = link
        self.clock_ns = world.rng.randrange(10**15)
        self.board = boards().take()
        self.board.tell_time(world.now_ns + self.clock_ns)
        self.alive = True
        self.number = 0
        self.manifests = Manifests({}, None)
        self.form: ClusterForm | None = None
        self.slot = 0
        self.cursor = 0
        self.deaf = False  # its files do not change just now, whatever others have
        self._slots = Slots(self.board)
        self._told = told
        self.workers = [Worker(self, index) for index in range(workers)]

    @property
    def now_ms(self) -> int:
        """On the clock of its host."""
        return (self.world.now_ns + self.clock_ns) // MS

    def heard(self, notice: Notice) -> None:
        """A line of the log."""
        self._told(self, Heard(self.world.now_ns, notice, dict(notice.fields)))

    def start(self, manifests: Manifests) -> None:
        """All of it."""
        self.load(manifests)
        for worker in self.workers:
            worker.start()

    def load(self, manifests: Manifests) -> None:
        """The files have changed."""
        self.board.tell_time(self.world.now_ns + self.clock_ns)
        self.number, self.manifests = self.number + 1, manifests
        now = self.now_ms / 1000
        self._slots.give_back(min((w.applied for w in self.workers if w.alive), default=0), now)
        former, self.form = self.form, None
        if manifests.rule is not None:
            endpoints = tuple(model.Endpoint(a.partition(":")[0], 80, w) for a, w in manifests.endpoints.items())
            policy = EffectivePolicy(outlier_detection=manifests.rule, rule="httpbin/rule")
            cluster = model.Cluster(NAME, NAME, NAME, endpoints, policy)
            self.slot, places = self._slots.of(cluster, self.number, now)
            self.form = cluster_form(cluster, self.slot, places)
        if former:
            self._slots.left(former, self.form, self.number, now)
        if self.form:
            self._slots.used(self.form)
        for worker in self.workers:
            worker.apply(self.number, self.form, 20 * self.world.rng.random())

    def lose(self, index: int) -> None:
        """A worker dies, and the arbiter starts another in its place."""
        self._end(index)

        def again() -> None:
            if self.alive:
                self.workers[index] = Worker(self, index)
                self.workers[index].start()

        self.world.at(RESTART_MS * MS, again)

    def _end(self, index: int) -> None:
        worker = self.workers[index]
        worker.die()
        for connection in list(self.network.connections):
            if connection.process is worker:
                connection.close()
        self.board.tell_time(self.world.now_ns + self.clock_ns)
        self.board.workers.reap(index)

    def die(self) -> None:
        """All of it."""
        self.alive = False
        for index in range(len(self.workers)):
            self._end(index)
        boards().give_back(self.board)

    def states(self) -> dict[str, OutlierState]:
        """How each endpoint stands with it, by address."""
        self.board.tell_time(self.world.now_ns + self.clock_ns)
        served = self.form["endpoints"] if self.form else []
        return {f"{e['ip']}:{e['port']}": self.board.outlier.state(e["slot"]) for e in served}

    def out(self) -> dict[str, OutlierState]:
        """Those that are out."""
        return {address: state for address, state in self.states().items() if state.ejected_until_ms > self.now_ms}


class Boards:
    """Scoreboards stay mapped for ever, so they are used again."""

    def __init__(self) -> None:
        self._free: list[Scoreboard] = []

    def take(self) -> Scoreboard:
        """An empty one."""
        return self._free.pop() if self._free else Scoreboard.create()

    def give_back(self, board: Scoreboard) -> None:
        """Nobody uses it any more."""
        for slot in board.endpoints.slots().values():
            board.endpoints.remove(slot)
        for slot in board.clusters.slots().values():
            board.clusters.remove(slot)
        board.leave_shared_state()
        board.tell_time(1)
        board.note_mode("")  # since no time at all
        board.reconciled = False
        board.suspect_itself(False)
        self._free.append(board)


@cache
def boards() -> Boards:
    """This process's."""
    return Boards()
