"""The fleet in made-up time (tests/fleet/simulator): a thousand seeds, and whether it would notice what it is for.

`python -m tests.fleet.simulator --seed N -v` tells the whole story of a seed that breaks an invariant.
"""

import subprocess
import sys

import pytest

from tests.fleet.simulator.mutants import MUTANTS
from tests.fleet.simulator.run import run_seed

CHUNK = 50
# So many seeds at most until a mend that was taken back is missed.
SOON = 80


@pytest.mark.parametrize("first", range(0, 1000, CHUNK))
def test_seeds(first: int) -> None:
    assert [each.text for each in map(run_seed, range(first, first + CHUNK)) if each.broken] == []


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
