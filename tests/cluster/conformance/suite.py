"""The suite itself: one run of it against the cluster that KUBECONFIG names, and what each test came to."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from proxy.version import __version__
from tests.cluster.kit.cluster import PROGRAMS

SUITE = PROGRAMS / "conformance.test"
URL = "http://localhost"
_RESULT = re.compile(r"^ *--- (PASS|FAIL): TestConformance/([^/ ]+)(?:/(.+))? \(([0-9.]+)s\)$", re.MULTILINE)
_LONGEST = "90m"


@dataclass(frozen=True)
class Outcome:
    """Of one test. `cases`: whether each of them passed, by name; a test without any is one itself."""

    test: str
    passed: bool
    seconds: float
    cases: Mapping[str, bool]


def run(folder: Path, tests: str, profiles: str, features: Iterable[str], times: Iterable[str], *more: str) -> str:
    """Its log, which is also FOLDER/suite.log beside the official report.yaml. `tests`: a regular expression of names,
    "" for all; `times`: how long it waits for what, in seconds; `more`: flags of its own."""
    words = [
        *(str(SUITE), "-test.v", f"-test.timeout={_LONGEST}", f"-test.run=TestConformance/{tests}"),
        *(f"--conformance-profiles={profiles}", f"--supported-features={','.join(features)}"),
        *(f"--timeout-config-overrides={';'.join(times)}", f"--report-output={folder}/report.yaml"),
        *("--organization=waypointd", "--project=waypointd", f"--url={URL}", f"--version={__version__}"),
        *("--contact=none", *more),
    ]
    log = folder / "suite.log"
    with log.open("wb") as out:
        subprocess.run(words, stdout=out, stderr=out, check=False, cwd=folder)
    return log.read_text(errors="replace")


def experimental_crds() -> list[Path]:
    """Those of that channel, as the suite's module has them."""
    go = Path(os.environ.get("VENV", ".venv")) / "bin" / "go"
    words = [str(go) if go.exists() else "go", "list", "-mod=readonly", "-m", "-f={{.Dir}}", "sigs.k8s.io/gateway-api"]
    found = subprocess.run(words, capture_output=True, text=True, check=True, cwd=Path(__file__).parent)
    folder = Path(found.stdout.strip()) / "config" / "crd" / "experimental"
    return [each for each in sorted(folder.glob("gateway.networking.k8s.io_*.yaml")) if "_vap_" not in each.name]


def outcomes(log: str) -> list[Outcome]:
    """What a log says, by name. Cases of cases count as the test's."""
    found: dict[str, Outcome] = {}
    cases: dict[str, dict[str, bool]] = {}
    for how, test, case, seconds in _RESULT.findall(log):
        if case:
            cases.setdefault(test, {})[case] = how == "PASS"
        else:
            found[test] = Outcome(test, how == "PASS", float(seconds), cases.setdefault(test, {}))
    return [found[name] for name in sorted(found)]


def lost(expected: Iterable[str], found: Iterable[Outcome]) -> set[str]:
    """Of the tests that must pass, those that have not."""
    return set(expected) - {each.test for each in found if each.passed}


def named(path: Path) -> list[str]:
    """The lines of a file of names, but for comments."""
    return list(_lines(path.read_text())) if path.exists() else []


def _lines(text: str) -> Iterator[str]:
    return (line for line in text.splitlines() if line and not line.startswith("#"))
