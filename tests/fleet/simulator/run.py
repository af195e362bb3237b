"""A seed from beginning to end."""

import logging
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache, partial
from unittest.mock import patch
from uuid import UUID

from proxy.fleet import witnesses
from proxy.mesh.traffic.outlier import OutlierDetection
from state import constants, scripts
from state.operating.operator import Operator
from state.outlier import redis_store, subscription
from tests.fleet.simulator.faults import Faults
from tests.fleet.simulator.invariants import LOAD_CALM_MS, Invariants
from tests.fleet.simulator.network import Client, Link, Network
from tests.fleet.simulator.plan import AFTERMATH_S, QUIET_S, plan_of
from tests.fleet.simulator.replica import NAME, Manifests, Replica
from tests.fleet.simulator.server import Data, Server
from tests.fleet.simulator.settled import Settled
from tests.fleet.simulator.traffic import Pod, Traffic, dead, every, healthy, refusing, sometimes, steady
from tests.fleet.simulator.world import MS, Broken, Process, SimLoop, World

SNAPSHOT_MS = 200
PAUSE_S = 1.0
# So many requests at once, and so many of them to each endpoint in the time that a report takes.
BURST, BURST_ROUND_TRIPS = 100, 5
# Scripts are put together once; `few_deliveries` forgets them.
_ALONE, _WITHOUT_UNUSED = cache(scripts.alone), cache(scripts._without_unused)
# One seed of so many has so few deliveries a second, and witnesses.
FEW_OF = 8
DELIVERIES, WITNESSES = 8, 2


class Hands(Process):
    """Where operators sit."""

    def __init__(self, simulation: "Simulation") -> None:
        super().__init__(simulation.world, "hands", 0)
        self.loop = SimLoop(self)
        self.client = Client(simulation.network, Link(simulation.world, 0.2), self)
        self.orders = Operator(self.client, directory=simulation.directory)  # type: ignore[arg-type]


class Simulation:
    """One seed's."""

    def __init__(self, seed: int, tell: Callable[[str], object] | None = None, only: Sequence[str] = ()) -> None:
        self.world = World(seed, tell)
        self.rng = self.world.rng
        self.plan = plan_of(self.rng, only)
        self.server = Server(self.world)
        self.network = Network(self.world, self.server)
        self.snapshots: list[Data] = [({}, {})]
        self.replicas: list[Replica] = []
        self._replicas_made = 0
        self._pods_made = 0
        self.rule_changed = False
        self.index_may_lack = any(step.kind in ("key_set", "junk") for step in self.plan.steps)
        pods = [self._new_pod(f"10.0.0.{i + 1}:80") for i in range(self.plan.endpoints)]
        self.manifests = Manifests({pod.address: pod.workload for pod in pods}, self.plan.rule)
        self.traffic = Traffic(self.world, {pod.address: pod for pod in pods})
        self.watch = Invariants(self)
        self.faults = Faults(self)
        self.traffic.ended = self.watch.ended
        self.network.half_open_ended = self.watch.half_open_ended
        self.operator = Hands(self)
        self._connect(self.server)

    # -- what there is ------------------------------------------------------------------------------------------------

    def living(self) -> list[Replica]:
        return [replica for replica in self.replicas if replica.alive]

    def agreed(self) -> bool:
        """All replicas have the same manifests."""
        return not self.rule_changed and all(replica.manifests == self.manifests for replica in self.living())

    def directory(self) -> dict[str, dict[str, str]]:
        """For operators."""
        return {NAME: dict.fromkeys(self.traffic.pods, "")}

    def _connect(self, server: Server) -> None:
        server.noted = self.watch.noted
        server.publish = lambda channel, message: self._publish(server, channel, message)

    def _publish(self, server: Server, channel: str, message: str) -> int:
        self.watch.published(message)
        return self.network.publish(server, channel, message)

    def lose_data(self, data: Data) -> None:
        """The server has these data from now on."""
        self.server.restore(data)
        self.watch.data_lost()

    def replace_server(self, server: Server) -> None:
        """Another one is the primary."""
        self.server.noted = lambda entry: None
        self.server = server
        self._connect(server)
        self.network.take(server)
        self.operator.client.forget_idle()
        self.watch.data_lost()

    # -- what changes -------------------------------------------------------------------------------------------------

    def _new_pod(self, address: str) -> Pod:
        self._pods_made += 1
        return Pod(address, f"pod-{self._pods_made}", healthy, self.rng.choice((0.3, 1.0, 5.0)))

    def replace_pod(self, address: str) -> None:
        """Another pod has the address."""
        self.watch.pod_goes(address)
        self.traffic.pods[address] = pod = self._new_pod(address)
        pod.behaves = self.rng.choice((healthy, dead))
        if address in self.manifests.endpoints:
            changed = dict(self.manifests.endpoints) | {address: pod.workload}
            self.manifests = Manifests(changed, self.manifests.rule)

    def change(self, how: Callable[[dict[str, str]], object]) -> None:
        """Endpoints come or go."""
        changed = dict(self.manifests.endpoints)
        how(changed)
        self.manifests = Manifests(changed, self.manifests.rule)
        self.publish()

    def change_rule(self, rule: OutlierDetection | None) -> None:
        self.rule_changed = True
        self.manifests = Manifests(self.manifests.endpoints, rule)
        self.publish()

    def publish(self) -> None:
        """Each replica hears of the change in its time, the newest there is then."""
        for replica in self.living():
            self.world.at(self.rng.random() * 300 * MS, partial(self._load, replica))

    def _load(self, replica: Replica) -> None:
        if replica.alive and not replica.deaf and replica.manifests != self.manifests:
            self.watch.disturbed(LOAD_CALM_MS)
            replica.load(self.manifests)
            self.watch.look_who_knows()

    def start_replica(self) -> None:
        self._replicas_made += 1
        link = Link(self.world, self.plan.one_way_ms)
        replica = Replica(
            self.world, self.network, f"r{self._replicas_made}", self.plan.workers, link, self.watch.heard
        )
        self.replicas.append(replica)
        replica.start(self.manifests)

    # -- the way of it ------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Raises Broken."""
        for _ in range(self.plan.replicas):
            self.start_replica()
        for step in self.plan.steps:
            self.world.at(step.at_s * 1e9, partial(self.faults.begin, step))
        heals_ns = self.world.begun_ns + int(self.plan.heals_s * 1e9)
        steady(self.world, self.plan.per_second, self._send, lambda: self.world.now_ns > heals_ns)
        for pod in list(self.traffic.pods):
            self._phase(pod, heals_ns)
        self._snapshot(heals_ns)
        self.world.run(self.plan.heals_s)
        self._heal()
        self.world.run(self.plan.settled_s)
        settled = Settled(self)
        settled.check_end()
        self._aftermath()
        over_s = self.plan.settled_s + AFTERMATH_S + PAUSE_S
        self.world.run(over_s)
        before = dict(self.network.calls)
        self.world.run(over_s + QUIET_S)
        settled.check_cost({name: count - before.get(name, 0) for name, count in self.network.calls.items()})
        self.watch.check_late()

    def _send(self) -> None:
        workers = [w for replica in self.living() for w in replica.workers if w.alive and w.applied]
        if workers:
            self.traffic.send(self.rng.choice(workers))

    def _phase(self, address: str, until_ns: int) -> None:
        """An endpoint begins to behave in another way."""
        if self.world.now_ns > until_ns:
            return
        threshold = self.plan.rule.consecutive_5xx
        kinds = [healthy, healthy, dead, dead, refusing, every(max(2, threshold)), sometimes(self.rng, 0.4)]
        pod = self.traffic.pods[address]
        pod.behaves = self.rng.choice(kinds)
        self.world.at(self.rng.choice((300, 1000, 2500)) * MS, lambda: self._phase(address, until_ns))

    def _snapshot(self, until_ns: int) -> None:
        self.snapshots.append(self.server.copy())
        if self.world.now_ns < until_ns:
            self.world.at(SNAPSHOT_MS * MS, lambda: self._snapshot(until_ns))

    def _heal(self) -> None:
        """The last fault is over."""
        self.faults.mend_all()
        self._all_healthy()
        self.publish()
        self.world.tell("-- all is well from here on")
        until_ns = self.world.begun_ns + int(1e9 * (self.plan.settled_s + AFTERMATH_S + PAUSE_S))
        steady(self.world, 10, self._send, lambda: self.world.now_ns > until_ns)

    def _aftermath(self) -> None:
        """What has gone wrong may have left something behind: endpoints fail once more, with many requests."""
        self.rng.choice(list(self.traffic.pods.values())).behaves = dead
        until_ns = self.world.now_ns + int(AFTERMATH_S * 1e9)
        steady(self.world, 40, self._send, lambda: self.world.now_ns > until_ns)
        self.burst()
        self.world.at(AFTERMATH_S * 1e9, self._all_healthy)

    def burst(self) -> None:
        """Many requests at once, of which one endpoint fails some, never so many running that it may be ejected."""
        pods = list(self.traffic.pods.values())
        self.rng.choice(pods).behaves = every(max(2, self.plan.rule.consecutive_5xx))
        last, per_second = self.traffic.requests + BURST, BURST_ROUND_TRIPS * len(pods) * 500 / self.plan.one_way_ms
        steady(self.world, per_second, self._send, lambda: self.traffic.requests > last)

    def _all_healthy(self) -> None:
        for pod in self.traffic.pods.values():
            pod.behaves = healthy

    def end(self) -> None:
        """Nothing of it is left."""
        self.operator.die()
        for replica in self.living():
            for worker in replica.workers:
                worker.go_on()
            replica.die()


@contextmanager
def few_deliveries() -> Iterator[None]:
    """So few that an endpoint that flaps gets witnesses, and so few of these that not everybody is one."""
    with (
        patch.object(constants, "DELIVERIES", DELIVERIES),
        patch.object(constants, "WITNESSES", WITNESSES),
        patch.object(witnesses, "WITNESSES", WITNESSES),
    ):
        scripts.source.cache_clear()
        yield
    scripts.source.cache_clear()


@contextmanager
def patched(world: World, *, few: bool = False) -> Iterator[None]:
    """The two places of the store's code that ask the machine themselves; and our own mistakes are not only logged."""
    logger, mistakes = logging.getLogger("proxy.fleet"), _Mistakes()
    logger.addHandler(mistakes)
    try:
        with (
            patch.object(scripts, "alone", _ALONE),
            patch.object(scripts, "_without_unused", _WITHOUT_UNUSED),
            few_deliveries() if few else nullcontext(),
            patch.object(logger, "propagate", False),
            patch.object(subscription, "monotonic", lambda: world.now_ns / 1e9),
            patch.object(redis_store, "uuid4", lambda: UUID(int=world.rng.getrandbits(128))),
        ):
            yield
    finally:
        logger.removeHandler(mistakes)


class _Mistakes(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR:
            error = record.exc_info[1] if record.exc_info else None
            if isinstance(error, Broken):
                raise error
            raise Broken("mistake", f"{record.getMessage()}: {error!r}") from error


@dataclass(frozen=True)
class Result:
    """How a seed has ended; `broken` "" if well."""

    seed: int
    broken: str = ""
    text: str = ""


def run_seed(seed: int, tell: Callable[[str], object] | None = None, only: Sequence[str] = ()) -> Result:
    """One seed."""
    simulation = Simulation(seed, tell, only)
    with patched(simulation.world, few=seed % FEW_OF == 0):
        try:
            simulation.run()
        except Broken as broken:
            return Result(seed, broken.name, str(broken))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told with the seed
            where = traceback.extract_tb(error.__traceback__)[-1]
            return Result(seed, "mistake", f"mistake: {error!r} in {where.filename}:{where.lineno} {where.name}")
        finally:
            simulation.end()
    return Result(seed)


Work = tuple[list[int], tuple[str, ...]]


def run_some(work: Work) -> list[Result]:
    """Seeds, one after the other."""
    seeds, only = work
    return [run_seed(seed, None, only) for seed in seeds]
