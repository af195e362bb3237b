"""How long the fleet goes on sending after the deciding failure, by the endpoint's own clock."""

import time
from pathlib import Path
from typing import Any

from tests.bench.fleet.clients import Load
from tests.bench.fleet.fleets import Endpoints, waypoints
from tests.rig import wait_until

THRESHOLD = 3
SETTLED_SECONDS = 0.25
"""After this nothing more is expected; what came later than half of it would be told."""
HEALTHY_SECONDS = 0.1
RATE = 640.0


def measure(scratch: Path, made: Endpoints, replicas: int, workers: int, repetitions: int) -> dict[str, Any]:
    """From the third request that the bad endpoint fails to the last request it is sent, over all workers."""
    took_ms, more = [], []
    with waypoints(scratch, made, replicas, workers) as fleet, Load(fleet.addresses, RATE, each=workers) as load:
        time.sleep(1.0)
        for _ in range(repetitions):
            times = _break(made)
            took_ms.append((times[-1] - times[THRESHOLD - 1]) / 1e6)
            more.append(len(times) - THRESHOLD)
            fleet.lift()
            time.sleep(HEALTHY_SECONDS)
    if load.statuses.keys() - {200, 503}:
        raise RuntimeError(f"neither well nor failed: {dict(load.statuses)}")
    return {"replicas": replicas, "workers": workers, "took_ms": sorted(took_ms), "more": sorted(more)}


def _break(made: Endpoints) -> list[int]:
    made.board.fail(0)
    wait_until(lambda: made.bad.failed >= THRESHOLD, 5)
    time.sleep(SETTLED_SECONDS)
    times: list[int] = made.bad.failures_ns()
    return times
