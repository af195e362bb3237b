"""What tests of a fleet are built from: replicas on one server, paced clients that measure, endpoints in processes."""

import contextlib
import http.client
import math
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from state.server.access import Access
from state.server.connect import connect
from state.server.embedded import Embedded
from tests.fleet.redis_relay import relays
from tests.manifests import Manifests
from tests.rig import Background, Endpoint, Replica, free_port, manifests_for, replica, wait_until
from tests.rig import endpoints as endpoints_of

CLUSTER = "httpbin/in-ambient:8000"


def key(endpoint: Endpoint, what: str = "eject") -> str:
    return f"waypoint:{{{CLUSTER}}}:{what}:{endpoint.address}"


@dataclass
class Fleet:
    """Two replicas, `a` and `b`, each with manifests of its own."""

    members: list[Endpoint]
    replicas: list[Replica]
    manifests: list[Manifests]
    client: Any

    def out(self, which: int) -> set[str]:
        """Endpoints that this replica has ejected."""
        return ejected(self.replicas[which])

    def agrees(self, *members: Endpoint) -> bool:
        wanted = {member.address for member in members}
        return all(ejected(each) == wanted for each in self.replicas)

    def lines(self, text: str) -> list[int]:
        return [len(each.waypoint.lines(text)) for each in self.replicas]

    def wrote(self, text: str, *counts: int) -> None:
        """Fails unless each replica has written so many lines with that text, a moment from now at the latest."""
        with contextlib.suppress(AssertionError):
            wait_until(lambda: self.lines(text) == [*counts], 3)
        assert self.lines(text) == [*counts]

    def mode(self, which: int) -> str:
        """`shared` or `local`."""
        return str(self.replicas[which].info()["shared_state"]["mode"])

    def told(self, kind: str) -> list[tuple[str, str]]:
        """(why, endpoint) of the entries of that kind in the log stream."""
        entries = self.client.xrange(f"waypoint:{{{CLUSTER}}}:log")
        return [(entry["why"], entry["endpoint"]) for _, entry in entries if entry["kind"] == kind]

    def until_ms(self, which: int, member: Endpoint) -> float:
        """When this replica will take it back, on this process's monotonic clock; 0: it is not out.

        Asked again until it was answered quickly: an answer that was long on its way says little about when."""
        for patience_s in (0.005, 0.01, 0.02, 0.05, math.inf):
            began = time.monotonic()
            (cluster,) = [each for each in self.replicas[which].info("/clusters") if each["name"] == CLUSTER]
            took = time.monotonic() - began
            if took < patience_s:
                break
        (row,) = [each for each in cluster["endpoints"] if each["address"] == member.address]
        return (began + took / 2) * 1000 + float(row["ejected_left_ms"]) if row["ejected_left_ms"] else 0.0

    def in_turn(self, count: int) -> list[str]:
        return [self.replicas[i % len(self.replicas)].hostname() for i in range(count)]


ROUND_TRIPS_MS = [0, pytest.param(1, marks=pytest.mark.slow), 5, pytest.param(20, marks=pytest.mark.slow)]
"""How far away Redis is; the quick tests have two of them."""
at_any_distance = pytest.mark.parametrize("round_trip_ms", ROUND_TRIPS_MS)


@contextlib.contextmanager
def far_fleet(path: Path, url: str, round_trip_ms: float, replicas: int = 2, **options: Any) -> Iterator[Fleet]:
    """A fleet whose replicas are so far away from the server; the test itself is near."""
    with relays(int(url.rpartition(":")[2]), replicas) as ways:
        for way in ways:
            way.delay = round_trip_ms / 2000
        with fleet(path, url, replicas=replicas, through=[way.url for way in ways], **options) as made:
            yield made


def ejected(one: Replica) -> set[str]:
    (cluster,) = [each for each in one.info("/clusters") if each["name"] == CLUSTER]
    return {each["address"] for each in cluster["endpoints"] if each["ejected_left_ms"] > 0}


@contextlib.contextmanager
def fleet(
    path: Path,
    url: str,
    *options: str,
    count: int = 3,
    workers: int = 2,
    replicas: int = 2,
    members: Any = None,
    client: Any = None,
    through: Sequence[str] = (),
    **changes: Any,
) -> Iterator[Fleet]:
    """Two replicas (or another number) that share the server, each by its own URL of it if `through` has them;
    `options` are theirs, the rule has an interval of a second."""
    with contextlib.ExitStack() as stack:
        members = members or stack.enter_context(endpoints_of(count))
        rule = {"interval": "1s", "maxEjectionPercent": 50} | changes
        parts = [stack.enter_context(manifests_for(members, **rule)) for _ in range(replicas)]
        running = [
            stack.enter_context(replica(path / name, *part, *options, redis=way, workers=workers, name=name))
            for name, part, way in zip("abcdefgh", parts, through or [url] * replicas, strict=False)
        ]
        if client is None:
            client = stack.enter_context(connect(Access(url), 2.0))
        yield Fleet(members, running, [made for made, _ in parts], client)


def fail_until_out(made: Fleet, victim: Endpoint, which: int = 0) -> int:
    """Has the endpoint fail until the replica has ejected it, then heals it: how many 503 its clients saw."""
    victim.status = 503
    answers = [made.replicas[which].hostname() for _ in range(4 * len(made.members) + 2)]
    victim.status = 200
    wait_until(lambda: victim.address in made.out(which), 2, "ejected")
    return answers.count("503")


class Load(Background):
    """Requests on keep-alive connections at a steady pace, with what came of them."""

    def __init__(self, port: int, rate: float, connections: int = 4) -> None:
        super().__init__(*[self._run] * connections)
        self.port, self.rate, self.connections = port, rate, connections
        self.statuses: Counter[int] = Counter()
        self.times: list[tuple[float, float]] = []  # began, seconds
        self.answers: list[tuple[float, float, int]] = []  # began, ended, status
        self.broken: list[str] = []

    def _run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        due = time.monotonic()
        while not self.stopping.is_set():
            began = time.monotonic()
            try:
                connection.request("GET", "/hostname", headers={"host": "in-ambient"})
                response = connection.getresponse()
                response.read()
                self.statuses[response.status] += 1
                self.answers.append((began, time.monotonic(), response.status))
            except (OSError, http.client.HTTPException) as error:
                self.broken.append(repr(error))
                connection.close()
            self.times.append((began, time.monotonic() - began))
            due = max(due + self.connections / self.rate, time.monotonic() - 0.05)
            time.sleep(max(0.0, due - time.monotonic()))
        connection.close()

    def slowest(self, since: float, until: float, share: float = 0.99) -> tuple[float, float]:
        """(that share of the requests begun in this time took at most, the slowest took) in milliseconds."""
        times = sorted(took * 1000 for began, took in self.times if since <= began < until)
        return times[int(len(times) * share) - 1], times[-1]


_SERVER = """
import asyncio, sys
class Answer(asyncio.Protocol):
    def connection_made(self, transport): self.transport, self.rest = transport, b""
    def data_received(self, data):
        *whole, self.rest = (self.rest + data).split(b"\\r\\n\\r\\n")
        body = sys.argv[3].encode() + b"\\n"
        answer = b"HTTP/1.1 200 OK\\r\\ncontent-length: %d\\r\\n\\r\\n%s" % (len(body), body)
        self.transport.write(answer * len(whole))
async def main():
    server = await asyncio.get_running_loop().create_server(Answer, sys.argv[1], int(sys.argv[2]), backlog=512)
    await server.serve_forever()
asyncio.run(main())
"""


class Process(Endpoint):
    """An endpoint in a process of its own, fast, and with a pid to send signals to."""

    def start(self) -> None:
        self._process = subprocess.Popen([sys.executable, "-c", _SERVER, self.ip, str(self.port), self.name])

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


@contextlib.contextmanager
def processes(count: int = 3) -> Iterator[list[Process]]:
    port = free_port("127.9.7.1")
    made = [Process(f"in-ambient-7d8f9b6c54-{name}", f"127.9.7.{i + 1}", port) for i, name in enumerate(NAMES[:count])]
    for endpoint in made:
        endpoint.start()
    try:
        yield made
    finally:
        for endpoint in made:
            endpoint.stop()


NAMES = ("abc12", "def34", "ghi56", "jkl78")


def restarted(server: Embedded) -> Embedded:
    """Another, empty server on the port of one that was killed."""
    return Embedded.start(server.port, insist=True)
