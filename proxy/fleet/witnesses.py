"""Whether this worker tells the fleet of an endpoint's outcomes: where there would be too much news, only a few workers
do, its witnesses (state/outlier/witnesses.py).

Who they are follows from a number that all hear of, so nobody keeps a list. The others still count for their replica: a
run that is long enough in one replica alone is told by whoever meets it, whole. And when the fleet is asked who
has seen a success, all that have answer, unless somebody else has been heard to.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from hashlib import blake2b
from math import log

from proxy.fleet.clusters import Cluster, Endpoint
from proxy.fleet.desk import Desk
from proxy.fleet.ejections import locked
from proxy.scoreboard.views import OutlierState
from state.constants import ANSWERS_MS, WITNESSES, WITNESSES_MS
from state.outlier.events import Event
from state.outlier.run import Run
from state.outlier.store import Policy

# Rules in force in this process, and those just replaced.
POLICIES = 1024
# A witness gathers successes for so long. They end a run only if the fleet is asked about it, and then they are told.
GATHER_MS = 20
# So many times the threshold in one replica alone is told by whoever meets it.
OWN_RUNS = 2


def is_one(replica: str, worker: int, workers: int, number: int, replicas: int) -> bool:
    """Whether that worker, of so many of its replica, is a witness: as many are in the mean as there shall be."""
    told = f"{number} {replica} {worker}".encode()
    chance = int.from_bytes(blake2b(told, digest_size=4).digest()) / 2**32
    return chance * replicas * workers < WITNESSES


def keeps_to_itself(desk: Desk, endpoint: Endpoint) -> bool:
    """Others tell of the endpoint, and this worker does not."""
    known = desk.scoreboard.outlier.witnesses(endpoint.slot)
    return known is not None and not is_one(desk.replica, desk.worker, _workers(desk), *known)


def gather_ms(desk: Desk, endpoint: Endpoint) -> int:
    """How long a success may wait for more."""
    return GATHER_MS if desk.scoreboard.outlier.witnesses(endpoint.slot) else 0


def begin(desk: Desk, cluster: Cluster, endpoint: Endpoint, event: Event) -> None:
    """They are called, or others than before. May raise ClusterLocked."""
    workers = [row.slot for row in desk.scoreboard.workers.rows()]
    ours = any(is_one(desk.replica, each, len(workers), event.witnesses, event.of) for each in workers)
    until_ms = desk.loop.now_ms() + WITNESSES_MS
    with locked(desk.scoreboard, cluster):
        desk.scoreboard.outlier.set_witnesses(endpoint.slot, until_ms, event.witnesses, event.of, ours)


@lru_cache(POLICIES)
def patient(policy: Policy) -> Policy:
    """By which a replica that keeps an endpoint's outcomes to itself judges it: of many that meet one that flaps, some
    meet a run of the threshold by chance."""
    return replace(
        policy,
        consecutive_5xx=OWN_RUNS * policy.consecutive_5xx,
        consecutive_gateway_failure=OWN_RUNS * policy.consecutive_gateway_failure,
        consecutive_local_origin_failure=OWN_RUNS * policy.consecutive_local_origin_failure,
    )


def own_run(before: OutlierState, run: Run, *, split: bool) -> Run:
    """All that this replica has counted, of which nobody was told: `run` came after what there was `before`."""
    gateway = min(before.failures, before.gateway_failures)
    local_origin = min(gateway, before.local_origin_failures) if split else 0
    return Run.of_failures(before.failures, gateway, local_origin).combine(run)


def answer(desk: Desk, endpoint: Endpoint, replicas: int, tell: Callable[[], object]) -> None:
    """There was a success here since the run began that the fleet is asked about. One of all replicas says so at once
    in the mean, and more the later it gets, until one is heard."""
    late = 1 + log(max(desk.loop.chance(), 1e-9)) / log(max(2, replicas))

    def tell_unless_answered() -> None:
        if desk.scoreboard.outlier.is_asked(endpoint.slot):
            tell()

    desk.loop.spawn_later(max(0.0, late) * ANSWERS_MS / 1000, tell_unless_answered)


def _workers(desk: Desk) -> int:
    return len(desk.scoreboard.workers.rows())
