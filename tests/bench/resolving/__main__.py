"""Runs it: `python -m tests.bench.resolving [--against TREE] [--rounds N] [--services N ...]`.

`--against` is another checkout to be measured in the same run: the trees take turns, each in a process of its own. What
is printed are medians of the rounds, in milliseconds of CPU and MiB.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
SUBJECT = Path(__file__).with_name("subject.py")
SIZES = (1000, 3000)
ENDPOINTS = 20

Figures = dict[str, float]


def main() -> int:
    """Prints a table for each size."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.resolving", description="from manifests to a snapshot")
    parser.add_argument("--against", type=Path, help="another checkout")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--services", type=int, nargs="*", default=SIZES, help="how large the mesh is")
    parser.add_argument("--pods", action="store_true", help="with a Pod for each endpoint")
    options = parser.parse_args()
    trees = {"this tree": ROOT} | ({"against": options.against.resolve()} if options.against else {})
    for services in options.services:
        rounds: dict[str, list[Figures]] = {name: [] for name in trees}
        for _ in range(options.rounds):
            for name, tree in trees.items():
                rounds[name].append(_measure(tree, services, options.pods))
        print(f"\n{services:,} Services of {ENDPOINTS} endpoints{', each with its Pod' if options.pods else ''}\n")
        print("\n".join(_table(rounds)), flush=True)
    return 0


def _measure(tree: Path, services: int, pods: bool) -> Figures:
    command = [sys.executable, str(SUBJECT), "--services", str(services), "--endpoints", str(ENDPOINTS)]
    done = subprocess.run(
        [*command, *(["--pods"] if pods else [])],
        env={**os.environ, "PYTHONPATH": str(tree)},
        cwd=tree,
        check=True,
        stdout=subprocess.PIPE,
    )
    found: Any = json.loads(done.stdout)
    return dict(found)


def _table(rounds: dict[str, list[Figures]]) -> list[str]:
    lines = [f"| | {' | '.join(rounds)} |", "|---|" + "---|" * len(rounds)]
    for said in next(iter(rounds.values()))[0]:
        values = [f"{median(each[said] for each in figures):,.2f}" for figures in rounds.values()]
        lines.append(f"| {said} | {' | '.join(values)} |")
    return lines


if __name__ == "__main__":
    sys.exit(main())
