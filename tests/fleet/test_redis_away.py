"""Redis killed, hung, restarted empty, or answering with errors, under load: no request notices."""

import signal
import time
from pathlib import Path

import pytest
from fleet_rig import Load, fleet, key, restarted
from rig import wait_until

from state.embedded import Embedded

LIMIT_MS = 50.0  # more than the test's own clients wait for the processor on a busy machine


def only_good(load: Load, failures: int = 0) -> None:
    assert not load.broken
    assert set(load.statuses) <= {200, 503}
    assert load.statuses[503] <= failures


def test_killed_and_restarted_empty(tmp_path: Path) -> None:
    server = Embedded.start(0)
    try:
        with fleet(tmp_path, server.url, count=4, workers=4, replicas=1) as made:
            early, late = made.members[:2]
            with Load(made.replicas[0].port, 500) as load:
                early.status = 503
                wait_until(lambda: made.agrees(early), 2, "ejected by the fleet")
                time.sleep(1)
                killed = time.monotonic()
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
                time.sleep(1.2)
                assert made.agrees(early, late), "nothing was lifted"
                end = time.monotonic()
            before, away = load.slowest(killed - 1, killed), load.slowest(killed, back)
            returned = load.slowest(back, end)
            print(f"p99, max in ms: before {before}, killed {away}, back {returned}")
            assert max(away[0], returned[0]) < before[0] + LIMIT_MS
            only_good(load, 2 * (3 + load.connections))
            assert made.lines("outlier ejecting") == [2]
            assert made.lines("outlier unejecting") == [0]
            told = made.replicas[0].waypoint.errors()
            assert told.count("Redis does not answer") == 1
    finally:
        server.stop()


def test_hung(valkey: Embedded, tmp_path: Path) -> None:
    with fleet(tmp_path, valkey.url, workers=4, replicas=1) as made:
        victim = made.members[0]
        with Load(made.replicas[0].port, 500) as load:
            time.sleep(2)
            hung = time.monotonic()
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
        assert made.lines("outlier ejecting") == [1]
        before, during = load.slowest(hung - 1.5, hung), load.slowest(hung, back)
        print(f"p99, max in ms: before {before}, hung {during}, after {load.slowest(back, end)}")
        assert during[0] < before[0] + LIMIT_MS
        assert made.replicas[0].waypoint.errors().count("Redis does not answer") == 1


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
            assert made.lines("outlier ejecting") == [1, 1]
            assert made.client.hget(key(victim, "endpoint"), "ejections") == "1"
            made.client.delete(key(victim))
            wait_until(made.agrees, 1.5, "one state again")
    finally:
        server.stop()


FAULTS = [pytest.param(fault, marks=pytest.mark.slow) for fault in ("READONLY", "OOM", "NOAUTH")]


@pytest.mark.parametrize("fault", [*FAULTS, "WRONGTYPE"])
def test_errors(valkey: Embedded, tmp_path: Path, fault: str) -> None:
    with fleet(tmp_path, valkey.url, replicas=1, workers=2) as made:
        victim = made.members[0]
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
            made.client.set(key(victim, "endpoint"), "text")
        victim.status = 503
        assert made.replicas[0].hostnames(15).count("503") == 3
        time.sleep(2)
        assert made.agrees(victim)
        assert made.lines("outlier ejecting") == [1]
        told = made.replicas[0].waypoint.errors()
        assert told.count("Redis does not answer") == 1, told
        assert "Traceback" not in told


@pytest.mark.slow
def test_absent_from_the_start(tmp_path: Path) -> None:
    with fleet(tmp_path, "redis://127.0.0.1:1", replicas=1) as made:
        made.members[0].status = 503
        assert made.replicas[0].hostnames(15).count("503") == 3
        assert made.replicas[0].waypoint.errors().count("Redis does not answer") == 1
