"""Replicas need not agree on which endpoints a cluster has, and whose they are: what the fleet makes of it."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from state.server.embedded import Embedded
from tests import redis_rig
from tests.fleet.fleet_rig import CLUSTER, Fleet, at_any_distance, ejected, fail_until_out, far_fleet, key, restarted
from tests.fleet.test_by_hand import ctl
from tests.manifests import slice_of
from tests.rig import Replica, endpoints, manifests_for, replica, stays, wait_until


@at_any_distance
def test_S_F1_an_ejection_of_a_pod_that_is_gone_leaves_the_cap_alone(
    valkey: Embedded, tmp_path: Path, round_trip_ms: int
) -> None:
    with far_fleet(tmp_path, valkey.url, round_trip_ms, count=4) as made:
        gone, victim, *others = made.members
        for each in made.manifests:
            each.put("endpointslice", slice_of([gone, victim, others[0]]))
        wait_until(lambda: all(len(each.info("/clusters")[0]["endpoints"]) == 3 for each in made.replicas), 5, "three")
        made.client.set(key(gone), "reason=maintenance by=alice")
        wait_until(lambda: made.agrees(gone), 5, "out by hand")
        for each in made.manifests:
            each.put("endpointslice", slice_of([victim, *others]))
        wait_until(made.agrees, 5, "replaced")
        assert fail_until_out(made, victim) == 3
        wait_until(lambda: made.agrees(victim), 3, "out everywhere")
        status, text, _ = ctl("--redis", valkey.url, "ejections")
        (line,) = [each for each in text.splitlines() if gone.address in each]
        assert (status, line.split("alice")[1].strip()) == (0, "until unejected, not in the cluster")
        assert ctl("--redis", valkey.url, "uneject", CLUSTER, gone.address)[0] == 0


@at_any_distance
def test_S_F9_an_endpoint_that_one_replica_has_lost_sight_of_stays_out_elsewhere(
    valkey: Embedded, tmp_path: Path, round_trip_ms: int
) -> None:
    with far_fleet(tmp_path, valkey.url, round_trip_ms, count=4) as made:
        victim, by_hand, *others = made.members
        assert fail_until_out(made, victim) == 3
        assert ctl("--redis", valkey.url, "eject", CLUSTER, by_hand.address, "--by", "alice")[0] == 0
        wait_until(lambda: made.agrees(victim, by_hand), 5, "both out")
        made.manifests[0].put("endpointslice", slice_of(others))
        wait_until(lambda: not made.out(0), 5, "left one replica")
        stays(lambda: made.out(1) == {victim.address, by_hand.address}, 1.5, "the other one has them out")
        made.manifests[1].put("endpointslice", slice_of(others))
        wait_until(lambda: not made.client.exists(key(victim)), 5, "the last one forgets it")
        assert made.client.exists(key(by_hand))
        for each in made.manifests:
            each.put("endpointslice", slice_of(made.members))
        wait_until(lambda: made.agrees(by_hand), 5, "what a hand has ejected is out when it comes back")


@at_any_distance
def test_S_F4_S_F5_what_a_hand_has_ejected_stays_the_hands_when_redis_loses_its_data(
    valkey: Embedded, tmp_path: Path, round_trip_ms: int
) -> None:
    with far_fleet(tmp_path, valkey.url, round_trip_ms, count=4) as made:
        chosen = made.members[:3]
        for each in chosen:
            assert (
                ctl("--redis", valkey.url, "eject", CLUSTER, each.address, "--why", "disk full", "--by", "alice")[0]
                == 0
            )
        wait_until(lambda: made.agrees(*chosen), 5, "out by hand, beyond the cap")
        valkey.process.kill()
        valkey.process.wait()
        wait_until(lambda: [made.mode(which) for which in range(2)] == ["local"] * 2, 5, "each by itself")
        again = restarted(valkey)
        try:
            wait_until(lambda: all(made.client.exists(key(each)) for each in chosen), 10, "offered again")
            assert made.agrees(*chosen)
            for each in chosen:
                assert "reason=disk%20full" in made.client.get(key(each))
                assert "by=alice" in made.client.get(key(each))
                assert made.client.pttl(key(each)) == -1
            made.wrote("outlier unejecting", 0, 0)
            status, text, _ = ctl("--redis", valkey.url, "ejections")
            assert (status, text.count("disk full  alice  until unejected")) == (0, 3)
        finally:
            again.stop()


@dataclass
class Renamed:
    """An endpoint, by the name of the pod that had its address before."""

    name: str
    ip: str
    port: int


@at_any_distance
def test_S_F2_replicas_that_name_a_pod_differently_have_one_count(
    valkey: Embedded, tmp_path: Path, round_trip_ms: int
) -> None:
    with far_fleet(tmp_path, valkey.url, round_trip_ms, baseEjectionTime="2s") as made:
        victim, *others = made.members
        other_name = Renamed("in-ambient-5c4b3a2f1e-zzz99", victim.ip, victim.port)
        made.manifests[1].put("endpointslice", slice_of([other_name, *others]))
        wait_until(
            lambda: other_name.name in str(made.replicas[1].info("/clusters")), 5, "the other name in the second one"
        )
        wait_until(lambda: len(set(made.client.hvals(f"waypoint:{{{CLUSTER}}}:replicas"))) == 2, 5, "told")
        victim.status = 503
        errors = made.in_turn(60).count("503")
        assert 3 <= errors <= (3 if round_trip_ms <= 5 else 6), "far away each replica may meet it three times"
        wait_until(lambda: made.agrees(victim), 2, "out in both")
        victim.status = 200
        assert made.told("disagree") == [("workload", victim.address)]
        said = [each.waypoint.errors().count("do not agree whose address") for each in made.replicas]
        assert sum(said) >= 1
        assert max(said) <= 2, "once a worker at most"
        status, text, _ = ctl("--redis", valkey.url, "explain", CLUSTER, victim.address)
        assert (status, f"replicas do not agree: {other_name.name}, {victim.name}" in text) == (0, True)
        wait_until(made.agrees, 5, "back in both")
        made.wrote("outlier ejecting", 1, 1)
        made.wrote("outlier unejecting", 1, 1)


@at_any_distance
def test_S_F3_one_mind_after_older_data(tmp_path: Path, round_trip_ms: int) -> None:
    with (
        redis_rig.server(tmp_path / "redis") as server,
        far_fleet(tmp_path, server.url, round_trip_ms) as made,
    ):
        victim = made.members[0]
        redis = ("--redis", server.url)
        assert ctl(*redis, "eject", CLUSTER, victim.address, "--by", "alice")[0] == 0
        wait_until(lambda: made.agrees(victim), 5, "out")
        made.client.save()
        assert ctl(*redis, "uneject", CLUSTER, victim.address, "--by", "bob")[0] == 0
        wait_until(made.agrees, 5, "back")
        server.kill()
        wait_until(lambda: [made.mode(which) for which in range(2)] == ["local"] * 2, 5, "each by itself")
        server.start_again()
        wait_until(lambda: [made.mode(which) for which in range(2)] == ["shared"] * 2, 10, "a fleet again")
        wait_until(lambda: not made.client.exists(key(victim)), 5, "withdrawn")
        wait_until(made.agrees, 5, "in everywhere")
        assert made.told("uneject") == [("restored_from_old_data", victim.address)]
        assert ctl(*redis, "ejections")[1] == "nothing is ejected\n"
        with replica_of(made, tmp_path, server.url) as started:
            assert not ejected(started)


@contextlib.contextmanager
def replica_of(made: Fleet, path: Path, url: str) -> Iterator[Replica]:
    """One more, that has known nothing before."""
    with manifests_for(made.members, interval="1s") as part, replica(path / "c", *part, redis=url, name="c") as started:
        yield started


def test_meshes_that_have_the_same_keys_are_told(
    valkey: Embedded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with contextlib.ExitStack() as stack:
        for name in ("east", "west"):
            monkeypatch.setenv("ISTIO_META_CLUSTER_ID", name)
            members = stack.enter_context(endpoints(1))
            part = stack.enter_context(manifests_for(members, interval="1s"))
            made = replica(tmp_path / name, *part, "--redis-prefix", "shop", redis=valkey.url, name=name)
            second = stack.enter_context(made).waypoint
        wait_until(lambda: "another mesh (east; ours is west) has the same keys" in second.errors(), 5, "told")
        assert "--mesh-id" in second.errors()
