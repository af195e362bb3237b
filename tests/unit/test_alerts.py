"""The alerts, as promtool reads and evaluates them: tests/unit/alerts.yaml has when each is given, and when not."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ALERTS = ROOT / "deploy/helm/waypointd/monitoring/alerts.yaml"
CASES = Path(__file__).parent / "alerts.yaml"


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def promtool(*arguments: str) -> None:
    if not shutil.which("promtool"):
        pytest.skip("promtool is not installed: scripts/prepare test (Debian's prometheus)")
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_them() -> None:
    promtool("check", "rules", str(ALERTS))


def test_each_is_given_when_it_should_be_and_only_then() -> None:
    promtool("test", "rules", str(CASES))


def test_each_has_a_case_in_which_it_is_given_and_one_in_which_it_is_not() -> None:
    tests = [case for test in yaml.safe_load(CASES.read_text())["tests"] for case in test["alert_rule_test"]]
    for given in (True, False):
        names = {case["alertname"] for case in tests if bool(case["exp_alerts"]) == given}
        assert names == {rule["alert"] for rule in rules()}


def test_each_says_what_is_the_matter_what_to_do_and_how_much_it_matters() -> None:
    for rule in rules():
        assert rule["annotations"].keys() == {"summary", "description"}
        assert rule["labels"]["severity"] in ("critical", "warning")
