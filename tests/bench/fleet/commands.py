"""What Redis has to do for a fleet: commands a second, and processor time for a report."""

import time
from collections import Counter
from typing import Any

from tests.bench.fleet.clients import Load
from tests.bench.fleet.fleets import Endpoints, Waypoints
from tests.bench.fleet.simulate import Cluster, Simulation
from tests.bench.processes import cpu_seconds

RATE = 400.0
PHASES = (
    # name, requests a second, endpoints that fail, percent of their requests, seconds
    ("idle", 0.0, (), 0, 10.0),
    ("healthy", RATE, (), 0, 5.0),
    ("one dead", RATE, (0,), 100, 5.0),
    ("all flapping", RATE, (0, 1, 2), 30, 5.0),
)
HEALING_SECONDS = 1.5
"""After so long what was still to be reported of failures is: a second after the last overflow."""
_SENT = ("evalsha", "eval", "mget", "subscribe", "unsubscribe", "ping", "script|load")
"""What replicas send; the other commands are called by scripts, or are ours."""


def measure(made: Endpoints, fleet: Waypoints) -> dict[str, Any]:
    """By phase; leaves the fleet as it was."""
    found = {}
    for name, rate, which, percent, seconds in PHASES:
        found[name] = _phase(made, fleet, rate, which, percent, seconds)
        fleet.lift()
    return found


def simulated(replicas: int, seeds: int = 5) -> float:
    """Reports a second that the simulation of model.py's numbers expects of the last phase."""
    *_, percent, seconds = PHASES[-1]
    cluster = Cluster(replicas, RATE / replicas, percent / 100)
    counts = [Simulation(cluster, seed).run(seconds) for seed in range(seeds)]
    return sum(each["reports"] for each in counts) / seconds / seeds


def _phase(
    made: Endpoints, fleet: Waypoints, rate: float, which: tuple[int, ...], percent: int, seconds: float
) -> dict[str, Any]:
    if not rate:
        time.sleep(HEALING_SECONDS)  # after the start, or a lift, there are things to be read once
        return _counted(made, fleet, seconds)
    with Load(fleet.addresses, rate):
        time.sleep(0.5)
        made.board.fail(*which, percent=percent)
        counted = _counted(made, fleet, seconds)
        made.board.fail()
        time.sleep(HEALING_SECONDS)
        return counted


def _counted(made: Endpoints, fleet: Waypoints, seconds: float) -> dict[str, Any]:
    fleet.client.config_resetstat()
    cpu, served, began = cpu_seconds(fleet.server.pid), made.board.served(), time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - began
    used, served = cpu_seconds(fleet.server.pid) - cpu, made.board.served() - served
    stats = {name.removeprefix("cmdstat_"): row for name, row in fleet.client.info("commandstats").items()}
    calls = Counter({name: row["calls"] for name, row in stats.items()})
    scripts = calls["evalsha"]
    return {
        "requests_per_second": served / took,
        "commands_per_second": sum(calls[name] for name in _SENT) / took,
        "mgets_per_second": calls["mget"] / took,
        "reports_per_second": scripts / took,
        "publishes_per_second": calls["publish"] / took,
        "cpu_us_per_report": used * 1e6 / scripts if scripts else 0.0,
        "usec_per_evalsha": stats["evalsha"]["usec_per_call"] if scripts else 0.0,
        "server_busy": used / took,
    }
