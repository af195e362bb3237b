"""Each row of what is known of L7 policy at a waypoint has a test that is called after it, or a reason why it has none.

The rows are facts about Istio, Envoy 1.40 and the Gateway API: attachment (A), hosts (H), matches (M), filters (F),
prefixes (P), CORS (C), backends (B), times (T), status (S), GRPCRoute (G), VirtualService (V), AuthorizationPolicy (Z),
paths (N), worked examples (E), tokens (J), limits and retries (R), telemetry (K).
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
ROWS = """A1-15 H1-5 M1-15 F1-5 F7-19 P1-10 C1-8 B1 B3-5 B7-8 B10-13 B15-16 T1-9 S1-7 G1-5 V1-12 V14-21 Z1-12 Z20-38 Z40
Z50-53 Z60-64 N1-8 E1-19 E21-37 J1-15 R1-7 R10-18 K1-7 K10-20 K30-34 K40-44"""
WITHOUT = {
    "Z61": "AuthorizationPolicies with action CUSTOM close their target (Z64): no provider is ever asked",
    "Z62": "as Z61",
    "Z63": "as Z61",
    "R1": "what Istio has not",
    "K30": "Telemetry objects are not read; that they are there is told (tests/unit/mesh/test_silence.py)",
    "K31": "as K30",
    "K34": "dashboards in which Istio's own waypoints do not show either",
    **dict.fromkeys(("K40", "K41", "K42", "K43"), "no spans are made; headers of traces go on as they come"),
}
"""Rows without a test, and why."""
_row = re.compile(r"(?<![A-Za-z0-9])[A-Z]\d+(?![A-Za-z0-9])")


def rows() -> Iterator[str]:
    for each in ROWS.split():
        letter, first, last = re.fullmatch(r"([A-Z])(\d+)(?:-(\d+))?", each).groups()  # type: ignore[union-attr]
        yield from (f"{letter}{number}" for number in range(int(first), int(last or first) + 1))


@cache
def named() -> frozenset[str]:
    """The rows in names of tests and in their ids, which are texts that begin with a row."""
    found: set[str] = set()
    for path in TESTS.rglob("*.py"):
        if path != Path(__file__):
            found |= set(_named(ast.parse(path.read_text())))
    return frozenset(found)


def _named(tree: ast.Module) -> Iterator[str]:
    said = {id(each.value) for each in ast.walk(tree) if isinstance(each, ast.Expr)}  # docstrings
    for each in ast.walk(tree):
        if isinstance(each, ast.FunctionDef) and each.name.startswith("test_"):
            yield from (part.upper() for part in each.name.split("_") if _row.fullmatch(part.upper()))
        elif isinstance(each, ast.Constant) and id(each) not in said and _row.match(str(each.value)):
            yield from _row.findall(str(each.value))


@pytest.mark.parametrize("row", list(rows()))
def test_a_row_has_a_test_or_a_reason(row: str) -> None:
    assert (row in named()) is not (row in WITHOUT), WITHOUT.get(row, "there is no test of that name")
