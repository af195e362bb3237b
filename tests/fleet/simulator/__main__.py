"""python -m tests.fleet.simulator --seed 4711 -v, or --seeds 0:100000 --jobs 2."""

import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import click

from tests.fleet.simulator.plan import KINDS
from tests.fleet.simulator.run import Result, Work, run_seed, run_some

CHUNK = 50
# Of seeds that break something so many are told.
TOLD = 50
# After so many seeds a line says how far it is: what is stopped can be continued from there.
PROGRESS = 5000
# A process is replaced after so many chunks: what LuaJIT and memory maps keep does not pile up.
CHUNKS = 40


def chunks(seeds: Iterable[int], only: Sequence[str]) -> Iterator[Work]:
    each = iter(seeds)
    while some := list(islice(each, CHUNK)):
        yield some, tuple(only)


def run_all(seeds: Sequence[int], only: Sequence[str], jobs: int) -> Iterator[Result]:
    """In their order."""
    if jobs == 1:
        for seed in seeds:
            yield run_seed(seed, None, only)
        return
    with multiprocessing.get_context("spawn").Pool(jobs, maxtasksperchild=CHUNKS) as pool:
        for results in pool.imap(run_some, chunks(seeds, only)):
            yield from results


class Lines:
    """What is said of them: each that broke something, how far it is now and then, and at the end all."""

    def __init__(self, results: Iterable[Result]) -> None:
        self._results = results
        self._began = time.monotonic()
        self._count = 0
        self.broken = Counter[str]()

    def __iter__(self) -> Iterator[str]:
        for result in self._results:
            self._count += 1
            if result.broken:
                self.broken[result.broken] += 1
                if self.broken.total() <= TOLD:
                    yield f"seed {result.seed}: {result.text}"
            if self._count % PROGRESS == 0:
                yield f"next {result.seed + 1}: {self._so_far()}"
        yield self._so_far()

    def _so_far(self) -> str:
        took_s = time.monotonic() - self._began
        each_ms = 1000 * took_s / max(1, self._count)
        return f"{self._count} seeds in {took_s:.0f} s, {each_ms:.1f} ms each; broken: {dict(self.broken) or 'none'}"


@click.command()
@click.option("--seed", type=int, help="One.")
@click.option("--seeds", default="0:1000", show_default=True, help="FIRST:LAST, the last not among them.")
@click.option("--only", default="", help=f"Of what may go wrong only this, with commas: {', '.join(KINDS)}.")
@click.option("--jobs", default=1, show_default=True, help="Processes.")
@click.option("-v", "--verbose", is_flag=True, help="Print all that happens.")
def main(seed: int | None, seeds: str, only: str, jobs: int, verbose: bool) -> None:
    """Runs seeds, and exits with 1 if an invariant was broken. What is told of a seed is the same each time.

    Every so often a line says which seed is next: what was stopped goes on with `--seeds NEXT:LAST`."""
    kinds = tuple(only.split(",")) if only else ()
    if seed is not None:
        result = run_seed(seed, print if verbose else None, kinds)
        print(f"seed {seed}: {result.text or 'all is well'}")
        sys.exit(bool(result.broken))
    first, _, last = seeds.partition(":")
    found = run_all(range(int(first), int(last)), kinds, jobs)
    for line in (lines := Lines(found)):
        print(line, flush=True)
    sys.exit(bool(lines.broken))


if __name__ == "__main__":
    main()
