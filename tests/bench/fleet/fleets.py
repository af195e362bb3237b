"""Fleets under measurement: N replicas of waypointd on one real server, or N Envoys. Loopback networks of their own."""

import contextlib
import json
import sys
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import redis

from state.keys import Keys
from state.outlier.redis_store import RedisStore
from state.server.embedded import Embedded
from tests import rig
from tests.bench import origin
from tests.bench.contestants import MERGING, ROOT, RULE, Command, envoy
from tests.bench.fleet.board import Board
from tests.bench.processes import Process
from tests.manifests import Manifests, rule

CLUSTER = "httpbin/in-ambient:8000"
IPS = ("127.31.9.1", "127.31.9.2", "127.31.9.3")
SHORT_RULE = {"interval": "1s", "base_ejection_time": "2s"}
"""For recoveries: ejected for 2 s, then for 4 s (Envoy: up to an interval longer)."""


class Endpoints:
    """Three endpoints in one process; the first is the one that breaks."""

    def __init__(self, board: Board, port: int) -> None:
        self.board, self.port = board, port
        self.members = [
            rig.Endpoint(f"in-ambient-7d8f9b6c54-{name}", ip, port) for name, ip in zip(rig.SUFFIXES, IPS, strict=False)
        ]

    @property
    def bad(self) -> Any:
        """The row of the one that breaks."""
        return self.board.rows[0]


@contextlib.contextmanager
def endpoints(scratch: Path) -> Iterator[Endpoints]:
    """Running endpoints."""
    board, port = Board(scratch / "board", len(IPS)), rig.free_port(IPS[0])
    with origin.start(scratch, IPS, port, None, board.path):
        yield Endpoints(board, port)


class Fleet:
    """Replicas by number. `command(number, directory)` is what starts one."""

    def __init__(self, name: str, scratch: Path, network: str, port: int, command: Callable[[int, Path], Command]):
        self.name = name
        self._scratch, self._network, self._port, self._command = scratch, network, port, command
        self._running: dict[int, Process] = {}

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where the replicas that run are."""
        return [self.address(number) for number in sorted(self._running)]

    def address(self, number: int) -> tuple[str, int]:
        """Where a replica listens."""
        return f"{self._network}.{number + 1}", self._port

    def start(self, numbers: Sequence[int]) -> None:
        """All at once; returns when all of them serve."""
        for number in numbers:
            directory = self._scratch / f"{self.name}-{number}"
            directory.mkdir(exist_ok=True)
            self._running[number] = Process(self._command(number, directory), None, directory / "output.log")
        for number in numbers:
            self._running[number].await_listening(*self.address(number))

    def stop(self, number: int) -> None:
        """It is gone when this returns."""
        self._running.pop(number).__exit__(None, None, None)

    def stop_all(self) -> None:
        """Without waiting for one before asking the next."""
        for process in self._running.values():
            process.terminate()
        for number in list(self._running):
            self.stop(number)


class Waypoints(Fleet):
    """Replicas of waypointd with their server."""

    def __init__(self, scratch: Path, made: Endpoints, manifests: Manifests, port: int, workers: int) -> None:
        super().__init__("waypointd", scratch, "127.31.0", port, self._waypointd)
        self._endpoints, self._manifests, self._workers = made, manifests, workers
        self._admin, self._status = rig.free_port("127.31.0.1"), rig.free_port("127.31.0.1")
        self.server = Embedded.start(0)
        self.client: Any = redis.Redis.from_url(self.server.url, decode_responses=True, protocol=2)

    def _waypointd(self, number: int, directory: Path) -> Command:
        ip, _ = self.address(number)
        command: Command = [sys.executable, ROOT / "bin" / "waypointd", "-w", str(self._workers), "--bind", ip]
        command += ["--manifests", self._manifests.path, "--redis", self.server.url, "--drain-time", "1"]
        command += ["--drain-delay", "0"]
        command += ["--admin", f"{ip}:{self._admin}", "--status", f"{ip}:{self._status}", "--metrics", f"{ip}:0"]
        return [*command, "--access-log", str(directory / "access.log")]

    def start(self, numbers: Sequence[int]) -> None:
        """All at once; returns when all of them serve and know the fleet."""
        super().start(numbers)
        for number in numbers:
            rig.wait_until(partial(self._shares, number), 10, "the fleet's state is known")

    def _shares(self, number: int) -> bool:
        return bool(self.page(number, "server_info")["ejections"] == "shared")

    def page(self, number: int, name: str) -> Any:
        """An admin page."""
        with urllib.request.urlopen(f"http://{self.address(number)[0]}:{self._admin}/{name}", timeout=5) as answer:
            return json.load(answer)

    def out(self) -> list[int]:
        """How many endpoints each replica has ejected."""
        pages = [self.page(number, "clusters") for number in sorted(self._running)]
        return [sum(each["ejected_left_ms"] > 0 for each in page[0]["endpoints"]) for page in pages]

    def lift(self) -> None:
        """Heals the endpoints and puts them back in all replicas, as an operator would."""
        self._endpoints.board.fail()
        rig.wait_until(self._lifted, 5, "back everywhere")
        for key in self.client.scan_iter(Keys("waypoint", CLUSTER).endpoint("*")):
            self.client.hset(key, "backoff", 0)  # the next ejection is a first one

    def _lifted(self) -> bool:
        """Again and again: room under the cap may let another one be ejected that was waiting for it."""
        keys, addresses = Keys("waypoint", CLUSTER), [member.address for member in self._endpoints.members]
        self.client.delete(*map(keys.eject, addresses))
        RedisStore(self.client).sync(CLUSTER, addresses)
        return not any(self.out())

    def rule(self, recovery: str, interval: str, base_ejection_time: str) -> None:
        """Changes the rule of all replicas; `recovery` is the annotation's value."""
        body = rule(interval=interval, baseEjectionTime=base_ejection_time)
        body["metadata"]["annotations"] = {"waypointd.io/recovery": recovery}
        self._manifests.put("rule", body)
        for number in self._running:
            rig.wait_until(partial(self._obeys, number, recovery == "probe", interval), 5, "the rule is in force")

    def _obeys(self, number: int, probe: bool, interval: str) -> bool:
        outlier, info = self.page(number, "clusters")[0]["outlier"], self.page(number, "server_info")
        taken = all(worker["snapshot"] == info["snapshot"] for worker in info["workers"])
        return taken and outlier["probe"] == probe and f"{outlier['interval_ms'] // 1000}s" == interval


@contextlib.contextmanager
def waypoints(scratch: Path, made: Endpoints, replicas: int, workers: int = 1) -> Iterator[Waypoints]:
    """Running replicas under the guide's rule."""
    with rig.manifests_for(made.members) as (manifests, port):
        fleet = Waypoints(scratch, made, manifests, port, workers)
        try:
            fleet.start(range(replicas))
            yield fleet
        finally:
            fleet.stop_all()
            fleet.client.close()
            fleet.server.stop()


@contextlib.contextmanager
def envoys(scratch: Path, made: Endpoints, replicas: int, rule: dict[str, str] = RULE | MERGING) -> Iterator[Fleet]:
    """Running Envoys that know nothing of each other."""
    port = rig.free_port("127.31.1.1")

    def command(number: int, directory: Path) -> Command:
        values = rule | {"ip": f"127.31.1.{number + 1}", "port": str(port), "endpoint_port": str(made.port)}
        values |= {"access_log": str(directory / "access.log")}
        return envoy(directory, values | {f"endpoint{number}": ip for number, ip in enumerate(IPS, 1)})

    fleet = Fleet("Envoy", scratch, "127.31.1", port, command)
    try:
        fleet.start(range(replicas))
        yield fleet
    finally:
        fleet.stop_all()
