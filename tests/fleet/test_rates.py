"""An endpoint that fails too often, and never often enough in a row: found by the requests of the whole fleet."""

import itertools
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from proxy.mesh.traffic.outlier import OutlierDetection, SuccessRate
from state.keys import Keys
from state.server.embedded import Embedded
from tests.fleet.fleet_rig import Fleet, Load, fleet
from tests.fleet.simulator import run
from tests.fleet.simulator.plan import Plan
from tests.fleet.simulator.replica import NAME
from tests.fleet.simulator.run import Simulation, patched
from tests.fleet.simulator.traffic import sometimes, steady
from tests.manifests import rule
from tests.rig import Endpoint, endpoints, wait_until

KEYS = Keys("waypoint", NAME)
REPLICAS, ENDPOINTS, PER_SECOND = 8, 10, 100
ENVOY = OutlierDetection(
    consecutive_5xx=0, base_ejection_ms=600_000, max_ejection_percent=50, success_rate=SuccessRate()
)


def plan(replicas: int, detection: OutlierDetection) -> Plan:
    return Plan(replicas, 1, ENDPOINTS, detection, 0.5, PER_SECOND, 0, 60, 60, [])


@contextmanager
def simulated(replicas: int = REPLICAS, detection: OutlierDetection = ENVOY, seed: int = 1) -> Iterator[Simulation]:
    """Replicas and endpoints of which nothing fails yet, in made-up time."""
    with patch.object(run, "plan_of", lambda rng, only: plan(replicas, detection)):
        made = Simulation(seed)
    with patched(made.world):
        for _ in range(replicas):
            made.start_replica()
        made.world.run(1)
        steady(made.world, PER_SECOND, made._send, lambda: False)
        made.world.run(11)
        yield made
        made.end()


def out(made: Simulation) -> list[set[str]]:
    """What is out in each replica."""
    return [
        {address for address, state in replica.out().items() if state.ejected_until_ms > replica.now_ms}
        for replica in made.living()
    ]


@pytest.mark.parametrize("seed", range(3))
def test_a_hundred_requests_a_second_over_eight_replicas_are_enough(seed: int) -> None:
    """Envoy's own numbers: of 10 endpoints one fails 70 of 100. In two intervals of 10 s it is out, and no other is."""
    with simulated(seed=seed) as made:
        bad = next(iter(made.traffic.pods))
        made.traffic.pods[bad].behaves = sometimes(made.rng, 0.7)
        made.world.run(32)
        assert out(made) == [{bad}] * REPLICAS
        ejections = [entry for entry in made.server.values[KEYS.log] if entry["kind"] == "eject"]
        assert [(entry["why"], entry["endpoint"]) for entry in ejections] == [("success_rate", bad)]


def without_redis(made: Simulation) -> str:
    """One endpoint fails seven of ten while no replica reaches Redis: which."""
    for replica in made.living():
        replica.link.cut = True
    bad = next(iter(made.traffic.pods))
    made.traffic.pods[bad].behaves = sometimes(made.rng, 0.7)
    made.world.run(45)
    return bad


def test_without_redis_eight_replicas_see_too_little_each_and_judge_nothing() -> None:
    with simulated() as made:
        without_redis(made)
        assert out(made) == [set()] * REPLICAS


def test_without_redis_a_replica_that_sees_enough_judges_alone_and_the_fleet_follows() -> None:
    with simulated(replicas=1) as made:
        bad = without_redis(made)
        assert out(made) == [{bad}]
        for replica in made.living():
            replica.link.mend()
        made.world.run(55)
        assert "reason=success_rate success_rate=" in str(made.watch.out_in_redis(bad))


def test_nobody_is_told_of_rates_that_nobody_asks_for() -> None:
    with simulated(detection=replace(ENVOY, success_rate=None)) as made:
        assert made.network.calls.get("tell_rates", 0) == 0
        assert KEYS.rates not in made.server.values


def test_it_costs_four_calls_an_interval_and_replica() -> None:
    with simulated() as made:
        before = made.network.calls["tell_rates"]
        made.world.run(32)
        assert made.network.calls["tell_rates"] - before <= REPLICAS * (4 * 2 + 1)


class Failing(Endpoint):
    """Fails seven of ten."""

    _answers = itertools.cycle([503] * 7 + [200] * 3)

    def __getattribute__(self, name: str) -> Any:
        return next(Failing._answers) if name == "status" else super().__getattribute__(name)


RULE: dict[str, Any] = {
    "interval": "1s",
    "consecutive5xxErrors": 0,
    "maxEjectionPercent": 50,
    "baseEjectionTime": "600s",
}


def found(
    path: Path, url: str, count: int, replicas: int, rate: float, asked: str, seconds: float, **rules: Any
) -> None:
    """The one that fails is out in all replicas in that time, no other is, and it is said why."""
    with endpoints(count) as members:
        bad = members[1]
        bad.__class__ = Failing
        with fleet(path, url, members=members, workers=1, replicas=replicas, **RULE | rules) as made, ExitStack() as on:
            for manifests in made.manifests:
                asking = rule(**RULE | rules)
                asking["metadata"]["annotations"] = {"waypointd.io/success-rate": asked}
                manifests.put("rule", asking)
            for each in made.replicas:
                on.enter_context(Load(each.port, rate / replicas, 1))
            wait_until(lambda: made.agrees(bad), seconds, "it is out everywhere")
            check_words(made, bad)


def check_words(made: Fleet, bad: Endpoint) -> None:
    assert made.told("eject") == [("success_rate", bad.address)]
    wait_until(lambda: all(each.waypoint.lines("due to a low success rate") for each in made.replicas), 5)
    (line,) = made.replicas[0].waypoint.lines("due to a low success rate")
    assert f"endpoint={bad.address} " in line
    assert " success_rate=" in line


def test_two_replicas_find_it(valkey: Embedded, tmp_path: Path) -> None:
    asked = "minimum_hosts=5 request_volume=20"
    found(tmp_path, valkey.url, count=6, replicas=2, rate=160, asked=asked, seconds=15)


@pytest.mark.slow
def test_eight_replicas_find_it_by_envoys_numbers(valkey: Embedded, tmp_path: Path) -> None:
    found(tmp_path, valkey.url, count=10, replicas=8, rate=100, asked="on", seconds=40, interval="10s")
