"""What the fleet promises, with whole replicas and a real server."""

import os
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from state.server.embedded import Embedded
from tests.fleet.fleet_rig import CLUSTER, Fleet, Load, ejected, fail_until_out, fleet, key, processes
from tests.manifests import rule, slice_of
from tests.patience import slowness
from tests.rig import Endpoint, Replica, replica, stays, steady, wait_until


def test_a_new_replica_and_a_restarted_one_know(valkey: Embedded, tmp_path: Path) -> None:
    with fleet(tmp_path, valkey.url, replicas=1) as made:
        victim = made.members[0]
        assert fail_until_out(made, victim) == 3
        first, (manifests,) = made.replicas[0], made.manifests
        wait_until(first.waypoint.ejections, 2, "the line")
        lines = first.waypoint.lines()
        at = next(i for i, line in enumerate(lines) if "outlier ejecting" in line)
        assert sum(" 503 " in line for line in lines[:at]) == 3, "it follows its cause"
        before = len(victim.requests)
        with replica(
            tmp_path / "b", manifests, first.port, "--bind", "127.0.0.2", redis=valkey.url, name="b"
        ) as second:
            second.hostnames(9)
            assert ejected(second) == {victim.address}
            wait_until(lambda: len(second.waypoint.ejections()) == 1, 1, "it says so")
        first.waypoint.stop()
        first.waypoint.start()
        wait_until(first.ready, 10, "ready again")
        assert "abc12" not in first.hostnames(9)
        assert len(victim.requests) == before


def calls(made: Fleet) -> dict[str, int]:
    """What the server was asked, but for this question."""
    told = made.client.info("commandstats")
    return {name: command["calls"] for name, command in told.items() if name != "cmdstat_info"}


def test_healthy_traffic_is_not_told_to_redis(valkey: Embedded, tmp_path: Path) -> None:
    with processes() as members, fleet(tmp_path, valkey.url, replicas=1, members=members, interval="10s") as made:
        steady(lambda: calls(made), 0.5)  # every worker has made itself ready
        made.client.config_resetstat()
        began = time.monotonic()
        assert pipelined(made.replicas[0].port, 10_000) == 10_000
        looks = 2 + (time.monotonic() - began) / 10
        asked = calls(made)
        ours = {"cmdstat_config|resetstat", "cmdstat_client|setinfo", "cmdstat_hello"}
        assert asked.keys() - ours <= {"cmdstat_mget"}, asked
        assert asked.get("cmdstat_mget", 0) <= looks


def pipelined(port: int, count: int, batch: int = 100) -> int:
    """How many of so many requests on one connection were answered with 200."""
    good = 0
    with socket.create_connection(("127.0.0.1", port)) as client:
        for _ in range(count // batch):
            client.sendall(b"GET /hostname HTTP/1.1\r\nhost: in-ambient\r\n\r\n" * batch)
            answers, text = 0, b""
            while answers < batch:
                text += client.recv(65536)
                answers = text.count(b"in-ambient-7d8f9b6c54-")
            good += text.count(b"HTTP/1.1 200")
    return good


def test_failures_at_once_on_two_replicas(valkey: Embedded, tmp_path: Path) -> None:
    with fleet(tmp_path, valkey.url) as made:
        victim = made.members[0]
        victim.status, victim.delay = 503, 0.05
        clients = [threading.Thread(target=made.replicas[i % 2].hostname) for i in range(60)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        wait_until(lambda: made.agrees(victim), 2, "ejected everywhere")
        assert len(victim.requests) <= 3 + 20  # a third of what was in flight
        time.sleep(0.3)
        made.wrote("outlier ejecting", 1, 1)
        assert made.client.hget(key(victim, "endpoint"), "ejections") == "1"
        victim.delay = 0
        answers = made.in_turn(12)
        assert "503" not in answers


def test_keys_set_and_deleted_by_hand(valkey: Embedded, tmp_path: Path) -> None:
    with fleet(tmp_path, valkey.url) as made:
        victim, other = made.members[:2]
        assert fail_until_out(made, victim) == 3
        wait_until(lambda: made.agrees(victim), 1, "both know")
        made.client.delete(key(victim))
        wait_until(made.agrees, 1.5, "lifted everywhere")
        made.client.set(key(other), "why=maintenance", px=20_000)
        wait_until(lambda: made.agrees(other), 1.5, "ejected by hand")
        made.client.delete(key(other))
        wait_until(made.agrees, 1.5, "lifted again")
        made.client.set(key(other), "for ever")
        wait_until(lambda: made.agrees(other), 1.5, "ejected for ever")
        made.client.delete(key(other))
        wait_until(made.agrees, 1.5, "and back")
        made.client.script_flush()
        assert fail_until_out(made, victim) == 3
        wait_until(lambda: made.agrees(victim), 1, "after SCRIPT FLUSH")
        time.sleep(0.1)
        told = made.lines("outlier")
        made.client.flushall()
        wait_until(lambda: made.client.exists(key(victim)), 1.5, "offered again")
        stays(lambda: made.agrees(victim), 1.2)
        assert made.lines("outlier") == told, "nothing happened, nothing is told"
        assert made.client.hget(key(victim, "endpoint"), "ejections") == "2"


@pytest.mark.slow
def test_lost_messages(valkey: Embedded, tmp_path: Path) -> None:
    with fleet(tmp_path, valkey.url) as made:
        victim = made.members[0]
        stop = threading.Event()

        def cut() -> None:
            while not stop.is_set():
                made.client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
                time.sleep(0.01)

        cutter = threading.Thread(target=cut)
        cutter.start()
        assert fail_until_out(made, victim) <= 4
        stop.set()
        cutter.join()
        wait_until(lambda: made.agrees(victim), 1.5, "agrees within an interval")
        made.client.delete(key(victim))
        wait_until(made.agrees, 1.6, "lifted")
        made.wrote("outlier ejecting", 1, 1)


def test_a_rule_deleted_and_edited(valkey: Embedded, tmp_path: Path) -> None:
    with fleet(tmp_path, valkey.url, consecutive5xxErrors=5) as made:
        victim, other = made.members[:2]
        victim.status = 503
        while len(victim.requests) < 4:
            made.replicas[0].hostname()
        for manifests in made.manifests:
            manifests.put("rule", rule(interval="1s", consecutive5xxErrors=3))
        time.sleep(1.8)
        wait_until(lambda: made.in_turn(2) and made.agrees(victim), 3, "the fifth is enough for three")
        assert len(victim.requests) == 5
        victim.status = 200
        made.manifests[0].remove("rule")
        wait_until(lambda: not made.out(0), 2, "lifted with its rule")
        assert "abc12" in made.replicas[0].hostnames(3)
        stays(lambda: made.out(1) == {victim.address}, 1.2, "another replica still has the rule")
        assert made.client.pttl(key(victim)) > 0
        assert other.address not in made.out(1)


def test_a_cap_lowered_and_detection_removed(valkey: Embedded, tmp_path: Path) -> None:
    """One endpoint is out, another has four failures; the rule then allows three, and nothing more to be ejected."""
    with fleet(tmp_path, valkey.url, count=4, consecutive5xxErrors=5) as made:
        victim, other = made.members[:2]
        victim.status = 503
        wait_until(lambda: made.in_turn(2) and made.agrees(victim), 3, "the first is out")
        other.status, before = 503, len(other.requests)
        while len(other.requests) < before + 4:
            made.replicas[0].hostname()
        for manifests in made.manifests:
            manifests.put("rule", rule(interval="1s", consecutive5xxErrors=3, maxEjectionPercent=10))
        for each in made.replicas:
            wait_until(lambda each=each: outlier_of(each)["max_ejection_percent"] == 10, 3, "in force")
        assert "503" in made.in_turn(12), "it stays in"
        assert made.agrees(victim), "and what is out stays out"
        wait_until(lambda: any(made.lines("maxEjectionPercent reached")), 2, "said")
        for manifests in made.manifests:
            manifests.put("rule", rule() | {"spec": {"host": "in-ambient", "trafficPolicy": NO_DETECTION}})
        for each in made.replicas:
            wait_until(lambda each=each: outlier_of(each) is None, 3, "no detection any more")
        wait_until(made.agrees, 2, "lifted with it")
        assert made.in_turn(8).count("503") == 4


NO_DETECTION = {"connectionPool": {"tcp": {"connectTimeout": "1s"}}}


def outlier_of(each: Replica) -> Any:
    (cluster,) = [cluster for cluster in each.info("/clusters") if cluster["name"] == CLUSTER]
    return cluster["outlier"]


def test_the_only_endpoint(valkey: Embedded, tmp_path: Path) -> None:
    """Half of one endpoint is none; all of it is one, and then there is nobody."""
    with fleet(tmp_path, valkey.url, count=1, replicas=1, baseEjectionTime="1s") as made:
        (victim,), replica = made.members, made.replicas[0]
        victim.status = 503
        assert set(replica.hostnames(9)) == {"503"}
        assert len(victim.requests) == 9
        assert made.agrees()
        wait_until(lambda: made.lines("maxEjectionPercent reached") == [1], 1, "said once")
        assert [entry["kind"] for _, entry in made.client.xrange(f"waypoint:{{{CLUSTER}}}:log")] == ["overflow"]
        made.manifests[0].put("rule", rule(interval="1s", baseEjectionTime="1s", maxEjectionPercent=100))
        wait_until(lambda: outlier_of(replica)["max_ejection_percent"] == 100, 3, "in force")
        assert set(replica.hostnames(8)) == {"503"}
        reached = len(victim.requests)
        wait_until(lambda: replica.waypoint.lines(" 503 UH "), 1, "nobody is left")
        victim.status = 200
        wait_until(lambda: replica.hostname() == "abc12", 2, "back at its time")
        assert reached <= 9 + 3


@pytest.mark.slow
def test_a_new_pod_at_an_ejected_address(valkey: Embedded, tmp_path: Path) -> None:
    with fleet(tmp_path, valkey.url) as made:
        victim = made.members[0]
        fail_until_out(made, victim)
        wait_until(lambda: made.agrees(victim), 1, "out everywhere")
        victim.name = "in-ambient-7d8f9b6c54-new00"
        for manifests in made.manifests:
            manifests.put("endpointslice", slice_of(made.members))
        for each in made.replicas:
            wait_until(lambda each=each: "new00" in each.hostnames(3), 3, "the new pod takes traffic")
        wait_until(lambda: not made.client.exists(key(victim)), 2, "room under the cap")
        assert fail_until_out(made, made.members[1]) == 3


@pytest.mark.slow
def test_the_cap_is_the_fleets(valkey: Embedded, tmp_path: Path) -> None:
    with fleet(tmp_path, valkey.url) as made:
        made.members[0].status = made.members[1].status = 503
        clients = [threading.Thread(target=made.replicas[i % 2].hostnames, args=(12,)) for i in range(4)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        time.sleep(0.3)
        assert made.out(0) == made.out(1)
        assert len(made.out(0)) == 1
        made.wrote("outlier ejecting", 1, 1)
        assert all(n <= 2 for n in made.lines("maxEjectionPercent reached"))


def test_workers_killed(valkey: Embedded, tmp_path: Path) -> None:
    with fleet(tmp_path, valkey.url) as made:
        victim, other = made.members[:2]
        fail_until_out(made, victim)
        wait_until(lambda: made.agrees(victim), 1, "out everywhere")
        wait_until(lambda: made.lines("outlier ejecting") == [1, 1], 1, "and told: a line takes 20 ms")
        for pid in made.replicas[1].worker_pids():
            os.kill(pid, signal.SIGKILL)
            time.sleep(0.3)
            wait_until(made.replicas[1].ready, 5, "a new worker")
        assert made.agrees(victim)
        made.client.delete(key(victim))
        wait_until(made.agrees, 2, "somebody leads again")
        fail_until_out(made, other)
        wait_until(lambda: made.agrees(other), 1.5, "and hears")
        wait_until(lambda: made.lines("outlier ejecting") == [2, 2], 1, "one line for each")


def test_time(valkey: Embedded, tmp_path: Path) -> None:
    """Exact ends, told once; longer the second time; old evidence does not count."""
    with fleet(tmp_path, valkey.url, baseEjectionTime="1500ms", interval="10s") as made:
        victim = made.members[0]
        slow = start_slow(made, victim)
        first = ejection(made, victim)
        assert abs(first - 1.5) < 0.15 * slowness()
        for client in slow:  # they fail now, begun before the ejection
            client.join()
        time.sleep(0.2)
        assert not made.out(0) and not made.out(1)
        second = ejection(made, victim)
        assert abs(second - 3.0) < 0.15 * slowness()
        time.sleep(0.4)
        made.wrote("outlier ejecting", 2, 2)
        made.wrote("outlier unejecting", 2, 2)


def start_slow(made: Fleet, victim: Endpoint) -> list[threading.Thread]:
    """Requests that the endpoint will fail 2.5 s from now."""
    victim.status, victim.delay = 503, 2.5
    clients = [threading.Thread(target=made.replicas[i % 2].hostname) for i in range(12)]
    for client in clients:
        client.start()
    wait_until(lambda: len(victim.requests) >= 4, 2, "on their way")
    victim.delay = 0
    return clients


def ejection(made: Fleet, victim: Endpoint) -> float:
    """Has it ejected; how long it is out in the other replica, in seconds, by its row's own words."""
    victim.status = 503
    while key_left(made, victim) < 0:
        made.replicas[0].hostname()
    began = time.monotonic()
    victim.status = 200
    wait_until(lambda: made.agrees(victim), 1, "out everywhere")
    while made.out(1):
        time.sleep(0.005)
    return time.monotonic() - began


def key_left(made: Fleet, victim: Endpoint) -> int:
    return int(made.client.pttl(key(victim)))


@pytest.mark.slow
def test_an_endpoint_killed_under_load(valkey: Embedded, tmp_path: Path) -> None:
    with processes() as members, fleet(tmp_path, valkey.url, members=members) as made:
        with Load(made.replicas[0].port, 200) as one, Load(made.replicas[1].port, 200) as two:
            time.sleep(0.5)
            members[0].signal(signal.SIGKILL)
            wait_until(lambda: made.agrees(members[0]), 2, "ejected")
        assert set(one.statuses) == set(two.statuses) == {200}
        assert not one.broken and not two.broken
        wait_until(lambda: made.lines("outlier ejecting") == [1, 1], 1, "one line each")
