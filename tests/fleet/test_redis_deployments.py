"""Redis as it is run in production, under load: Sentinel fails over, a Cluster moves the slot, passwords and TLS.

Clients see what the flapping endpoint answers and nothing else; no ejection ends before its time; at the end all
replicas know the same.
"""

import contextlib
import random
import re
import signal
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from redis.crc import key_slot

from state.keys import Keys
from tests.fleet.fleet_rig import CLUSTER, Fleet, Load, fleet, key
from tests.fleet.redis_relay import relays
from tests.redis_rig import DEBIAN, VALKEY, Nodes, Watched, certificates, cluster, server, tls_options, watched
from tests.rig import Background, Endpoint, free_port, search, wait_until

SLOT = key_slot(Keys("waypoint", CLUSTER).version.encode())
INTERVAL_S = 1.0
RATE = 300  # requests a second over both replicas
RULE: dict[str, Any] = {"baseEjectionTime": "3s", "count": 4}
LINE = re.compile(r"\[(\S+)\] \w+ waypoint outlier (ejecting|unejecting) endpoint .*endpoint=(\S+)")


class Flapping(Background):
    """An endpoint that fails for a while, and is well for a while."""

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(self._run)
        self._endpoint = endpoint

    def _run(self) -> None:
        rng = random.Random(4)
        while not self.stopping.is_set():
            self._endpoint.status = 503
            self.stopping.wait(rng.uniform(0.3, 1.0))
            self._endpoint.status = 200
            self.stopping.wait(rng.uniform(0.3, 1.0))


@contextlib.contextmanager
def under_load(made: Fleet) -> Iterator[list[Load]]:
    """Load on both replicas while the first endpoint flaps and the second, ejected at once, stays bad to the end."""
    flapping, bad = made.members[:2]
    loads = [Load(each.port, RATE / len(made.replicas)) for each in made.replicas]
    with contextlib.ExitStack() as stack:
        for load in loads:
            stack.enter_context(load)
        bad.status = 503
        wait_until(lambda: all(bad.address in made.out(which) for which in (0, 1)), 3, "ejected by the fleet")
        with Flapping(flapping):
            yield loads
    statuses = {status: sum(load.statuses[status] for load in loads) for status in (200, 503)}
    began = [at for load in loads for at, _ in load.times]
    print(f"{statuses}, {len(began) / (max(began) - min(began)):.0f} requests/s")
    assert not [broken for load in loads for broken in load.broken]
    seen = sum(load.statuses[503] for load in loads)
    assert seen == sum(each.answered.count(503) for each in made.members), "only what an endpoint itself has answered"
    assert {status for load in loads for status in load.statuses} <= {200, 503}


def no_ejection_is_cut_short(made: Fleet) -> int:
    """How many ejections there were; each lasted as long as its line said, but for one interval."""
    count = 0
    for each in made.replicas:
        ends: dict[str, float] = {}  # endpoint -> not before
        for line in each.waypoint.lines("outlier"):
            found = LINE.match(line)
            assert found, line
            at, what, endpoint = datetime.fromisoformat(found[1]).timestamp(), found[2], found[3]
            assert at >= ends.pop(endpoint, 0.0) - INTERVAL_S, f"cut short: {line}"
            if what == "ejecting":
                count += 1
                ends[endpoint] = at + float(search(r"ejection_time=([\d.]+)s", line)[1])
    return count


def shared(made: Fleet) -> bool:
    return all(each.info()["ejections"] == "shared" for each in made.replicas)


def same_everywhere(made: Fleet) -> bool:
    """All replicas have out what has a key."""
    keys = {member.address for member in made.members if made.client.exists(key(member))}
    return made.out(0) == made.out(1) == keys


def warned(made: Fleet) -> list[str]:
    told = "\n".join(each.waypoint.errors() for each in made.replicas)
    assert "Traceback" not in told
    return [line for line in told.splitlines() if "WARN" in line or "ERROR" in line or "warning" in line.lower()]


# -- Sentinel ----------------------------------------------------------------------------------------------------------


def fail_over(group: Watched, how: str) -> None:
    """The primary dies, hangs or is told to step back; returns when another one is it."""
    old = group.primary()
    if how == "asked":
        with group.sentinels[0].client() as client:
            client.execute_command("SENTINEL", "FAILOVER", "fleet")
    else:
        old.process.send_signal(signal.SIGKILL if how == "killed" else signal.SIGSTOP)
    wait_until(lambda: group.primary() is not old, 20, "another primary")
    if how == "killed":
        old.process.wait()
        old.start_again()
    elif how == "hung":
        old.process.send_signal(signal.SIGCONT)


def check_failovers(tmp_path: Path, ways: list[str], replicas: int, pause: float, workers: int = 2) -> None:
    with (
        watched(tmp_path / "redis", DEBIAN, replicas) as group,
        fleet(tmp_path, group.url, workers=workers, **RULE) as made,
    ):
        assert wait_until(lambda: shared(made), 3)
        with under_load(made):
            for how in ways:
                time.sleep(pause)
                began = time.monotonic()
                fail_over(group, how)
                wait_until(lambda: shared(made), 10, "shared again")
                print(f"{how}: shared again after {time.monotonic() - began:.2f} s")
            time.sleep(pause)
        wait_until(lambda: same_everywhere(made), 5, "one state")
        print(f"{no_ejection_is_cut_short(made)} ejections")
        assert made.members[1].address in made.out(0) or not made.client.exists(key(made.members[1]))


def test_sentinel_fails_over(tmp_path: Path) -> None:
    check_failovers(tmp_path, ["killed"], 1, 0.5, workers=1)


@pytest.mark.slow
def test_sentinel_fails_over_in_every_way(tmp_path: Path) -> None:
    check_failovers(tmp_path, ["killed", "hung", "asked", "killed"], 2, 6.0)


# -- Cluster -----------------------------------------------------------------------------------------------------------


def move_slowly(nodes: Nodes, seconds: float) -> None:
    """The slot goes to another node, key by key, in so much time."""
    source = nodes.owner(SLOT)
    target = next(each for each in nodes.servers if each is not source)
    nodes.begin_to_move(SLOT, source, target)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        nodes.move_keys(SLOT, source, target, 1)
        time.sleep(seconds / 10)
    while nodes.move_keys(SLOT, source, target):
        pass
    nodes.finish_moving(SLOT, source, target)


def move_at_once(nodes: Nodes) -> None:
    """As Valkey does since 9.0, by itself."""
    source = nodes.owner(SLOT)
    target = next(each for each in nodes.servers if each is not source)
    with source.client() as client:
        client.execute_command("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", SLOT, SLOT, "NODE", nodes.id_of(target))
    wait_until(lambda: nodes.owner(SLOT) is target, 10, "moved")


def check_moves(tmp_path: Path, binary: str, times: list[float], pause: float, workers: int = 2) -> None:
    with (
        cluster(tmp_path / "redis", binary) as nodes,
        fleet(tmp_path, nodes.url, workers=workers, **RULE) as made,
    ):
        assert wait_until(lambda: shared(made), 3)
        with under_load(made):
            for seconds in times:
                time.sleep(pause)
                if seconds:
                    move_slowly(nodes, seconds)
                else:
                    move_at_once(nodes)
                began = time.monotonic()
                wait_until(lambda: shared(made), 10, "shared again")
                print(f"moved in {seconds} s; shared again {time.monotonic() - began:.2f} s later")
            time.sleep(pause)
        wait_until(lambda: same_everywhere(made), 5, "one state")
        print(f"{no_ejection_is_cut_short(made)} ejections")


@pytest.mark.slow
def test_the_slot_moves(tmp_path: Path) -> None:
    check_moves(tmp_path, DEBIAN, [1.0], 0.5, workers=1)


@pytest.mark.slow
@pytest.mark.parametrize("binary", [DEBIAN, VALKEY], ids=["debian", "valkey"])
def test_the_slot_moves_to_and_fro(tmp_path: Path, binary: str) -> None:
    check_moves(tmp_path, binary, [0.2, 3.0, 1.0, 5.0], 4.0)


@pytest.mark.slow
def test_the_slot_moves_at_once(tmp_path: Path) -> None:
    check_moves(tmp_path, VALKEY, [0, 0, 0, 0], 3.0)


@pytest.mark.slow
def test_a_primary_of_the_cluster_dies(tmp_path: Path) -> None:
    """Without a replica nobody takes over: alone until it is back, empty."""
    with cluster(tmp_path / "redis") as nodes, fleet(tmp_path, nodes.url, **RULE) as made:
        assert wait_until(lambda: shared(made), 3)
        with under_load(made):
            owner = nodes.owner(SLOT)
            owner.kill()
            wait_until(lambda: not shared(made), 5, "alone")
            time.sleep(4)
            owner.start_again()
            wait_until(lambda: shared(made), 15, "shared again")
            time.sleep(3)
        wait_until(lambda: same_everywhere(made), 5, "one state")
        no_ejection_is_cut_short(made)


# -- TLS and passwords, all the way ------------------------------------------------------------------------------------


def test_connecting_may_take_longer_than_a_call(tmp_path: Path) -> None:
    """A server far away that asks for a password: the first answer on each connection is late, the others are not."""
    with server(tmp_path / "redis", VALKEY, "--requirepass", "s3cret", answers=False) as made:
        url = f"redis://:s3cret@127.0.0.1:{made.port}"
        with relays(made.port, 1) as (way,):
            way.greeting = 0.12
            through = [f"redis://:s3cret@127.0.0.1:{way.port}"]
            with fleet(tmp_path, url, through=through, replicas=1, workers=1) as running:
                wait_until(lambda: running.mode(0) == "shared", 5, "relied upon")
                assert "Redis does not answer" not in running.replicas[0].waypoint.errors()


def test_tls_an_acl_user_and_a_rotated_password(tmp_path: Path) -> None:
    """A whole replica over rediss:// with the documented rights; nothing secret is anywhere to be seen."""
    files, port, password = certificates(tmp_path / "tls"), free_port(), tmp_path / "password"
    password.write_text("s3cret-1\n")
    documented = re.findall(r"^    ACL SETUSER (.*)$", (Path(__file__).parents[2] / "docs/redis.md").read_text(), re.M)[
        0
    ]
    options = ["--redis-username", "waypoint", "--redis-password-file", str(password), "--redis-ca", str(files["ca"])]
    options += ["--redis-cert", str(files["client"]), "--redis-key", str(files["client-key"])]
    with server(tmp_path / "redis", DEBIAN, *tls_options(files, port)) as made, made.client() as admin:
        admin.execute_command("ACL", "SETUSER", *documented.replace("PASSWORD", "s3cret-1").split())
        url = f"rediss://127.0.0.1:{port}"
        with fleet(tmp_path, url, *options, workers=1, client=admin) as running:
            wait_until(lambda: shared(running), 30, "let in")
            victim = running.members[0]
            victim.status = 503
            wait_until(lambda: running.in_turn(6) and running.agrees(victim), 3, "ejected by the fleet")
            assert admin.exists(key(victim))
            admin.execute_command("ACL", "SETUSER", "waypoint", "resetpass", ">s3cret-2")
            admin.client_kill_filter(_type="normal", skipme=True)
            admin.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
            wait_until(lambda: not shared(running), 3, "the old password is of no use")
            wait_until(lambda: all("--redis-password-file" in e.waypoint.errors() for e in running.replicas), 3, "said")
            password.write_text("s3cret-2\n")
            wait_until(lambda: shared(running), 8, "the new one is")
            assert running.agrees(victim)
            seen = "".join(each.waypoint.errors() + "".join(each.waypoint.lines()) for each in running.replicas)
            seen += "".join(
                str(each.info(page)) for each in running.replicas for page in ("/server_info", "/config_dump")
            )
            pids = [pid for each in running.replicas for pid in (each.waypoint.pid, *each.worker_pids())]
            seen += "".join(Path(f"/proc/{pid}/cmdline").read_text() for pid in pids)
            assert "s3cret" not in seen
            assert "appendonly is off" in seen, "what the preflight says"
