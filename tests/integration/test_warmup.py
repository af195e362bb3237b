"""Warm-up over a fleet: who has joined has the same part of its share in every replica."""

import time
from collections import Counter
from pathlib import Path

import pytest

from state.server.access import Access
from state.server.connect import connect
from state.server.embedded import Embedded
from tests.fleet.fleet_rig import CLUSTER
from tests.manifests import pod, rule
from tests.rig import endpoints, manifests_for, replica, wait_until

WINDOW_S = 1000  # so long that what passes while the test runs does not matter
AGES_S = (10 * WINDOW_S, 10 * WINDOW_S, WINDOW_S / 2)
ASKED = 250


def ready_since(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - seconds))


def test_3_4_an_endpoint_warms_up_once_and_not_once_a_replica(tmp_path: Path) -> None:
    with endpoints(3) as members, manifests_for(members) as (manifests, port):
        for at, member in enumerate(members):
            made = pod(member.name, member.ip, captured=False)
            since = {"type": "Ready", "status": "True", "lastTransitionTime": ready_since(AGES_S[at])}
            made["status"]["conditions"] = [since]
            manifests.put(f"pod-{at}", made)
        warming = rule()
        warming["spec"]["trafficPolicy"]["loadBalancer"] = {"warmup": {"duration": f"{WINDOW_S}s"}}
        manifests.put("rule", warming)
        with replica(tmp_path, manifests, port, workers=2) as made_later:  # than the endpoints became ready
            counts = Counter(made_later.hostnames(ASKED))
    assert len(counts) == 3
    assert min(counts.values()) == pytest.approx(ASKED / 5, abs=5)
    assert counts[members[2].name[-5:]] == min(counts.values())


def test_3_4_one_of_which_nothing_says_since_when_is_as_old_as_the_fleet_knows_it(tmp_path: Path) -> None:
    server = Embedded.start(0)
    try:
        with (
            endpoints(3) as members,
            manifests_for(members) as (manifests, port),
            connect(Access(server.url), 2) as redis,
        ):
            warming = rule()
            warming["spec"]["trafficPolicy"]["loadBalancer"] = {"warmup": {"duration": f"{WINDOW_S}s"}}
            manifests.put("rule", warming)
            now_ms = int(1000 * time.time())
            seen = {
                f"{member.address} {member.name}": f"since={now_ms - int(1000 * AGES_S[at])} told={now_ms}"
                for at, member in enumerate(members)
            }
            key = f"waypoint:{{{CLUSTER}}}:first_seen"
            redis.hset(key, mapping=seen)  # as replicas have told that are no more
            with replica(tmp_path, manifests, port, workers=2, redis=server.url) as made_later:
                wait_until(lambda: redis.hgetall(key).items().isdisjoint(seen.items()), 20, "it has asked")
                wait_until(lambda: uneven(Counter(made_later.hostnames(ASKED))), 20, "it goes by the answer")
    finally:
        server.stop()


def uneven(counts: Counter[str]) -> bool:
    return len(counts) == 3 and min(counts.values()) == pytest.approx(ASKED / 5, abs=5)
