"""In what order the fleet has seen what: an endpoint that never fails twice running is never ejected, however far away
Redis is, by a fleet that gets to read its answers.

A worker that has no processor for a while reads a success after failures that came later, and then that is the order
in which the fleet has seen them. So an ejection is held against what clients saw: was there no such order, it is false.
"""

import contextlib
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from state.server.embedded import Embedded
from tests.fleet.fleet_rig import CLUSTER, Fleet, Load, Process, at_any_distance, fail_until_out, far_fleet, fleet
from tests.fleet.simulator.order import could_be_a_run
from tests.fleet.simulator.traffic import Attempt
from tests.fleet.test_by_hand import ctl
from tests.rig import free_port, wait_until

REPLICAS = 3
RATE = 200.0

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


@dataclass
class Seen:
    """What came of such an endpoint under a load on all replicas."""

    answers: int
    failures: int
    ejections: list[str]  # why, by the fleet
    false: int  # how many of those without a run that could have been
    alone: int  # how often a replica decided by itself, for want of an answer: its own answers may well be failures
    own: list[str]  # why, by such a replica


def flap(path: Path, url: str, round_trip_ms: float, seconds: float, workers: int = 1) -> Seen:
    with (
        every_third() as member,
        far_fleet(
            path,
            url,
            round_trip_ms,
            members=[member],
            replicas=REPLICAS,
            workers=workers,
            maxEjectionPercent=100,
            baseEjectionTime="100ms",
        ) as made,
        contextlib.ExitStack() as stack,
    ):
        loads = [stack.enter_context(Load(each.port, RATE / REPLICAS)) for each in made.replicas]
        time.sleep(seconds)
        stack.close()
        statuses = sum((each.statuses for each in loads), Counter())
        answers = [answer for each in loads for answer in each.answers]
        reasons = [why for why, _ in made.told("eject")]
        alone = sum(each.waypoint.errors().count("Redis does not answer") for each in made.replicas)
        own = [why for why in reasons if why == "offered"] or [""] * (
            max(made.lines("outlier ejecting")) - len(reasons)
        )
        fleets = [why for why in reasons if why != "offered"]
        false = sum(not could_have_been(answers, at) for at in ejected_at(made))
        return Seen(statuses.total(), statuses[503], fleets, false, alone, own)


def ejected_at(made: Fleet) -> list[float]:
    """When the fleet has ejected, on this process's monotonic clock."""
    entries = made.client.xrange(f"waypoint:{{{CLUSTER}}}:log")
    ids = [at for at, entry in entries if (entry["kind"], entry["why"]) == ("eject", "consecutive_5xx")]
    return [int(at.partition("-")[0]) / 1000 - time.time() + time.monotonic() for at in ids]


def could_have_been(answers: list[tuple[float, float, int]], at: float) -> bool:
    """Whether a run of three that was read in the last half second before could have been the order of these."""
    seen = [
        Attempt(CLUSTER, "", int(began * 1e9), int(ended * 1e9), status == 200, 0)
        for began, ended, status in answers
        if at - 2 < ended and began < at
    ]
    return could_be_a_run(seen, 3, int((at - 0.5) * 1e9))


@at_any_distance
def test_S_F6_who_never_fails_twice_running_is_never_ejected(
    valkey: Embedded, tmp_path: Path, round_trip_ms: int
) -> None:
    seen = flap(tmp_path, valkey.url, round_trip_ms, 4)
    assert seen.failures > 50
    assert not seen.false, seen
    assert seen.alone or not seen.own, seen


def scripts_run(made: Fleet) -> int:
    return int(made.client.info("commandstats")["cmdstat_evalsha"]["calls"])


def test_while_the_cap_is_full_nobody_reports_and_then_counting_begins_anew(valkey: Embedded, tmp_path: Path) -> None:
    with fleet(tmp_path, valkey.url) as made:
        first, second, third = made.members
        assert fail_until_out(made, first) == 3
        wait_until(lambda: made.agrees(first), 2, "out everywhere")
        second.status = 503
        while not made.told("overflow"):
            made.in_turn(2)
        before, began, failed = scripts_run(made), time.monotonic(), 0
        for at in range(120):  # the third never fails twice running, and would be reported each time
            third.status = 503 if at // 2 % 2 else 200
            failed += made.in_turn(1).count("503")
        looks = 2 * 2 * (2 + time.monotonic() - began)  # each replica's, in a second, of two scripts
        assert failed > 60
        assert scripts_run(made) - before < looks + 12, "nothing but looks, and what was on its way"
        third.status = 200
        while made.in_turn(1) != ["503"]:  # what is not reported is a failure more, just before there is room
            pass
        assert ctl("--redis", valkey.url, "uneject", CLUSTER, first.address)[0] == 0
        wait_until(made.agrees, 2, "there is room")
        assert made.in_turn(24).count("503") == 3
        wait_until(lambda: made.agrees(second), 2, "out everywhere")
