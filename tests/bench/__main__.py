"""Runs the benchmark: `python -m tests.bench [--rounds N] [--seconds S] [--connections C] [--only NAME] [--out FILE]`.

All proxies are up from the start, each with one worker on the same core; endpoints and wrk share another one. In each
round every proxy has one turn while the others idle, in an order that rotates, so a slow spell of the machine hits all.
Loopback only; whatever it starts ends with it.
"""

import argparse
import contextlib
import json
import os
import sys
import tempfile
from pathlib import Path

from tests.bench import load, origin, report
from tests.bench.contestants import CONTESTANTS, MERGING, ROOT, RULE, Contestant, Values
from tests.bench.load import Turn
from tests.bench.processes import Process
from tests.rig import free_port

ENDPOINTS = ("127.30.1.1", "127.30.1.2", "127.30.1.3")
PEER = "Envoy"
WARM_UP_S = 1.0


def main() -> int:
    """Exit status 0, or 1 when a figure could not be taken."""
    options = _arguments()
    cores = sorted(os.sched_getaffinity(0))
    proxy_core, load_core = cores[-1], cores[0]
    if proxy_core == load_core:
        print("only one CPU: load and proxy share it, rates say little and CPU per request a bit", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="waypointd-bench-") as scratch, contextlib.ExitStack() as running:
        directory = Path(scratch)
        port, endpoint_port = free_port(), free_port()
        running.enter_context(origin.start(directory, ENDPOINTS, endpoint_port, load_core))
        chosen = [each for each in CONTESTANTS if not options.only or each.name.lower() == options.only.lower()]
        processes = {
            each.name: running.enter_context(_start(each, directory, port, endpoint_port, proxy_core))
            for each in chosen
        }
        results = _rounds(options, chosen, processes, port, load_core)
    _tell(options, results)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="waypointd and Envoy side by side")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of one turn")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--only", choices=[each.name.lower() for each in CONTESTANTS], help="one proxy alone")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench.json", help="every single turn, as JSON")
    return parser.parse_args()


def _start(contestant: Contestant, scratch: Path, port: int, endpoint_port: int, core: int) -> Process:
    directory = scratch / contestant.name
    directory.mkdir()
    values: Values = (
        RULE
        | MERGING
        | {
            "ip": contestant.ip,
            "port": str(port),
            "endpoint_port": str(endpoint_port),
            "access_log": str(directory / "access.log"),
        }
        | {f"endpoint{number}": ip for number, ip in enumerate(ENDPOINTS, 1)}
    )
    process = Process(contestant.command(directory, values), core, directory / "output.log")
    process.await_listening(contestant.ip, port)
    return process


def _rounds(
    options: argparse.Namespace, chosen: list[Contestant], processes: dict[str, Process], port: int, core: int
) -> dict[str, list[Turn]]:
    results: dict[str, list[Turn]] = {each.name: [] for each in chosen}
    for each in chosen:
        load.run(each.ip, port, core, options.connections, WARM_UP_S)
    for number in range(options.rounds):
        shift = number % len(chosen)
        for each in chosen[shift:] + chosen[:shift]:
            turn = _turn(options, each, processes[each.name], port, core)
            results[each.name].append(turn)
            print(f"round {number + 1}: {each.name:10} {turn.cpu_us:6.1f} us/request", file=sys.stderr)
    return results


def _turn(options: argparse.Namespace, contestant: Contestant, process: Process, port: int, core: int) -> Turn:
    before = process.cpu_seconds()
    done = load.run(contestant.ip, port, core, options.connections, options.seconds)
    used = process.cpu_seconds() - before
    return Turn(
        requests=done.requests,
        requests_per_second=done.requests / done.seconds,
        cpu_us=used / done.requests * 1e6,
        busy=used / done.seconds,
        p50_us=done.p50_us,
        p99_us=done.p99_us,
    )


def _tell(options: argparse.Namespace, results: dict[str, list[Turn]]) -> None:
    peer = PEER if PEER in results else next(iter(results))
    print(report.table(results, peer))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    turns = {name: [turn._asdict() for turn in each] for name, each in results.items()}
    options.out.write_text(json.dumps({"summary": report.summary(results, peer), "turns": turns}, indent=1) + "\n")
    print(f"\nAll turns: {options.out}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
