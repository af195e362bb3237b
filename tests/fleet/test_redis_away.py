"""Redis killed, hung, restarted empty, or answering with errors, under load: no request notices."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from state.server.embedded import Embedded
from tests.fleet.fleet_rig import CLUSTER, Fleet, Load, fail_until_out, fleet, key, restarted
from tests.fleet.redis_relay import relays
from tests.patience import slowness
from tests.rig import Replica, stays, wait_until

LIMIT_MS = 50.0  # more than the test's own clients wait for the processor on a busy machine


def only_good(load: Load, failures: int = 0) -> None:
    assert not load.broken
    assert set(load.statuses) <= {200, 503}
    assert load.statuses[503] <= failures


def away_lines(made: Fleet) -> int:
    text = made.replicas[0].waypoint.errors()
    return text.count("Redis does not answer") + text.count("Redis does not let us")


def cluster_of(one: Replica) -> dict[str, Any]:
    (cluster,) = [each for each in one.info("/clusters") if each["name"] == CLUSTER]
    return dict(cluster)


@pytest.mark.slow
def test_killed_and_restarted_empty(tmp_path: Path) -> None:
    server = Embedded.start(0)
    try:
        with fleet(tmp_path, server.url, count=4, workers=4, replicas=1) as made:
            early, late = made.members[:2]
            with Load(made.replicas[0].port, 500) as load:
                early.status = 503
                wait_until(lambda: made.agrees(early), 2, "ejected by the fleet")
                time.sleep(1)
                killed, told = time.monotonic(), away_lines(made)
                server.process.kill()
                server.process.wait()
                time.sleep(0.5)
                late.status = 503
                wait_until(lambda: made.agrees(early, late), 2, "ejected without Redis")
                seen = load.statuses[503]
                time.sleep(0.7)
                assert load.statuses[503] == seen
                back = time.monotonic()
                server = restarted(server)
                early.status = late.status = 200
                wait_until(lambda: made.client.exists(key(early), key(late)) == 2, 2, "the new server is told")
                stays(lambda: made.agrees(early, late), 1.2, "nothing was lifted")
                end = time.monotonic()
            before, away = load.slowest(killed - 1, killed), load.slowest(killed, back)
            returned = load.slowest(back, end)
            print(f"p99, max in ms: before {before}, killed {away}, back {returned}")
            assert max(away[0], returned[0]) < before[0] + LIMIT_MS * slowness()
            only_good(load, 2 * (3 + load.connections))
            made.wrote("outlier ejecting", 2)
            made.wrote("outlier unejecting", 0)
            assert away_lines(made) == told + 1
    finally:
        server.stop()


@pytest.mark.slow
def test_hung(valkey: Embedded, tmp_path: Path) -> None:
    with fleet(tmp_path, valkey.url, workers=4, replicas=1) as made:
        victim = made.members[0]
        with Load(made.replicas[0].port, 500) as load:
            time.sleep(2)
            hung, told = time.monotonic(), away_lines(made)
            valkey.process.send_signal(signal.SIGSTOP)
            victim.status = 503
            try:
                wait_until(lambda: made.agrees(victim), 1, "held at once")
                time.sleep(2)
            finally:
                valkey.process.send_signal(signal.SIGCONT)
            victim.status = 200
            back = time.monotonic()
            wait_until(lambda: made.client.exists(key(victim)), 1.5, "the fleet knows")
            time.sleep(1)
            end = time.monotonic()
        only_good(load, 3 + load.connections)
        assert made.agrees(victim)
        made.wrote("outlier ejecting", 1)
        before, during = load.slowest(hung - 1.5, hung), load.slowest(hung, back)
        print(f"p99, max in ms: before {before}, hung {during}, after {load.slowest(back, end)}")
        assert during[0] < before[0] + LIMIT_MS * slowness()
        assert away_lines(made) == told + 1


@pytest.mark.slow
def test_each_replica_alone(tmp_path: Path) -> None:
    """Without Redis three errors each, all workers together; with it again, one decision and no second line."""
    server = Embedded.start(0)
    try:
        with fleet(tmp_path, server.url, workers=4) as made:
            victim = made.members[0]
            server.process.kill()
            server.process.wait()
            time.sleep(1.2)
            victim.status = 503
            for which in (0, 1):
                assert made.replicas[which].hostnames(20).count("503") == 3
            victim.status = 200
            server = restarted(server)
            wait_until(lambda: made.client.exists(key(victim)), 1.5, "offered")
            time.sleep(1.2)
            assert made.agrees(victim)
            made.wrote("outlier ejecting", 1, 1)
            assert made.client.hget(key(victim, "endpoint"), "ejections") == "1"
            made.client.delete(key(victim))
            wait_until(made.agrees, 1.5, "one state again")
    finally:
        server.stop()


FAULTS = ["OOM", *(pytest.param(fault, marks=pytest.mark.slow) for fault in ("READONLY", "NOAUTH", "NOPERM"))]


WRONG_KEYS = ["endpoint", *(pytest.param(key, marks=pytest.mark.slow) for key in ("log", "version"))]


@pytest.mark.parametrize("fault", FAULTS)
def test_errors(valkey: Embedded, tmp_path: Path, fault: str) -> None:
    with fleet(tmp_path, valkey.url, replicas=1, workers=2) as made:
        victim, told = made.members[0], away_lines(made)
        if fault == "READONLY":
            made.client.replicaof("127.0.0.1", "1")
        elif fault == "OOM":
            made.client.config_set("maxmemory", "1")
        elif fault == "NOAUTH":
            made.client.config_set("requirepass", "secret")
            made.client.execute_command("AUTH", "secret")
            made.client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            made.client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        else:
            made.client.acl_setuser("default", commands=["-evalsha", "-mget"])
        victim.status = 503
        assert made.replicas[0].hostnames(15).count("503") == 3
        time.sleep(2)
        assert made.agrees(victim)
        made.wrote("outlier ejecting", 1)
        assert away_lines(made) == told + 1
        assert "Traceback" not in made.replicas[0].waypoint.errors()


@pytest.mark.parametrize(
    "what", ["endpoint", *(pytest.param(what, marks=pytest.mark.slow) for what in ("log", "version"))]
)
def test_a_key_that_holds_something_else(valkey: Embedded, tmp_path: Path, what: str) -> None:
    """That cluster is decided alone, and what to delete is said; the replica stays with the fleet."""
    with fleet(tmp_path, valkey.url, replicas=1) as made:
        victim, other = made.members[:2]
        name = key(victim, "endpoint") if what == "endpoint" else f"waypoint:{{{CLUSTER}}}:{what}"
        made.client.delete(name)
        made.client.lpush(name, "text")
        victim.status = 503
        assert made.replicas[0].hostnames(15).count("503") == 3
        wait_until(lambda: f"{name} is a list, not a " in made.replicas[0].waypoint.errors(), 2, "named")
        time.sleep(1.5)
        assert made.agrees(victim)
        assert made.mode(0) == "shared"
        assert not cluster_of(made.replicas[0])["shared"]
        made.client.delete(name)
        wait_until(lambda: cluster_of(made.replicas[0])["shared"], 2.5, "the fleet's again")
        wait_until(lambda: made.client.exists(key(victim)), 2, "which knows")
        victim.status, other.status = 200, 503
        stays(lambda: made.agrees(victim), 1)
        made.wrote("outlier ejecting", 1)
        told = made.replicas[0].waypoint.errors()
        assert (told.count("is a list, not a "), told.count("usable again")) == (1, 1), told
        assert "Redis does not answer" not in told


def test_a_worker_that_stands_still_is_not_redis_being_slow(valkey: Embedded, tmp_path: Path) -> None:
    """Answers that came while it stood are found when it goes on, however long that took."""
    with (
        relays(valkey.port, 1) as (way,),
        fleet(tmp_path, valkey.url, replicas=1, through=[way.url], consecutive5xxErrors=100_000) as made,
    ):
        way.delay = 0.01  # a report is on its way for 20 ms, and there is always one
        made.members[0].status = 503
        pids = made.replicas[0].worker_pids()
        with Load(made.replicas[0].port, 200) as load:
            wait_until(lambda: load.statuses[503] > 20, 5, "failing")
            reports = evalshas(made)
            for _ in range(15):
                for pid in pids:
                    os.kill(pid, signal.SIGSTOP)
                time.sleep(0.12)
                for pid in pids:
                    os.kill(pid, signal.SIGCONT)
                time.sleep(0.08)
            assert evalshas(made) > reports + 30
        lost = made.replicas[0].waypoint.errors().count("does not answer")
        assert lost <= 2 * slowness(), "the relay, too, waits for the processor on a busy machine"


def evalshas(made: Fleet) -> int:
    return int(made.client.info("commandstats")["cmdstat_evalsha"]["calls"])


def test_a_failure_is_counted_once_however_late_the_answer(valkey: Embedded, tmp_path: Path) -> None:
    with (
        relays(valkey.port, 1) as (way,),
        fleet(tmp_path, valkey.url, replicas=1, workers=1, through=[way.url], interval="30s") as made,
    ):
        victim = made.members[0]
        time.sleep(0.3)
        way.delay = 0.15
        victim.status = 503
        while made.replicas[0].hostname() != "503":
            pass
        victim.status = 200
        wait_until(lambda: made.mode(0) == "local", 1, "given up")
        time.sleep(0.5)
        assert made.client.hget(key(victim, "endpoint"), "failures") == "1", "counted, as the answer would have said"


CLOCKS = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"


@pytest.mark.slow
@pytest.mark.skipif(not Path(CLOCKS).exists(), reason="needs Debian's libfaketime")
def test_wall_clocks_do_not_matter(valkey: Embedded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One replica's host is an hour ahead, then an hour behind: nothing moves by more than 50 ms."""
    clock = tmp_path / "clock"
    clock.write_text("+3600s")
    for name, value in {
        "LD_PRELOAD": CLOCKS,
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }.items():
        monkeypatch.setenv(name, value)
    with fleet(tmp_path, valkey.url, replicas=1, baseEjectionTime="5s") as ahead:
        for name in ("LD_PRELOAD", "FAKETIME_TIMESTAMP_FILE"):
            monkeypatch.delenv(name)
        victim = ahead.members[0]
        fail_until_out(ahead, victim)
        wait_until(lambda: ahead.client.exists(key(victim)), 3, "the fleet knows")
        time.sleep(0.2)
        ends = ahead.until_ms(0, victim)
        assert abs(ahead.client.pttl(key(victim)) + time.monotonic() * 1000 - ends) < 50
        clock.write_text("-3600s")  # looked at every second
        while time.monotonic() * 1000 < ends - 200:
            assert abs(ahead.until_ms(0, victim) - ends) < 50
        wait_until(ahead.agrees, 1, "back")
        assert abs(time.monotonic() * 1000 - ends) < 150 * slowness()
        wait_until(lambda: ahead.lines("outlier unejecting") == [1], 1, "told")
        stamps = [line[1:14] for line in ahead.replicas[0].waypoint.lines("outlier")]
        assert stamps[0] > stamps[1], (
            "its wall clock did go back",
            ahead.replicas[0].waypoint.lines(),
            ahead.replicas[0].waypoint.errors(),
        )


@pytest.mark.slow
def test_absent_from_the_start(tmp_path: Path) -> None:
    with fleet(tmp_path, "redis://127.0.0.1:1", replicas=1) as made:
        made.members[0].status = 503
        assert made.replicas[0].hostnames(15).count("503") == 3
        assert made.replicas[0].waypoint.errors().count("Redis does not answer") == 1
