"""Alerts as promtool evaluates them (tests/unit/alerts.yaml: when each is given, when not), and the dashboard's form.

Whether there is data for both: tests/integration/test_prometheus.py.
"""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
MONITORING = ROOT / "deploy/helm/waypointd/monitoring"
ALERTS = MONITORING / "alerts.yaml"
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


def test_each_is_documented() -> None:
    page = (ROOT / "docs/metrics.md").read_text()
    listed = re.findall(r"^\| `(Waypointd\w+)` \| (\w+) \|", page, re.MULTILINE)
    assert listed == [(rule["alert"], rule["labels"]["severity"]) for rule in rules()]


def test_every_panel_of_the_dashboard_has_a_place_of_its_own_and_says_what_it_shows() -> None:
    panels = json.loads((MONITORING / "dashboard.json").read_text())["panels"]
    places: set[tuple[int, int]] = set()
    for number, panel in enumerate(panels, 1):
        at = panel["gridPos"]
        covered = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not covered & places and at["x"] + at["w"] <= 24, panel["title"]
        places |= covered
        assert panel["id"] == number and panel["description"].endswith("."), panel["title"]
