"""The fleet in made-up time (tests/fleet/simulator): a thousand seeds, and whether it would notice what it is for.

`python -m tests.fleet.simulator --seed N -v` tells the whole story of a seed that breaks an invariant.
"""

import subprocess
import sys
from collections.abc import Sequence

import pytest

from tests.fleet.simulator import __main__
from tests.fleet.simulator.__main__ import Lines
from tests.fleet.simulator.invariants import has_room
from tests.fleet.simulator.mutants import MUTANTS
from tests.fleet.simulator.run import Result, run_seed

CHUNK = 50
# So many seeds at most until a mend that was taken back is missed.
SOON = 80


@pytest.mark.parametrize("first", range(0, 1000, CHUNK))
def test_seeds(first: int) -> None:
    assert [each.text for each in map(run_seed, range(first, first + CHUNK)) if each.broken] == []


REMOVALS = ("hand_ejects", "removed", "removed", "removed")


@pytest.mark.parametrize(
    ("seed", "only"),
    [
        (250, REMOVALS),  # a worker that had not heard yet that an endpoint had left went by the former cap
        (1734, REMOVALS),  # ... ejected it
        (2324, REMOVALS),  # the news of an ejection were on their way when all was looked at
    ],
)
def test_what_once_broke(seed: int, only: Sequence[str]) -> None:
    assert run_seed(seed, None, only).text == ""


def test_room_is_that_of_any_view_a_report_may_come_from() -> None:
    assert has_room(67, {"a"}, {"a", "b", "c"})
    assert not has_room(67, {"a"}, {"a", "b"})
    assert not has_room(67, set(), {"a"})


def test_what_was_stopped_can_be_continued(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(__main__, "PROGRESS", 2)
    lines = list(Lines([Result(7), Result(8, "cap", "cap: too many"), Result(9)]))
    assert lines[0] == "seed 8: cap: too many"
    assert lines[1].startswith("next 9: 2 seeds in ") and lines[1].endswith("broken: {'cap': 1}")
    assert len(lines) == 3


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mend_taken_back_is_noticed(name: str) -> None:
    mutant = MUTANTS[name]
    with mutant.made():
        results = (run_seed(seed, None, mutant.only) for seed in range(mutant.first, mutant.first + SOON))
        found = next((each for each in results if each.broken in mutant.breaks), None)
    assert found is not None, "the simulator is blind to this"
    assert run_seed(found.seed, None, mutant.only).broken == "", "and it is not this mend that was missed"


STORY = "from tests.fleet.simulator.run import run_seed; run_seed(7, print)"


def test_a_seed_is_a_story() -> None:
    def told(hash_seed: str) -> str:
        given = {"PYTHONHASHSEED": hash_seed, "PATH": ""}
        return subprocess.run(
            [sys.executable, "-c", STORY], env=given, capture_output=True, text=True, check=True
        ).stdout

    assert told("1") == told("2") != ""
