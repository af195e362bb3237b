"""The arithmetic behind the fleet benchmark's sizes."""

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
    reports = counts["failures"] + counts["turns"]
    assert reports <= 4 * 12, "kept in by the cap: three to begin with, then one a second from each replica"
    assert reports >= 4 * 8
    assert Simulation(Cluster(2, 20, failing=0.0)).run(10).keys() == {"requests"}, "healthy: nothing"


def test_larger_fleets_have_fewer_clusters() -> None:
    assert demand(16, COSTS).busy > 4.2 * demand(4, COSTS).busy, "what is published goes to every replica"
    assert looking(10, 10.0, COSTS) == 40.6 / 1e6
    *_, small = rows(16, COSTS)
    assert 0 < small.clusters[1] < 100
