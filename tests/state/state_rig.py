"""What the store tests drive: a store of some kind with a clock that can be moved."""

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from types import ModuleType
from typing import Any

import fakeredis
import redis

from state.keys import Keys
from state.operating.operator import Operator, Order
from state.outlier.decide import Record
from state.outlier.local_store import LocalStore
from state.outlier.redis_store import RedisStore
from state.outlier.run import FAILURE, LOCAL_FAILURE, LOST_ANSWER, SERVER_ERROR, SUCCESS, Run
from state.outlier.store import CONSECUTIVE_5XX, Batch, Ejection, Policy, Store, Verdict
from state.server.access import Access
from state.server.connect import connect
from state.server.preflight import Preflight

os.environ["LUA_PATH"] = f"{Path(__file__).parent}/lua/?.lua;;"  # where fakeredis finds what it lacks

CLUSTER = "httpbin/in-ambient:8000"
A, B, C = "10.10.0.16:8080", "10.10.0.17:8080", "10.10.0.18:8080"
SEED = Policy(consecutive_5xx=3, interval_ms=10_000, base_ejection_ms=30_000, max_ejection_percent=50, endpoints=3)
KEYS = Keys("waypoint", CLUSTER)

LETTERS = {
    "S": SUCCESS,
    "F": FAILURE,  # the endpoint answered 503
    "E": SERVER_ERROR,  # it answered 500
    "L": LOCAL_FAILURE,  # refused
    "T": LOST_ANSWER,  # connected, and then nothing
}


def batch(outcomes: str, endpoint: str = A, workload: str = "pod-a", generation: int = 0, by: str = "r1/w1") -> Batch:
    """`outcomes` as letters of LETTERS."""
    run = Run()
    for letter in outcomes:
        run = run.combine(LETTERS[letter])
    return Batch(
        cluster=CLUSTER,
        endpoint=endpoint,
        workload=workload,
        generation=generation,
        run=run,
        last_status=200 if outcomes.endswith("S") else 503,
        by=by,
    )


def log_of(rig: "Rig") -> list[dict[str, str]]:
    """The entries of the cluster's stream, oldest first."""
    client: Any = rig.client
    return [fields for _, fields in client.xrange(KEYS.log)]


def an_ejection(endpoint: str = A, **known: Any) -> Ejection:
    """An ejection of 30 s that replica r2 has decided by itself."""
    made = Ejection(
        endpoint=endpoint,
        workload="pod-a",
        left_ms=20_000,
        ejection_ms=30_000,
        generation=1,
        failures=3,
        ejections=1,
        backoff=1,
        by="r2/w1",
        reason=CONSECUTIVE_5XX,
    )
    return replace(made, **known)


class FakeTime(ModuleType):
    """The time module with a wall clock that stands still until it is moved."""

    def __init__(self) -> None:
        super().__init__("time")
        self.now_ms = 1_700_000_000_000

    def __getattr__(self, name: str) -> object:
        return getattr(time, name)

    def time(self) -> float:
        return self.now_ms / 1000

    def advance(self, ms: int) -> None:
        self.now_ms += ms


class DictRecords:
    """Records in a dictionary, for one process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._records: dict[str, dict[str, Record]] = {}

    @contextmanager
    def locked(self, cluster: str) -> Iterator[None]:
        with self._lock:
            yield

    def load(self, cluster: str, endpoint: str) -> Record:
        return self._records.get(cluster, {}).get(endpoint, Record())

    def save(self, cluster: str, endpoint: str, record: Record) -> None:
        self._records.setdefault(cluster, {})[endpoint] = record

    def active(self, cluster: str, now_ms: int) -> int:
        return sum(record.ejected_until_ms > now_ms for record in self._records.get(cluster, {}).values())

    def all(self, cluster: str) -> Mapping[str, Record]:
        return dict(self._records.get(cluster, {}))


@dataclass
class Rig:
    """A store, and a caller that knows the generations as a worker does."""

    store: Store
    advance: Callable[[int], None]  # milliseconds
    client: redis.Redis | None  # of the server behind the store, if there is one
    generations: dict[str, int] = field(default_factory=dict)

    def report(
        self,
        outcomes: str,
        endpoint: str = A,
        workload: str = "pod-a",
        policy: Policy = SEED,
        generation: int | None = None,
        by: str = "r1/w1",
    ) -> Verdict:
        known = self.generations.get(endpoint, 0) if generation is None else generation
        verdict = self.store.report(batch(outcomes, endpoint, workload, known, by), policy)
        self.generations[endpoint] = verdict.generation
        return verdict

    def probe(self, outcome: str, endpoint: str = A, policy: Policy = SEED, by: str = "r1/w1") -> Verdict | None:
        """Claim the probe and, if it is granted, tell its one outcome; None if it is not."""
        if not self.store.claim_probe(CLUSTER, endpoint, by, 1000).granted:
            return None
        generation = self.generations.get(endpoint, 0)
        verdict = self.store.probed(batch(outcome, endpoint, "", generation, by), policy)
        self.generations[endpoint] = verdict.generation
        return verdict

    def offer(
        self,
        endpoint: str = A,
        workload: str = "pod-a",
        left_ms: int = 20_000,
        generation: int = 1,
        policy: Policy = SEED,
    ) -> Verdict:
        offered = an_ejection(endpoint, workload=workload, left_ms=left_ms, generation=generation)
        return self.store.offer(CLUSTER, offered, policy)

    def ejected(self) -> frozenset[str]:
        return self.store.glance(CLUSTER, [A, B, C]).ejected


@contextmanager
def opened(access: Access, timeout: float = 1.0) -> Iterator[Rig]:
    """A store there, empty or not."""
    with connect(access, timeout) as client:
        yield Rig(RedisStore(client), lambda ms: time.sleep(ms / 1000), client)


def works(rig: Rig) -> None:
    """Every call of a store."""
    for endpoint in (A, B):
        rig.store.forget(CLUSTER, endpoint, "", "r1")
    rig.generations.clear()
    subscription = RedisStore(rig.client).subscribe([CLUSTER])  # type: ignore[arg-type]
    assert rig.report("F").outcome == "counted"
    assert rig.report("FF").outcome == "ejected"
    assert rig.report("FFF", B).outcome == "overflow"
    assert [event.kind for event in (subscription.next(1.0), subscription.next(1.0)) if event] == ["dirty", "eject"]
    assert rig.ejected() == {A}
    assert [each.endpoint for each in rig.store.sync(CLUSTER, [A, B]).ejections] == [A]
    subscription.update([])
    subscription.close()
    rig.store.forget(CLUSTER, A, "pod-a", "r1")
    assert rig.offer(generation=5).outcome == "ejected"
    rig.store.forget(CLUSTER, A, "pod-a", "r1")
    assert rig.ejected() == frozenset()
    store = RedisStore(rig.client)  # type: ignore[arg-type]
    answers = [store.send(batch("F", C), SEED) for _ in range(2)]
    assert [answer().failures for answer in answers] == [1, 2]
    rig.store.forget(CLUSTER, C, "pod-a", "r1")
    operate(rig)


def operate(rig: Rig) -> None:
    """What operators see and do."""
    assert rig.client is not None
    rig.store.sync(CLUSTER, [A, B], rule="consecutive_5xx=3 addresses=10.10.0.16:8080/pod-a")
    operator, order = Operator(rig.client), Order(CLUSTER, A, "alice")
    assert operator.eject(order).changed == "ejected"
    assert rig.store.glance(CLUSTER, [A, B]).left_ms.keys() == {A}
    assert [each.endpoint for each in operator.explain(CLUSTER).reports] == [A]
    assert [each.endpoint for each in operator.ejections()] == [A]
    assert operator.history(CLUSTER)[-1].by == "alice"
    assert operator.uneject(order).changed == "unejected"


def problems(access: Access) -> list[str]:
    """What the preflight says of a server that it sees for the first time, warnings and errors."""
    with connect(access, 1.0) as client:
        return [each.text for each in Preflight(client, access, "waypoint").problems() if each.level > logging.INFO]


# -- rigs of each kind ------------------------------------------------------------------------------------------------


def local_rig() -> Rig:
    clock = FakeTime()
    return Rig(LocalStore(DictRecords(), lambda: clock.now_ms), clock.advance, None)


def fake_rig(clock: FakeTime) -> Rig:
    client = fakeredis.FakeRedis(
        server=fakeredis.FakeServer(), lua_modules={"cmsgpack"}, decode_responses=True, encoding_errors="replace"
    )
    return Rig(RedisStore(client), clock.advance, client)


def real_rig(client: redis.Redis) -> Rig:
    return Rig(RedisStore(client), lambda ms: time.sleep(ms / 1000), client)
