"""The processes of a replica: what happens to the others when one dies; how a replica starts, changes and ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from proxy.arbiter.signals import DEADLY, INTERNAL, OF_FAULTS, OF_WRITING
from tests.manifests import Manifests, gateway
from tests.patience import within
from tests.rig import ROOT, Endpoint, Replica, Waypoint, endpoints, free_port, get, manifests_for, replica, wait_until


def children(pid: int) -> dict[str, list[int]]:
    """Pids of the children of `pid`, by what they are."""
    found: dict[str, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            stat = path.read_text().rpartition(")")[2].split()
            command = path.with_name("cmdline").read_bytes().split(b"\0")[0].decode()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(stat[1]) == pid and stat[0] != "Z":
            name = command.removeprefix("waypointd: ").rpartition("/")[2].split()[0]
            found.setdefault(name, []).append(int(path.parent.name))
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture(scope="module")
def members() -> Iterator[list[Endpoint]]:
    with endpoints(2) as made:
        yield made


@pytest.fixture
def config(members: list[Endpoint]) -> Iterator[tuple[Manifests, int]]:
    with manifests_for(members) as made:
        yield made


@pytest.fixture
def pair(tmp_path: Path, config: tuple[Manifests, int]) -> Iterator[Replica]:
    """A replica of two workers with its own store."""
    with replica(tmp_path, *config, workers=2) as made:
        yield made


# -- deaths -----------------------------------------------------------------------------------------------------------


def test_a_killed_worker_is_replaced_and_the_other_serves_meanwhile(pair: Replica) -> None:
    victim = pair.info()["workers"][0]
    os.kill(victim["pid"], signal.SIGKILL)
    assert "503" not in pair.hostnames(20)
    wait_until(lambda: len(pair.worker_pids()) == 2 and victim["pid"] not in pair.worker_pids() and pair.ready())
    assert pair.info()["workers"][0]["slot"] == victim["slot"]
    assert f"worker {victim['slot']} (pid {victim['pid']}) was killed by SIGKILL" in pair.waypoint.errors()
    again = pair.info()["workers"][0]["pid"]
    assert f"worker {victim['slot']} runs again: pid {again}" in pair.waypoint.errors(), "N24: of sample endpoints too"


def test_a_killed_controller_is_replaced_and_continues_where_it_was(
    pair: Replica, config: tuple[Manifests, int], members: list[Endpoint]
) -> None:
    manifests, port = config
    before, workers = pair.info(), pair.worker_pids()
    (manifests.path / "broken.json").write_text("{")  # must not stop what serves, whatever the files say
    os.kill(before["controller_pid"], signal.SIGKILL)
    assert pair.hostname()
    wait_until(lambda: pair.ready() and pair.info()["controller_pid"] != before["controller_pid"])
    wait_until(lambda: pair.info()["last_reload"]["faults"])
    after = pair.info()
    assert (after["snapshot"], pair.worker_pids()) == (before["snapshot"], workers)
    assert pair.ready()
    manifests.remove("broken")
    manifests.put("gateway", gateway(port) | {"apiVersion": "gateway.networking.k8s.io/v1beta1"})
    moved = free_port()
    manifests.put("gateway", gateway(moved))
    wait_until(lambda: pair.info()["snapshot"] == before["snapshot"] + 1)
    pair.port = moved
    wait_until(lambda: connectable(moved))
    assert pair.hostname()
    wait_until(lambda: not connectable(port))


def connectable(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_killed_store_comes_back_on_its_port(pair: Replica) -> None:
    (store,) = children(pair.waypoint.pid)["valkey-server"]
    os.kill(store, signal.SIGKILL)
    assert pair.hostname()
    wait_until(lambda: children(pair.waypoint.pid).get("valkey-server") not in (None, [store]))
    wait_until(lambda: pair.info()["ejections"] == "shared")


def test_nothing_outlives_the_arbiter(pair: Replica) -> None:
    pids = [pid for group in children(pair.waypoint.pid).values() for pid in group]
    assert len(pids) == 4
    os.kill(pair.waypoint.pid, signal.SIGKILL)
    pair.waypoint.process.wait()
    wait_until(lambda: not any(map(alive, pids)))


@pytest.fixture
def slow(members: list[Endpoint]) -> Iterator[Callable[[], int]]:
    """Endpoints that take a second, and how many requests they have got."""
    for member in members:
        member.delay = 1.0
    yield lambda: sum(len(member.requests) for member in members)
    for member in members:
        member.delay = 0.0


def test_N2_no_signal_but_kill_ends_it_or_what_is_in_flight(pair: Replica, slow: Callable[[], int]) -> None:
    before, asked = children(pair.waypoint.pid), slow()
    with ThreadPoolExecutor(1) as executor:
        in_flight = executor.submit(get, pair.port, "/hostname", "in-ambient")
        wait_until(lambda: slow() > asked)
        sent = (DEADLY | OF_FAULTS | OF_WRITING | INTERNAL) - {signal.SIGTERM, signal.SIGINT}
        assert len(sent) > 50, "all but those that end, stop, go on, or do nothing"
        for number in sorted(sent):
            for pid in (pair.waypoint.pid, *before["worker"], *before["controller"]):
                os.kill(pid, number)
        assert in_flight.result()[0] == 200
    wait_until(lambda: "SIGRTMIN+1 ignored: TERM drains and ends" in pair.waypoint.errors())
    assert "SIGALRM ignored" in pair.waypoint.errors()
    assert "SIGUSR1: reopening logs" in pair.waypoint.errors()
    assert pair.hostname()
    assert children(pair.waypoint.pid) == before


# -- what is refused -------------------------------------------------------------------------------------------------


def test_the_last_worker_stays_and_usr2_is_not_built(pair: Replica) -> None:
    os.kill(pair.waypoint.pid, signal.SIGTTOU)
    wait_until(lambda: len(pair.worker_pids()) == 1 and pair.ready())
    assert "SIGTTOU: workers from now on: 1" in pair.waypoint.errors(), "N19"
    os.kill(pair.waypoint.pid, signal.SIGTTOU)
    wait_until(lambda: "not stopping the last worker" in pair.waypoint.errors())
    os.kill(pair.waypoint.pid, signal.SIGUSR2)
    wait_until(lambda: "not built in this version" in pair.waypoint.errors())
    assert pair.ready()
    assert pair.hostname()
    assert len(pair.worker_pids()) == 1


# -- configuration ----------------------------------------------------------------------------------------------------


def test_without_a_gateway_it_stays_up_and_says_why(tmp_path: Path, config: tuple[Manifests, int]) -> None:
    manifests, port = config
    manifests.remove("gateway")
    waypoint, status = started(tmp_path, manifests)
    try:
        wait_until(lambda: probe(status) == (503, "not ready: no Gateway\n"), 10)
        manifests.put("gateway", gateway(port))
        wait_until(lambda: probe(status) == (200, "ready\n"))
    finally:
        assert waypoint.stop() == 0


def started(tmp_path: Path, manifests: Manifests, *arguments: str) -> tuple[Waypoint, int]:
    """A replica that need not become ready, and its status port."""
    status = free_port()
    common = ("-w", "1", "--manifests", str(manifests.path), "--bind", "127.0.0.1", "--admin", "127.0.0.1:0")
    waypoint = Waypoint(tmp_path, *common, "--status", f"127.0.0.1:{status}", *arguments)
    waypoint.start()
    return waypoint, status


def probe(status: int) -> tuple[int, str]:
    try:
        return get(status, "/healthz/ready")
    except OSError as error:
        return 0, str(error)


def test_a_listener_that_is_taken_is_told_and_tried_again(tmp_path: Path, config: tuple[Manifests, int]) -> None:
    manifests, port = config
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        waypoint, status = started(tmp_path, manifests)
        wait_until(lambda: f"listener 127.0.0.1:{port}: Address already in use" in probe(status)[1], 10)
    try:
        wait_until(lambda: probe(status) == (200, "ready\n"))
    finally:
        assert waypoint.stop() == 0


def test_a_port_asked_for_is_needed_and_a_default_one_is_not(tmp_path: Path, config: tuple[Manifests, int]) -> None:
    manifests, _ = config
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        waypoint, _ = started(tmp_path, manifests, "--admin", taken)
        assert waypoint.ended(15) == 1
        assert f"error controller admin {taken}: Address already in use" in waypoint.errors()


# -- the end ----------------------------------------------------------------------------------------------------------


def test_the_terminals_ctrl_c_drains(tmp_path: Path, config: tuple[Manifests, int]) -> None:
    manifests, _ = config
    status = free_port()
    command = ["-w", "2", "--manifests", str(manifests.path), "--bind", "127.0.0.1"]
    waypoint = Waypoint(tmp_path, *command, "--admin", "127.0.0.1:0", "--status", f"127.0.0.1:{status}")
    waypoint.start()
    wait_until(lambda: probe(status)[0] == 200, 10)
    pids = [pid for group in children(waypoint.pid).values() for pid in group]
    assert {os.getpgid(pid) for pid in pids}.isdisjoint({os.getpgid(waypoint.pid)})
    waypoint.process.send_signal(signal.SIGINT)
    assert waypoint.ended(10) == 0
    assert "drained" in waypoint.errors()
    assert not any(map(alive, pids))


def test_admin_pages_tell_and_hide(tmp_path: Path, config: tuple[Manifests, int], members: list[Endpoint]) -> None:
    with replica(tmp_path, *config, redis="redis://:secret@127.0.0.1:1/0") as made:
        assert [made.hostname() for _ in range(4)]
        info, dump = made.info(), made.info("/config_dump")
        (cluster,) = made.info("/clusters")
        assert info["redis"] == dump["settings"]["redis"] == "redis://:***@127.0.0.1:1/0"
        assert info["ejections"] == "local"
        assert info["replica"] == "replica"
        assert dump["snapshot"]["gateway"] == "httpbin/httpbin-waypoint"
        assert dump["snapshot"]["listeners"][0]["routes"]["in-ambient"] == "httpbin/in-ambient:8000"
        assert dump["snapshot"]["clusters"][0]["destination_rule"] == "httpbin/in-ambient-failover"
        assert [each["workload"] for each in cluster["endpoints"]] == [member.name for member in members]
        assert [each["requests"] for each in cluster["endpoints"]] == [2, 2]
        assert get(made.admin, "/nothing")[0] == 404
        assert "secret" not in json.dumps([info, dump, cluster]) + made.waypoint.errors()


def test_numbers_go_to_statsd(tmp_path: Path, config: tuple[Manifests, int]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(10)
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with replica(tmp_path, *config, "--statsd", address, "--statsd-interval", "1") as made:
            assert [made.hostname() for _ in range(4)]
            lines = statsd_lines(server, "waypointd.cluster.httpbin_in-ambient_8000.requests.2xx")
    assert lines["waypointd.cluster.httpbin_in-ambient_8000.requests.2xx"] == "4|c"
    assert lines["waypointd.workers.ready"] == "1|g"
    assert lines["waypointd.cluster.httpbin_in-ambient_8000.ejected"] == "0|g"
    assert "|ms" in lines["waypointd.cluster.httpbin_in-ambient_8000.request_time"]


def statsd_lines(server: socket.socket, until: str) -> dict[str, str]:
    lines: dict[str, str] = {}
    while until not in lines:
        lines |= dict(line.split(":", 1) for line in server.recv(65536).decode().splitlines())
    server.settimeout(0.3)
    try:
        while True:
            lines = dict(line.split(":", 1) for line in server.recv(65536).decode().splitlines()) | lines
    except TimeoutError:
        return lines


# -- what only a stand-in for the worker can show --------------------------------------------------------------------

STAND_IN = (
    "import sys; from proxy import log; from proxy.arbiter.arbiter import Arbiter\n"
    "from proxy.settings import settings; "
    "log.set_up('info', 'arbiter'); loaded = settings.load(dict(zip(sys.argv[1::2], sys.argv[2::2])), {}, None); "
    "sys.exit(Arbiter(loaded, worker_module='tests.integration.fake_worker').run())"
)


class StandIn(Waypoint):
    """A replica whose workers are tests/integration/fake_worker.py."""

    port = status = 0

    def start(self, *more: str) -> None:
        with self.err.open("ab") as err:
            command = [sys.executable, "-c", STAND_IN, *self._arguments, *more]
            self._process = subprocess.Popen(command, stderr=err, env=self._env | {"PYTHONPATH": str(ROOT)})


Starts = Callable[..., StandIn]
"""Starts one with settings, in pairs, and an environment."""


@pytest.fixture
def stand_in(tmp_path: Path, config: tuple[Manifests, int]) -> Iterator[Starts]:
    manifests, port = config
    status = free_port()
    made: list[StandIn] = []

    def start(*arguments: str, **env: str) -> StandIn:
        waypoint = StandIn(
            tmp_path,
            *("manifests", str(manifests.path), "bind", "127.0.0.1", "redis", "redis://127.0.0.1:1"),
            *("admin", "127.0.0.1:0", "status", f"127.0.0.1:{status}", "drain_delay", "0", *arguments),
            env=env,
        )
        waypoint.status, waypoint.port = status, port
        waypoint.start()
        made.append(waypoint)
        return waypoint

    yield start
    for each in made:
        if each.process.poll() is None:
            each.process.kill()
            each.process.wait()


def test_what_cannot_start_does_not_loop_hot_and_says_why(stand_in: Starts) -> None:
    waypoint = stand_in("workers", "1", FAKE_WORKER_FAILS="1")

    def told() -> list[str]:
        return [line for line in waypoint.errors().splitlines() if "exited with status 3" in line]

    wait_until(lambda: len(told()) >= 3, 10, "three have ended")
    assert [line.rpartition(" in ")[2] for line in told()[:3]] == ["0.1 s", "0.2 s", "0.4 s"]
    time.sleep(2)
    assert len(told()) <= 3 + 4, "0.8 and 1.6 s are still to come"
    wait_until(lambda: probe(waypoint.status)[1].startswith("not ready: "), 5, "the status port says so")
    assert waypoint.stop() == 0


def test_patience_with_a_drain_ends(stand_in: Starts) -> None:
    waypoint = stand_in("workers", "2", "drain_time", "1", FAKE_WORKER_HANGS="1")
    wait_until(lambda: probe(waypoint.status)[0] == 200, 10)
    with within(3, at_least=0.9):
        waypoint.process.send_signal(signal.SIGTERM)
        wait_until(lambda: probe(waypoint.status) == (503, "not ready: draining\n"))
        wait_until(lambda: not connectable(waypoint.port))
        assert waypoint.ended(10) == 0
    assert "did not finish within --drain-time 1 s: killed" in waypoint.errors()


def test_a_second_signal_ends_at_once(stand_in: Starts) -> None:
    waypoint = stand_in("workers", "1", "drain_time", "60", FAKE_WORKER_HANGS="1")
    wait_until(lambda: probe(waypoint.status)[0] == 200, 10)
    for _ in range(3):
        waypoint.process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    assert waypoint.process.poll() is None  # close together they are one
    waypoint.process.send_signal(signal.SIGINT)
    assert waypoint.ended(3) == 0


def test_a_stopped_worker_holds_up_nobody(
    stand_in: Starts, config: tuple[Manifests, int], members: list[Endpoint]
) -> None:
    manifests, port = config
    waypoint = stand_in("workers", "2")
    wait_until(lambda: probe(waypoint.status)[0] == 200, 10)
    first = min(children(waypoint.pid)["worker"])
    os.kill(first, signal.SIGSTOP)
    for number in range(5):
        body = gateway(port)
        body["spec"]["listeners"][0]["name"] = f"http-{number}"
        manifests.put("gateway", body)
        os.kill(waypoint.pid, signal.SIGHUP)
        wait_until(lambda told=f"snapshot {number + 2}:": told in waypoint.errors(), 10)
    wait_until(lambda: probe(waypoint.status)[1].startswith("not ready: worker 0 has snapshot 1"), 5)
    os.kill(first, signal.SIGCONT)
    wait_until(lambda: probe(waypoint.status)[0] == 200)
