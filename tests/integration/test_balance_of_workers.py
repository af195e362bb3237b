"""Connections spread over the workers of a replica, turns shared by them, and processes that die."""

import contextlib
import http.client
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from state.server.embedded import Embedded
from tests.rig import Endpoint, Replica, Traffic, endpoints, get, manifests_for, replica, wait_until


@pytest.fixture
def members() -> Iterator[list[Endpoint]]:
    with endpoints() as made:
        yield made


@pytest.fixture
def four(members: list[Endpoint], valkey: Embedded, tmp_path: Path) -> Iterator[Replica]:
    """A replica with four workers."""
    with (
        manifests_for(members) as (manifests, port),
        replica(tmp_path, manifests, port, redis=valkey.url, workers=4) as made,
    ):
        yield made


@contextlib.contextmanager
def connections(port: int, count: int) -> Iterator[list[http.client.HTTPConnection]]:
    """Open keep-alive connections that each have had one request."""
    opened = []
    try:
        for _ in range(count):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            opened.append(connection)
            request(connection)
        yield opened
    finally:
        for connection in opened:
            connection.close()


def request(connection: http.client.HTTPConnection) -> str:
    connection.request("GET", "/hostname", headers={"host": "in-ambient"})
    return connection.getresponse().read().decode().strip()[-5:]


def loads(made: Replica) -> list[int]:
    return sorted(worker["connections"] for worker in made.info()["workers"])


def established(made: Replica) -> list[int]:
    """The kernel's view: connections by worker; nothing where there is no ss."""
    if not shutil.which("ss"):
        return []
    listed = subprocess.run(["ss", "-Htnp", f"sport = :{made.port}"], capture_output=True, text=True, check=True).stdout
    return [sum(f"pid={pid}," in line for line in listed.splitlines()) for pid in made.worker_pids()]


def test_forty_connections_are_ten_on_each_worker(four: Replica) -> None:
    with connections(four.port, 40) as opened:
        assert loads(four) == [10, 10, 10, 10]
        assert all(9 <= count <= 11 for count in established(four)), "the kernel agrees"
        assert [request(connection) for connection in opened[:3]]
        victim = four.worker_pids()[1]
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: victim not in four.worker_pids() and four.ready(), 5, "a new worker")
    wait_until(lambda: sum(loads(four)) == 0, 3, "all closed")
    with connections(four.port, 40):
        assert all(9 <= load <= 11 for load in loads(four)), loads(four)


def test_turns_are_strict_over_all_workers(four: Replica, members: list[Endpoint]) -> None:
    order = [member.name[-5:] for member in members]
    assert four.hostnames(12) == order * 4
    with connections(four.port, 8) as opened:
        four.hostnames(1)
        assert [request(connection) for connection in opened[:6]] == order * 2


def test_workers_killed_under_load_fail_only_their_own_connections(four: Replica) -> None:
    """New connections are served all the time; the others go on."""
    with connections(four.port, 8) as opened:
        victim = four.worker_pids()[2]
        os.kill(victim, signal.SIGKILL)
        failed = 0
        for connection in opened:
            try:
                request(connection)
            except (OSError, http.client.HTTPException):
                failed += 1
        assert failed == 2
        began = time.monotonic()
        while time.monotonic() - began < 1.5:
            assert get(four.port, "/hostname", "in-ambient")[0] == 200


def test_draining_finishes_what_it_began(members: list[Endpoint], tmp_path: Path) -> None:
    with manifests_for(members) as (manifests, port), replica(tmp_path, manifests, port, workers=2) as made:
        idle = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        request(idle)
        for member in members:
            member.delay = 0.7
        slow = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        asked = sum(len(member.requests) for member in members)
        slow.request("GET", "/hostname", headers={"host": "in-ambient"})
        wait_until(lambda: sum(len(member.requests) for member in members) > asked, 5, "it is on its way")
        made.waypoint.process.send_signal(signal.SIGTERM)
        wait_until(lambda: made.readiness() == (503, "not ready: draining\n"), 0.4)
        response = slow.getresponse()
        assert response.status == 200 and response.getheader("connection") == "close"
        assert made.waypoint.ended(5) == 0
        idle.close()
        slow.close()


def test_more_and_fewer_workers(four: Replica) -> None:
    with Traffic(four.port, clients=3) as traffic:
        for expected in (5, 4, 3, 4, 3, 4, 3):
            more = len(four.worker_pids()) < expected
            os.kill(four.waypoint.pid, signal.SIGTTIN if more else signal.SIGTTOU)
            wait_until(lambda n=expected: len(four.worker_pids()) == n and four.ready(), 10, str(expected))
    assert traffic.failed == [], "what is handed to a worker on its way out is served"
    wait_until(lambda: sum(loads(four)) == 0, 3, "all closed")
    with connections(four.port, 30):
        assert loads(four) == [10, 10, 10]
