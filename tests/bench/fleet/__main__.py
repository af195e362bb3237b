"""Runs the fleet benchmark: `python -m tests.bench.fleet [--only PART]... [--replicas 1,2,4,8] [--repetitions N] ...`.

Replicas of waypointd with one real server, then as many Envoys, with the same endpoints and clients. Nothing is pinned:
a fleet of eight has more processes than a machine has cores. Loopback only; whatever it starts ends with it.
"""

import argparse
import json
import os
import platform
import re
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.bench.contestants import ROOT
from tests.bench.fleet import calibrate, commands, errors, latency, model, report
from tests.bench.fleet.fleets import Endpoints, endpoints, waypoints

PARTS = ("errors", "commands", "latency", "model")


def main() -> int:
    """Exit status 0; a figure that cannot be taken is an exception."""
    options = _arguments()
    parts = options.only or PARTS
    found = _kept(options.out, parts) if options.keep else {}
    with tempfile.TemporaryDirectory(prefix="waypointd-fleet-") as scratch, endpoints(Path(scratch)) as made:
        for replicas in options.replicas if {"errors", "commands"} & set(parts) else ():
            _one_size(Path(scratch), made, replicas, parts, found)
        if "latency" in parts:
            _say(f"latency: {options.latency_replicas} x {options.latency_workers}, {options.repetitions} times")
            layout = (options.latency_replicas, options.latency_workers)
            found["latency"] = latency.measure(Path(scratch), made, *layout, options.repetitions)
    if "model" in parts:
        _say("model: what a call costs, then the sizes")
        costs = calibrate.measure()
        sizes = [row._asdict() for replicas in model.REPLICAS for row in model.rows(replicas, costs)]
        found |= {"costs": costs._asdict(), "model": sizes}
    print(report.text(found))
    if options.page:
        report.renew(options.page, found, _machine())
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(found, indent=1) + "\n")
    _say(f"\nEverything: {options.out}")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.fleet", description="fleets of waypointd and Envoy")
    parser.add_argument("--only", choices=PARTS, action="append", help="one part; may be repeated")
    parser.add_argument("--replicas", type=_sizes, default=(1, 2, 4, 8), help="sizes of fleets, for example 1,4")
    parser.add_argument("--repetitions", type=int, default=100, help="of the latency")
    parser.add_argument("--latency-replicas", type=int, default=8)
    parser.add_argument("--latency-workers", type=int, default=4, help="of each replica")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench-fleet.json", help="everything, as JSON")
    parser.add_argument("--keep", action="store_true", help="keep the other parts of the last run")
    parser.add_argument("--page", type=Path, help="write the tables into this page too (docs/benchmarks-fleet.md)")
    return parser.parse_args()


def _kept(path: Path, parts: tuple[str, ...]) -> dict[str, Any]:
    """What an earlier run found of other parts."""
    earlier: dict[str, Any] = json.loads(path.read_text())
    return {name: value for name, value in earlier.items() if ("model" if name == "costs" else name) not in parts}


def _machine() -> str:
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    cores, when = len(os.sched_getaffinity(0)), datetime.now(UTC).date()
    return f"{when}, {cores} cores ({model[1] if model else platform.machine()}), Linux {platform.release()}."


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _one_size(scratch: Path, made: Endpoints, replicas: int, parts: tuple[str, ...], found: dict[str, Any]) -> None:
    with waypoints(scratch, made, replicas) as fleet:
        if "commands" in parts:
            _say(f"commands: {replicas} replicas")
            phases = commands.measure(made, fleet)
            phases[commands.PHASES[-1][0]]["simulated"] = commands.simulated(replicas)
            found.setdefault("commands", {})[replicas] = phases
        if "errors" in parts:
            _say(f"errors: {replicas} replicas of waypointd")
            rows = found.setdefault("errors", {"waypointd": {}, "Envoy": {}})
            rows["waypointd"][replicas] = errors.of_waypointd(made, fleet)
    if "errors" in parts:
        _say(f"errors: {replicas} Envoys")
        rows["Envoy"][replicas] = errors.of_envoy(scratch, made, replicas)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
