"""The lines that tell of ejections, on the same stream as the access log. The ejection line's format is a contract.

Pure but for the time, which `stamp` takes from the wall clock.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

Fields = tuple[tuple[str, str | int], ...]


@dataclass(frozen=True, slots=True)
class Notice:
    """One line: level, sentence, fields in order."""

    level: str
    text: str
    fields: Fields


Line = Callable[[Notice], None]

REASONS = {
    "consecutive_5xx": "consecutive 5xx",
    "consecutive_gateway_failure": "consecutive gateway errors",
    "consecutive_local_origin_failure": "consecutive local-origin failures",
    "success_rate": "a low success rate",
    "failure_percentage": "a high failure percentage",
    "probe_failed": "a failed probe",
    "unreachable_from_here": "consecutive failures of this replica only",
    "by_hand": "an operator",
}


_COUNTS = frozenset(REASONS) - {"probe_failed", "unreachable_from_here", "by_hand"}


def counted_as(reason: str) -> str:
    """What the number is called that led to an ejection for that reason."""
    return reason if reason in _COUNTS else "consecutive_5xx"


def ejecting(
    endpoint: str, workload: str, failures: int, ejection_time: str, cluster: str, by: str, reason: str, cause: str = ""
) -> Notice:
    """An endpoint is out. `cause`: why its attempts failed, words separated by commas; "" when that is not known."""
    causes = (("cause", cause),) if cause else ()
    return Notice(
        "warn",
        f"ejecting endpoint due to {REASONS.get(reason, reason).replace('=', '?')}",  # a hand's words are no fields
        (
            ("endpoint", endpoint),
            ("workload", workload),
            (counted_as(reason), failures),
            ("ejection_time", ejection_time),
            ("cluster", cluster),
            ("by", by or "-"),
            *causes,
        ),
    )


def unejecting(endpoint: str, workload: str, reason: str, cluster: str, by: str) -> Notice:
    """An endpoint is back."""
    return Notice(
        "info",
        "unejecting endpoint",
        (("endpoint", endpoint), ("workload", workload), ("reason", reason), ("cluster", cluster), ("by", by)),
    )


def overflow(
    endpoint: str,
    workload: str,
    failures: int,
    out: int,
    endpoints: int,
    percent: int,
    cluster: str,
    by: str,
    reason: str = "consecutive_5xx",
) -> Notice:
    """An endpoint stays in only because too many are out."""
    return Notice(
        "warn",
        "not ejecting endpoint, maxEjectionPercent reached",
        (
            ("endpoint", endpoint),
            ("workload", workload),
            (counted_as(reason), failures),
            ("ejected", out),
            ("endpoints", endpoints),
            ("max_ejection_percent", percent),
            ("cluster", cluster),
            ("by", by),
        ),
    )


def stamp(now: datetime | None = None) -> str:
    """2025-03-11T19:45:12.235Z"""
    return (now or datetime.now(UTC)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def text_line(notice: Notice, when: str) -> bytes:
    """The line as text; names of workloads are quoted. Causes that are all 5xx are said already, as in the guide."""
    fields = " ".join(
        f'{name}="{_word(value)}"' if name == "workload" else f"{name}={_word(value)}"
        for name, value in notice.fields
        if name != "cause" or not str(value).replace(",", "").isdigit()
    )
    text = "".join(character if character.isprintable() else "?" for character in notice.text)
    return f"[{when}] {notice.level} waypoint outlier {text} {fields}".encode()


def _word(value: str | int) -> str:
    """One word: whoever can write to the store must not be able to write other fields, or lines, than his own."""
    return "".join(character if character.isprintable() and character not in ' "' else "?" for character in str(value))


def json_line(notice: Notice, when: str) -> bytes:
    """The line as JSON."""
    head = {"time": when, "level": notice.level, "scope": "outlier", "msg": notice.text}
    return json.dumps(head | dict(notice.fields)).encode()
