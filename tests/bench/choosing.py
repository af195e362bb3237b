"""What many endpoints cost: `python -m tests.bench.choosing [--before DIR] [--rounds N] [--seconds S] [--endpoints N]`.

Two figures. A pick alone by each algorithm, in nanoseconds; and CPU per request of the whole of waypointd, with one
worker, for a Service of 3 endpoints and one of many, in turns, in one run. With many, connections are colder too: each
waits for its next request as many times longer. `--before` is another checkout, built, to have its turns in the same
run. Loopback only.
"""

import argparse
import contextlib
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from proxy.mesh.traffic.balancing import ConsistentHash, LoadBalancer, Maglev, Simple
from proxy.scoreboard.scoreboard import Scoreboard
from tests.bench import load, origin
from tests.bench.contestants import HERE, MERGING, ROOT, RULE, Command
from tests.bench.processes import Process
from tests.instruments.choosing import picking_ns
from tests.relay_rig import cluster, relay
from tests.rig import free_port

FEW = 3
CONNECTIONS = 64
WARM_UP_S = 2.0
PICKS = 100_000


class Contestant(NamedTuple):
    """A checkout with so many endpoints, on an address of its own."""

    name: str
    checkout: Path
    endpoints: int
    ip: str


def main() -> int:
    """Exit status 0; RuntimeError when a figure could not be taken."""
    options = _arguments()
    for name, weights, balancer in ALGORITHMS:
        took = [_picking(count, weights, balancer) for count in (FEW, options.endpoints)]
        print(f"{'one pick, ns: ' + name:40} {took[0]:8.1f} {took[1]:8.1f}   ({FEW}, {options.endpoints})")
    checkouts = {"this": ROOT} | ({"before": options.before.resolve()} if options.before else {})
    chosen = [
        Contestant(f"{name} {count}", checkout, count, f"127.31.0.{2 * at + (count != FEW) + 1}")
        for at, (name, checkout) in enumerate(checkouts.items())
        for count in (FEW, options.endpoints)
    ]
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="waypointd-bench-") as scratch, contextlib.ExitStack() as running:
        results = _rounds(options, chosen, Path(scratch), running, cores[-1], cores[0])
    for name in checkouts:
        few, many = results[f"{name} {FEW}"], results[f"{name} {options.endpoints}"]
        times = statistics.median(each / other for each, other in zip(many, few, strict=True))  # within a round
        print(f"{name + ', us/request':24} {statistics.median(few):8.1f} {statistics.median(many):8.1f}   {times:.2f}x")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.choosing", description="what many endpoints cost")
    parser.add_argument("--before", type=Path, help="another checkout, built")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2, help="of one turn")
    parser.add_argument("--endpoints", type=int, default=1000)
    return parser.parse_args()


def _addresses(count: int) -> list[str]:
    return [f"127.32.{number // 200}.{number % 200 + 1}" for number in range(count)]


# -- a pick alone -----------------------------------------------------------------------------------------------------


BY_USER = ConsistentHash(http_header_name="x-user")
ALIKE, UNLIKE = (1,), (1, 2, 3, 4, 5)
ALGORITHMS = [
    ("ROUND_ROBIN", ALIKE, LoadBalancer()),
    ("ROUND_ROBIN by weight", UNLIKE, LoadBalancer()),
    ("LEAST_REQUEST", ALIKE, LoadBalancer(simple=Simple.LEAST_REQUEST)),
    ("LEAST_REQUEST by weight", UNLIKE, LoadBalancer(simple=Simple.LEAST_REQUEST)),
    ("RANDOM", ALIKE, LoadBalancer(simple=Simple.RANDOM)),
    ("ringHash", ALIKE, LoadBalancer(consistent_hash=BY_USER)),
    ("ringHash by weight", UNLIKE, LoadBalancer(consistent_hash=BY_USER)),
    ("maglev", ALIKE, LoadBalancer(consistent_hash=replace(BY_USER, maglev=Maglev(table_size=65537)))),
]


def _picking(count: int, weights: Sequence[int], balancer: LoadBalancer) -> float:
    """The best of five, in nanoseconds; by keys, each pick has another."""
    board = Scoreboard.create()
    made = relay(board)
    heavy = [weights[at % len(weights)] for at in range(count)]
    made.apply(True, [cluster(board, "many", _addresses(count), True, balancer, heavy)], [])
    return min(picking_ns(made, "many", PICKS) for _ in range(5))


# -- the whole --------------------------------------------------------------------------------------------------------


def _rounds(
    options: argparse.Namespace,
    chosen: Sequence[Contestant],
    scratch: Path,
    running: contextlib.ExitStack,
    proxy_core: int,
    load_core: int,
) -> dict[str, list[float]]:
    port, endpoint_port = free_port(), free_port()
    running.enter_context(origin.start(scratch, _addresses(options.endpoints), endpoint_port, load_core))
    processes = {
        each.name: running.enter_context(_start(each, scratch, port, endpoint_port, proxy_core)) for each in chosen
    }
    results: dict[str, list[float]] = {each.name: [] for each in chosen}
    for number in range(options.rounds + 1):
        shift = number % len(chosen)
        for each in [*chosen[shift:], *chosen[:shift]]:
            cpu_us = _turn(each, processes[each.name], port, load_core, options.seconds if number else WARM_UP_S)
            if number:
                results[each.name].append(cpu_us)
                print(f"round {number}: {each.name:12} {cpu_us:6.1f} us/request", file=sys.stderr)
    return results


def _start(contestant: Contestant, scratch: Path, port: int, endpoint_port: int, core: int) -> Process:
    directory = scratch / contestant.name.replace(" ", "-")
    directory.mkdir()
    manifests = directory / "waypointd.yaml"
    manifests.write_text(_manifests(contestant.endpoints, port, endpoint_port))
    program = contestant.checkout / "bin" / "waypointd"
    where = ["--bind", contestant.ip, "--admin", "127.0.0.1:0", "--status", "127.0.0.1:0"]
    command: Command = [sys.executable, program, "-w", "1", "--manifests", manifests, *where]
    process = Process([*command, "--access-log", directory / "access.log"], core, directory / "output.log")
    process.await_listening(contestant.ip, port)
    return process


def _manifests(count: int, port: int, endpoint_port: int) -> str:
    """The benchmark's objects, with so many endpoints."""
    values = RULE | MERGING | {"port": str(port), "endpoint_port": str(endpoint_port)}
    lines = (HERE / "waypointd.yaml").read_text().splitlines(keepends=True)
    first = next(at for at, line in enumerate(lines) if "${endpoint1}" in line)
    endpoints = [lines[first].replace("${endpoint1}", ip) for ip in _addresses(count)]
    text = "".join([*lines[:first], *endpoints, *(line for line in lines[first:] if "{addresses:" not in line)])
    for name, value in values.items():
        text = text.replace(f"${{{name}}}", value)
    return text


def _turn(contestant: Contestant, process: Process, port: int, core: int, seconds: float) -> float:
    """CPU per request, in microseconds."""
    before = process.cpu_seconds()
    done = load.run(contestant.ip, port, core, CONNECTIONS, seconds)
    return (process.cpu_seconds() - before) / done.requests * 1e6


if __name__ == "__main__":
    sys.exit(main())
