"""The guide's walk-through, step by step, against whole replicas and a real server.

Steps: balancing in strict turns; an endpoint that answers 503 is out after three of them in all; the others share its
traffic; a second one that fails stays in under the cap; the first is back at its time; deleting the rule lifts.
"""

import re
import time
from collections import Counter
from pathlib import Path

import pytest
import redis

from state.server.embedded import Embedded
from tests.manifests import Manifests
from tests.rig import Endpoint, Replica, endpoints, manifests_for, replica, wait_until

CLUSTER = "httpbin/in-ambient:8000"
EJECTION = re.compile(
    r"^\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\] warn waypoint outlier ejecting endpoint due to consecutive 5xx "
    r'endpoint=(?P<endpoint>\S+) workload="(?P<workload>[^"]+)" consecutive_5xx=3 ejection_time=(?P<time>\S+) '
    r"cluster=httpbin/in-ambient:8000 by=(?P<by>\S+)$"
)


def walk(replicas: list[Replica], members: list[Endpoint], manifests: Manifests, server: Embedded, base: float) -> None:
    """The whole guide; requests go to the replicas in turn."""
    client = redis.Redis(port=server.port, decode_responses=True)
    order = [member.name[-5:] for member in members]
    for each in replicas:
        assert each.hostnames(12) == order * 4, "strict turns"

    victim = members[0]
    victim.status = 503
    began = time.time()
    answers = [replicas[i % len(replicas)].hostname() for i in range(15 * len(replicas))]
    assert answers.count("503") == 3, "three failures in all"
    ejected_by = time.time()
    key = f"waypoint:{{{CLUSTER}}}:eject:{victim.address}"
    left = wait_until(lambda: max(0, client.pttl(key)), 2, "the fleet's ejection; a replica's own does not wait for it")
    assert 0 < left <= base * 1000
    for each in replicas:
        lines = wait_until(each.waypoint.ejections, 2, "the ejection line")
        assert len(lines) == 1
        told = EJECTION.match(lines[0])
        assert told, lines[0]
        assert (told["endpoint"], told["workload"]) == (victim.address, victim.name)
        assert told["time"] == f"{base:g}s"

    share = Counter(replicas[0].hostnames(10))
    assert share == {order[1]: 5, order[2]: 5}

    members[1].status = 503
    answers = replicas[0].hostnames(12)
    assert answers.count("503") == 6, "the cap keeps the second one in"
    first = replicas[0].waypoint
    wait_until(lambda: first.lines("maxEjectionPercent reached"), 2, "the overflow line")
    assert len(first.ejections()) == 1
    members[0].status = members[1].status = 200

    wait_until(lambda: order[0] in replicas[0].hostnames(3), base + 5, "the return")
    assert began + base - 1 <= time.time() <= ejected_by + base + 1
    for each in replicas:
        wait_until(lambda one=each.waypoint: one.lines("outlier unejecting endpoint"), 2, "the return's line")
    settled = replicas[0].hostnames(12)
    assert Counter(settled) == dict.fromkeys(order, 4)

    victim.status = 503
    wait_until(lambda: replicas[0].hostname() and len(replicas[0].waypoint.ejections()) == 2, 3, "ejected again")
    victim.status = 200
    manifests.remove("rule")
    wait_until(lambda: order[0] in replicas[0].hostnames(3), 2, "lifted with its rule")


@pytest.mark.parametrize("workers", [1, 4])
def test_one_replica(workers: int, valkey: Embedded, tmp_path: Path) -> None:
    with (
        endpoints() as members,
        manifests_for(members, baseEjectionTime="3s") as (manifests, port),
        replica(tmp_path, manifests, port, redis=valkey.url, workers=workers) as only,
    ):
        walk([only], members, manifests, valkey, 3.0)


@pytest.mark.slow
def test_the_guides_own_times(valkey: Embedded, tmp_path: Path) -> None:
    with (
        endpoints() as members,
        manifests_for(members) as (manifests, port),
        replica(tmp_path, manifests, port, redis=valkey.url, workers=2) as only,
    ):
        walk([only], members, manifests, valkey, 30.0)


def test_two_replicas(valkey: Embedded, tmp_path: Path) -> None:
    with (
        endpoints() as members,
        manifests_for(members, baseEjectionTime="4s") as (manifests, port),
        replica(tmp_path / "a", manifests, port, redis=valkey.url, workers=2, name="a") as first,
        manifests_for(members, baseEjectionTime="4s") as (others, other_port),
        replica(tmp_path / "b", others, other_port, redis=valkey.url, workers=2, name="b") as second,
    ):
        walk([first, second], members, manifests, valkey, 4.0)
