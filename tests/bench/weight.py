"""What a replica weighs: `python -m tests.bench.weight [--workers 1 2 4] [--seconds S] [--before TREE]`.

Of each process its PSS (memory, of which what is shared counts in parts: smaps_rollup), for each replica the CPU it
took to become ready, and what it takes in a second in which nothing happens. A Redis stands beside it, not weighed.
"""

import argparse
import compileall
import re
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.bench.contestants import MERGING, ROOT, RULE, waypointd
from tests.bench.processes import Process, descendants
from tests.redis_rig import DEBIAN, server
from tests.rig import free_port

SETTLE_S = 12.0
"""From ready to the figures: what is done once has been done by then, and a worker no longer expects failures."""
IP = "127.30.2.1"


class Weight(NamedTuple):
    """Figures of one replica."""

    cpu_to_ready: float
    """Seconds of CPU, of all processes."""
    pss: dict[str, float]
    """MiB by process; of several workers their mean."""
    total: float
    """MiB of the whole replica."""
    idle: float
    """Milliseconds of CPU in a second."""


def main() -> int:
    """Exit status 0."""
    options = _arguments()
    trees = [("this", ROOT)] + ([("before", options.before.resolve())] if options.before else [])
    for _, tree in trees:  # as an installed package is
        for package in ("proxy", "state"):
            compileall.compile_dir(tree / package, quiet=1)
    with tempfile.TemporaryDirectory(prefix="waypointd-weight-") as scratch, server(Path(scratch), DEBIAN) as redis:
        for workers in options.workers:
            for name, tree in trees:
                _tell(name, workers, list(_weighed(options, tree, workers, redis.url)))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.weight", description="what a replica weighs")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=20.0, help="of idleness")
    parser.add_argument("--before", type=Path, help="another compiled checkout, to be weighed beside this one")
    return parser.parse_args()


def _weighed(options: argparse.Namespace, tree: Path, workers: int, redis: str) -> Iterator[Weight]:
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory(prefix="waypointd-weight-") as scratch:
            yield _weigh(Path(scratch), tree, workers, redis, options.seconds)


def _weigh(directory: Path, tree: Path, workers: int, redis: str, seconds: float) -> Weight:
    status = free_port()
    values = RULE | MERGING | {"ip": IP, "port": str(free_port()), "endpoint_port": "9"}
    values |= {"access_log": str(directory / "access.log")} | {f"endpoint{n}": f"127.30.1.{n}" for n in (1, 2, 3)}
    command = waypointd(directory, values, tree, workers)
    command += ["--redis", redis, "--status", f"127.0.0.1:{status}"]
    with Process(command, None, directory / "output") as replica:
        _await_ready(f"http://127.0.0.1:{status}/healthz/ready")
        to_ready = replica.cpu_seconds()
        time.sleep(SETTLE_S)
        before = replica.cpu_seconds()
        time.sleep(seconds)
        idle = replica.cpu_seconds() - before
        pss = {pid: _pss(pid) for pid in descendants(replica.pid)}
        return Weight(to_ready, _by_name(pss), sum(pss.values()), idle / seconds * 1e3)


def _await_ready(url: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.02)


def _pss(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def _by_name(pss: dict[int, float]) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for pid, size in pss.items():
        named = re.search(rb"controller|worker", Path(f"/proc/{pid}/cmdline").read_bytes())
        found.setdefault(named[0].decode() if named else "arbiter", []).append(size)
    return {name: statistics.mean(sizes) for name, sizes in sorted(found.items())}


def _tell(tree: str, workers: int, weights: Sequence[Weight]) -> None:
    def median(of: Sequence[float]) -> float:
        return statistics.median(of)

    names = sorted(set().union(*(each.pss for each in weights)))
    parts = ", ".join(f"{name} {median([each.pss[name] for each in weights]):.1f}" for name in names)
    print(
        f"{tree:6} -w {workers}: {median([each.total for each in weights]):6.1f} MiB ({parts}); "
        f"ready after {median([each.cpu_to_ready for each in weights]):.2f} s of CPU; "
        f"idle {median([each.idle for each in weights]):.1f} ms/s",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
