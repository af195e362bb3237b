"""Runs it: `python -m tests.bench.resolving [--against TREE] [--rounds N] [--services N ...]`.

`--against` is another checkout to be measured in the same run: the trees take turns, each in a process of its own. What
is printed are medians of the rounds, in milliseconds of CPU and MiB.
"""

import sys
from pathlib import Path
from statistics import median

from tests.bench.trees import arguments, measure, trees

SUBJECT = Path(__file__).with_name("subject.py")
SIZES = (1000, 3000)
ENDPOINTS = 20

Figures = dict[str, float]


def main() -> int:
    """Prints a table for each size."""
    parser = arguments("resolving", "from manifests to a snapshot")
    parser.add_argument("--services", type=int, nargs="*", default=SIZES, help="how large the mesh is")
    parser.add_argument("--pods", action="store_true", help="with a Pod for each endpoint")
    options = parser.parse_args()
    checkouts = trees(options.against)
    for services in options.services:
        rounds: dict[str, list[Figures]] = {name: [] for name in checkouts}
        for _ in range(options.rounds):
            for name, tree in checkouts.items():
                given = ["--services", str(services), "--endpoints", str(ENDPOINTS)]
                rounds[name].append(measure(SUBJECT, tree, given + ["--pods"] * options.pods))
        print(f"\n{services:,} Services of {ENDPOINTS} endpoints{', each with its Pod' if options.pods else ''}\n")
        print("\n".join(_table(rounds)), flush=True)
    return 0


def _table(rounds: dict[str, list[Figures]]) -> list[str]:
    lines = [f"| | {' | '.join(rounds)} |", "|---|" + "---|" * len(rounds)]
    for said in next(iter(rounds.values()))[0]:
        values = [f"{median(each[said] for each in figures):,.2f}" for figures in rounds.values()]
        lines.append(f"| {said} | {' | '.join(values)} |")
    return lines


if __name__ == "__main__":
    sys.exit(main())
