"""Checkouts that a bench measures in turns in one run: this one, and another to be held against it."""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def arguments(name: str, purpose: str) -> argparse.ArgumentParser:
    """A parser for `python -m tests.bench.NAME`, with what all such benches take."""
    parser = argparse.ArgumentParser(prog=f"python -m tests.bench.{name}", description=purpose)
    parser.add_argument("--against", type=Path, help="another checkout, compiled")
    parser.add_argument("--rounds", type=int, default=3)
    return parser


def trees(against: Path | None) -> Mapping[str, Path]:
    """The checkouts by the name that tables give them."""
    return {"this tree": ROOT} | ({"against": against.resolve()} if against else {})


def measure(subject: Path, tree: Path, given: Sequence[str]) -> dict[str, Any]:
    """The figures that the program `subject` prints as JSON when it runs on the code of `tree`."""
    done = subprocess.run(
        [sys.executable, str(subject), *given],
        env={**os.environ, "PYTHONPATH": str(tree)},
        cwd=tree,
        check=True,
        stdout=subprocess.PIPE,
    )
    return dict(json.loads(done.stdout))
