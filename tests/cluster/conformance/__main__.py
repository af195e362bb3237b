"""Runs a profile of the Gateway API's conformance suite (`make conformance`): one line a test, and what is lost.

    scripts/cluster PYTHON -m tests.cluster.conformance PROFILE [--test REGEX] [--folder DIR] [-- FLAGS OF IT]

The exit status is 1 when a test fails that files/expected-PROFILE.txt names. A whole profile's official report goes to
docs/conformance/PROFILE.yaml.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from tests.cluster.api_rig import Api
from tests.cluster.conformance.profiles import FILES, PROFILES, Profile
from tests.cluster.conformance.suite import Outcome, lost, named
from tests.cluster.deployer_rig import ROOT
from tests.cluster.kit.cluster import Cluster

REPORTS = ROOT / "docs" / "conformance"


def main() -> int:
    """The exit status."""
    options = _options()
    profile = PROFILES[options.profile]
    folder: Path = (options.folder or ROOT / "build" / "conformance" / profile.name).resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    found = profile.run(Api(Cluster.running()), folder, options.test, *options.flags)
    missed = lost(profile.expected, found)
    if options.test:
        missed &= {each.test for each in found}
    _tell(profile, found, missed)
    print(f"conformance: the suite's log and the others' are in {folder}")
    if not found:
        return 2
    if not options.test and (folder / "report.yaml").exists():
        shutil.copy(folder / "report.yaml", REPORTS / f"{profile.name}.yaml")
    return 1 if missed else 0


def _tell(profile: Profile, found: list[Outcome], missed: set[str]) -> None:
    plain, expected = set(named(FILES / f"plain-{profile.name}.txt")), set(profile.expected)
    for each in found:
        passed = [case for case, well in each.cases.items() if well]
        telling = sum(f"{each.test}/{case}" not in plain for case in passed)
        how, remark = "PASS" if each.passed else "FAIL", ""
        if each.passed != (each.test in expected):
            remark = "not expected yet" if each.passed else "expected to pass"
        cases = f"{len(passed):2} of {len(each.cases):2} cases, {telling:2} of them telling"
        print(f"{how} {each.test:47} {cases}, {each.seconds:6.1f} s  {remark}".rstrip())
    print(f"{sum(each.passed for each in found)} of {len(found)} passed; lost: {', '.join(sorted(missed)) or 'none'}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("profile", choices=PROFILES)
    parser.add_argument("--test", default="", help="only tests whose name matches, as 'Mesh(Ports|Frontend)$'")
    parser.add_argument("--folder", type=Path, help="where logs go; default: build/conformance/PROFILE")
    parser.add_argument("flags", nargs="*", help="of the suite itself, behind --: --debug, --fail-fast ...")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
