"""The lines that tell of ejections; the first is a contract."""

import json
from datetime import UTC, datetime

import pytest

from proxy.observe import outlier_log as lines

WHEN = lines.stamp(datetime(2025, 3, 11, 19, 45, 12, 235999, tzinfo=UTC))
POD = "in-ambient-7d8f9b6c54-abc12"


@pytest.mark.parametrize("cause", ["", "503", "503,500"])
def test_the_guides_line(cause: str) -> None:
    event = lines.ejecting("10.10.0.16:8080", POD, 3, "30s", "httpbin/in-ambient:8000", "a", "consecutive_5xx", cause)
    assert lines.text_line(event, WHEN) == (
        b"[2025-03-11T19:45:12.235Z] warn waypoint outlier ejecting endpoint due to consecutive 5xx "
        b'endpoint=10.10.0.16:8080 workload="in-ambient-7d8f9b6c54-abc12" consecutive_5xx=3 ejection_time=30s '
        b"cluster=httpbin/in-ambient:8000 by=a"
    )


def test_the_return_and_the_overflow() -> None:
    back = lines.text_line(lines.unejecting("10.10.0.16:8080", POD, "expired", "c", "a"), WHEN).decode()
    assert back.endswith(
        f'info waypoint outlier unejecting endpoint endpoint=10.10.0.16:8080 workload="{POD}" '
        "reason=expired cluster=c by=a"
    )
    full = lines.text_line(lines.overflow("10.10.0.16:8080", POD, 3, 1, 3, 50, "c", "a"), WHEN).decode()
    assert "not ejecting endpoint, maxEjectionPercent reached" in full
    assert "ejected=1 endpoints=3 max_ejection_percent=50" in full


@pytest.mark.parametrize(
    ("reason", "text", "number"),
    [
        ("consecutive_gateway_failure", "consecutive gateway errors", "consecutive_gateway_failure=3"),
        ("consecutive_local_origin_failure", "consecutive local-origin failures", "consecutive_local_origin_failure=3"),
        ("success_rate", "a low success rate", "success_rate=3"),
        ("failure_percentage", "a high failure percentage", "failure_percentage=3"),
        ("probe_failed", "a failed probe", "consecutive_5xx=3"),
    ],
)
def test_other_reasons(reason: str, text: str, number: str) -> None:
    line = lines.text_line(lines.ejecting("e:1", POD, 3, "30s", "c", "a", reason), WHEN).decode()
    assert f"ejecting endpoint due to {text} endpoint=e:1 " in line
    assert f" {number} " in line
    assert f" {number} " in lines.text_line(lines.overflow("e:1", POD, 3, 1, 3, 34, "c", "a", reason), WHEN).decode()


def test_json() -> None:
    event = lines.ejecting("10.10.0.16:8080", 'odd "name', 3, "1.5s", "c", "", "by_hand")
    told = json.loads(lines.json_line(event, WHEN))
    assert (told["time"], told["level"], told["workload"], told["ejection_time"]) == (WHEN, "warn", 'odd "name', "1.5s")
    assert (told["msg"], told["by"]) == ("ejecting endpoint due to an operator", "-")


@pytest.mark.parametrize("hostile", ["a\nb", "a b", 'a"b', "\x1b[31m", "ü"])
def test_a_hand_cannot_write_lines_of_its_own(hostile: str) -> None:
    line = lines.text_line(lines.ejecting("1:2", "pod", 0, "0s", "c", hostile, hostile), WHEN)
    assert b"\n" not in line
    assert b"\x1b" not in line
    assert line.count(b"by=") == 1


def test_a_hand_s_words_are_not_taken_for_fields() -> None:
    event = lines.ejecting("1:2", "pod", 0, "0s", "c", "alice", "disk full endpoint=9:9")
    line = lines.text_line(event, WHEN).decode()
    assert "due to disk full endpoint?9:9 endpoint=1:2 " in line


@pytest.mark.parametrize("cause", ["refused", "503,tunnel_503", "grpc_14"])
def test_Z5_a_cause_that_is_no_status_is_told(cause: str) -> None:
    event = lines.ejecting("e:1", POD, 3, "30s", "c", "a", "consecutive_5xx", cause)
    assert lines.text_line(event, WHEN).decode().endswith(f" cluster=c by=a cause={cause}")
    assert json.loads(lines.json_line(event, WHEN))["cause"] == cause


def test_Z5_a_status_is_told_in_json() -> None:
    event = lines.ejecting("e:1", POD, 3, "30s", "c", "a", "consecutive_5xx", "503")
    assert json.loads(lines.json_line(event, WHEN))["cause"] == "503"


def test_Z5_who_writes_into_the_store_writes_no_other_field() -> None:
    event = lines.ejecting("e:1", POD, 3, "30s", "c", "a", "consecutive_5xx", "x by=eve\x1b[2J\n")
    (told,) = lines.text_line(event, WHEN).decode().splitlines()
    assert told.endswith(" cause=x?by=eve?[2J?")
