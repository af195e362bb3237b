"""Times and lists as people read them. Pure."""

from collections.abc import Iterable
from datetime import UTC, datetime


def span(seconds: float) -> str:
    """1.2 s, 9 min 50 s, 3 h 20 min."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 120:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def moment(time_ms: int) -> str:
    """2026-11-25T10:03:28.089Z"""
    when = datetime.fromtimestamp(time_ms / 1000, UTC)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def number(count: int, name: str) -> str:
    """1 replica, 2 replicas."""
    return f"{count} {name}" if count == 1 else f"{count} {name}s"


def columns(rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Lines with the same word in the same place."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def printable(text: str) -> str:
    """What others have written, on one line and without effects on a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)
