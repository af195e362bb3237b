"""In what order the fleet has seen what: an endpoint that never fails twice running is never ejected, however far away
Redis is."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from state.server.embedded import Embedded
from tests.fleet.fleet_rig import Load, Process, fleet
from tests.fleet.redis_relay import Relay, relays
from tests.rig import free_port

REPLICAS = 3
RATE = 200.0
# The quick tests have two of the four round trips.
ROUND_TRIPS_MS = [0, pytest.param(1, marks=pytest.mark.slow), 5, pytest.param(20, marks=pytest.mark.slow)]

_EVERY_THIRD = """
import asyncio, sys
count = 0
class Answer(asyncio.Protocol):
    def connection_made(self, transport): self.transport, self.rest = transport, b""
    def data_received(self, data):
        global count
        *whole, self.rest = (self.rest + data).split(b"\\r\\n\\r\\n")
        for _ in whole:
            count += 1
            status = b"503 Service Unavailable" if count % 3 == 0 else b"200 OK"
            self.transport.write(b"HTTP/1.1 " + status + b"\\r\\ncontent-length: 2\\r\\n\\r\\n.\\n")
async def main():
    server = await asyncio.get_running_loop().create_server(Answer, sys.argv[1], int(sys.argv[2]), backlog=512)
    await server.serve_forever()
asyncio.run(main())
"""


class EveryThird(Process):
    """Fails every third of its answers, as it counts them itself, and so never twice running."""

    def start(self) -> None:
        self._process = subprocess.Popen([sys.executable, "-c", _EVERY_THIRD, self.ip, str(self.port)])


@contextlib.contextmanager
def every_third() -> Iterator[EveryThird]:
    made = EveryThird("in-ambient-7d8f9b6c54-abc12", "127.9.8.1", free_port("127.9.8.1"))
    made.start()
    try:
        yield made
    finally:
        made.stop()


def through(made: Relay, round_trip_ms: float) -> str:
    made.delay = round_trip_ms / 2000
    return made.url


def flap(
    path: Path, url: str, port: int, round_trip_ms: float, seconds: float, workers: int = 1
) -> tuple[int, int, int]:
    """(answers, failures, ejections) of such an endpoint under a load on all replicas."""
    with (
        every_third() as member,
        relays(port, REPLICAS) as ways,
        fleet(
            path,
            url,
            members=[member],
            replicas=REPLICAS,
            workers=workers,
            through=[through(way, round_trip_ms) for way in ways],
            maxEjectionPercent=100,
            baseEjectionTime="100ms",
        ) as made,
        contextlib.ExitStack() as stack,
    ):
        loads = [stack.enter_context(Load(each.port, RATE / REPLICAS)) for each in made.replicas]
        time.sleep(seconds)
        stack.close()
        answers = sum(sum(each.statuses.values()) for each in loads)
        return (
            answers,
            sum(each.statuses[503] for each in loads),
            max(len(made.told("eject")), *made.lines("outlier ejecting")),
        )


@pytest.mark.parametrize("round_trip_ms", ROUND_TRIPS_MS)
def test_S_F6_who_never_fails_twice_running_is_never_ejected(
    valkey: Embedded, tmp_path: Path, round_trip_ms: int
) -> None:
    answers, failures, ejections = flap(tmp_path, valkey.url, valkey.port, round_trip_ms, 4)
    assert failures > 50
    assert ejections == 0, f"of {answers} answers {failures} failed, and never two running"
