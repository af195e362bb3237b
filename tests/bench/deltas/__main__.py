"""Runs it: `python -m tests.bench.deltas [--against TREE] [--rounds N] [--changes N]`.

`--against` is another checkout, compiled, to be measured in the same run: the trees take turns, each in a process
of its own. What is printed are medians of the rounds, in milliseconds of CPU and bytes of one worker's channel.
"""

import argparse
import sys
from pathlib import Path
from statistics import median

from tests.bench.trees import arguments, measure, trees

SUBJECT = Path(__file__).with_name("subject.py")
SIZES = ((100, 20), (1000, 20), (3000, 10))
"""Services, and endpoints of each: the scoreboard has room for 32,768 in all."""
COLUMNS = ("bytes", "worker_ms", "update_ms", "body_ms", "keep_ms", "settle_ms")

Figures = dict[str, dict[str, float]]


def main() -> int:
    """Prints a table for each size."""
    options = _arguments()
    checkouts = trees(options.against)
    for services, endpoints in SIZES:
        if options.services and services not in options.services:
            continue
        rounds: dict[str, list[Figures]] = {name: [] for name in checkouts}
        for _ in range(options.rounds):
            for name, tree in checkouts.items():
                given = ["--services", str(services), "--endpoints", str(endpoints), "--changes", str(options.changes)]
                rounds[name].append(measure(SUBJECT, tree, given))
        print(f"\n{services:,} Services of {endpoints} endpoints\n")
        print("\n".join(_table(rounds)), flush=True)
    return 0


def _arguments() -> argparse.Namespace:
    parser = arguments("deltas", "what a change of the mesh costs")
    parser.add_argument("--changes", type=int, default=30, help="of each kind in a round")
    parser.add_argument("--services", type=int, nargs="*", help="only these sizes")
    return parser.parse_args()


def _table(rounds: dict[str, list[Figures]]) -> list[str]:
    lines = [f"| change | tree | {' | '.join(COLUMNS)} |", "|---|---|" + "---|" * len(COLUMNS)]
    for kind, said in (("endpoint", "an endpoint leaves"), ("service", "a Service comes"), ("start", "everything")):
        for name, figures in rounds.items():
            values = [
                median(each[kind][column] for each in figures) if column in figures[0][kind] else None
                for column in COLUMNS
            ]
            lines.append(f"| {said} | {name} | {' | '.join(map(_shown, COLUMNS, values))} |")
    return lines


def _shown(column: str, value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if column == "bytes" else f"{value:.3f}"


if __name__ == "__main__":
    sys.exit(main())
