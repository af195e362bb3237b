"""The arithmetic behind the fleet benchmark's sizes."""

import pytest

from state.constants import DELIVERIES
from tests.bench.fleet.calibrate import Costs
from tests.bench.fleet.model import demand, looking, rows, slot, spread
from tests.bench.fleet.simulate import Cluster, Simulation

COSTS = Costs(failure=100.0, turn=120.0, delivery=3.0, look=40.0, look_endpoint=0.2)


def test_slots_are_those_of_redis_cluster() -> None:
    assert slot(b"123456789") == 0x31C3  # the specification's own example
    assert slot(b"foo") == 12182


def test_the_fullest_shard_is_the_limit() -> None:
    assert spread(0, 3) == 0
    assert spread(10, 1) == 10
    assert 1000 < spread(1000, 3) < 3000


def test_a_dead_endpoint_is_reported_until_it_is_out() -> None:
    counts = Simulation(
        Cluster(replicas=4, requests_per_second=20, failing=1.0, endpoints=1, max_ejection_percent=0)
    ).run(10)
    assert 8 * 3 <= counts["reports"] <= 10 * 3 * 4, "kept in by the cap: then nobody reports for a second"
    assert Simulation(Cluster(2, 20, failing=0.0)).run(10).keys() == {"requests", "errors"}, "healthy: nothing"


@pytest.mark.parametrize("replicas", [100, 200])
def test_what_an_endpoint_that_flaps_costs_does_not_grow_with_the_square(replicas: int) -> None:
    counts = Simulation(Cluster(replicas, 20, failing=0.1, endpoints=1, max_ejection_percent=100)).run(3)
    beginning = max(DELIVERIES // 2, 8 * replicas) + DELIVERIES
    assert counts["deliveries"] < beginning + 3 * 8 * replicas, "questions and answers; before, what was free"
    assert counts["false"] == 0


def test_one_that_dies_meets_as_many_failures_in_a_fleet_of_any_size() -> None:
    for replicas in (2, 100):
        dead = Cluster(replicas, 200 / replicas, failing=0.0, endpoints=2, dies_at=1.0)
        counts = Simulation(dead).run(3)
        assert (counts["ejections"], counts["false"]) == (1, 0)
        assert 3 <= counts["errors"] <= 6


def test_larger_fleets_have_fewer_clusters() -> None:
    assert demand(16, COSTS).busy > demand(4, COSTS).busy
    assert looking(10, 10.0, COSTS) == 40.6 / 1e6
    *_, small = rows(16, COSTS)
    assert small.clusters[1] > 0
