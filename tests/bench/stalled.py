"""What streams that nobody reads cost the others: `python -m tests.bench.stalled [--rounds N] [--streams N,N]`.

Two replicas. At one, a client has so many uploads (downloads) on a connection that nobody reads; at the other it has
none. In turns, six more requests of that client at once, on that connection, and six of another client to the same
endpoint: how long until all are served. Printed, with over without: the median of the rounds' ratios; of the lower
quartiles of the times, which others on the machine lengthen less; of the worker's processor time. Loopback only.
"""

import argparse
import contextlib
import itertools
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tests.hbone.http2 import Connection
from tests.integration.hbone_rig import HboneBench, hbone_bench
from tests.integration.stalled_rig import OTHERS, SERVED, STALLED, Stalled, play, served
from tests.rig import steady

WARM_UP = 5


class Side:
    """A replica, with the connections of two clients."""

    def __init__(self, running: contextlib.ExitStack) -> None:
        scratch = running.enter_context(tempfile.TemporaryDirectory(prefix="waypointd-bench-"))
        self.bench: HboneBench = running.enter_context(hbone_bench(Path(scratch), *SERVED))
        play(self.bench)
        self.pids = self.bench.replica.worker_pids()
        self.clients = {
            "same client": self.bench.ztunnel.connect(),
            "another": running.enter_context(self.bench.mesh.ztunnel(self.bench.address)).connect(),
        }

    def seconds(self, name: str, client: str) -> tuple[float, int]:
        """And the nanoseconds of the worker's processor. RuntimeError when a request is not served."""
        used, began = self.processor_ns(), time.perf_counter()
        if served(self.bench, name, self.clients[client]) != [20_000] * OTHERS:
            raise RuntimeError(f"{name}, {client}: an answer is not whole")
        return time.perf_counter() - began, self.processor_ns() - used

    def processor_ns(self) -> int:
        return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in self.pids)


def main() -> int:
    """Exit status 0; TimeoutError when a request is not served."""
    options = _arguments()
    for name, kind in itertools.product((each.name for each in SERVED), ("upload", "download")):
        with contextlib.ExitStack() as running:
            without, beside = Side(running), Side(running)
            connection: Connection = beside.clients["same client"]
            stalled = Stalled(beside.bench, name, itertools.repeat(connection).__next__)
            for count in options.streams:
                while len(stalled.clients) < count:
                    stalled.begin(kind)
                steady(stalled.moved, 0.5, 30)
                figures = [
                    f"{client} {_ratio(without, beside, name, client, options.rounds)}" for client in without.clients
                ]
                print(f"{name:6} {kind:9} {count:3} stalled: {', '.join(figures)}", flush=True)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.stalled", description="what streams that stall cost others"
    )
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--streams", type=lambda text: [int(each) for each in text.split(",")], default=STALLED)
    return parser.parse_args()


def _ratio(without: Side, beside: Side, name: str, client: str, rounds: int) -> str:
    taken: list[tuple[tuple[float, int], tuple[float, int]]] = []
    for number in range(-WARM_UP, rounds):
        if number % 2:
            pair = without.seconds(name, client), beside.seconds(name, client)
        else:
            later = beside.seconds(name, client)
            pair = without.seconds(name, client), later
        taken += [pair] if number >= 0 else []
    times = [[pair[side][0] for pair in taken] for side in (0, 1)]
    median = statistics.median(after / before for before, after in zip(*times, strict=True))
    lower = [statistics.quantiles(each)[0] for each in times]
    work = [statistics.median(pair[side][1] for pair in taken) for side in (0, 1)]
    return (
        f"{median:.2f} / {lower[1] / lower[0]:.2f} / {work[1] / work[0]:.2f} "
        f"({lower[0] * 1e3:.1f} ms and {work[0] / 1e6:.1f} ms of the processor without)"
    )


if __name__ == "__main__":
    sys.exit(main())
