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


_AGES = (
    # Below so many seconds: the unit, and the one of what is left over (kubectl's HumanDuration).
    (120, 1, "s", 0, ""),
    (600, 60, "m", 1, "s"),
    (3 * 3600, 60, "m", 0, ""),
    (8 * 3600, 3600, "h", 60, "m"),
    (48 * 3600, 3600, "h", 0, ""),
    (8 * 86400, 86400, "d", 3600, "h"),
    (2 * 365 * 86400, 86400, "d", 0, ""),
    (8 * 365 * 86400, 365 * 86400, "y", 86400, "d"),
)


def age(seconds: float) -> str:
    """45s, 3m10s, 12m, 5h2m, 3d, 2y40d: as kubectl puts it."""
    whole = max(0, int(seconds))
    for below, unit, name, part, part_name in _AGES:
        if whole < below:
            rest = whole % unit // part if part else 0
            return f"{whole // unit}{name}" + (f"{rest}{part_name}" if rest else "")
    return f"{whole // (365 * 86400)}y"


def moment(time_ms: int) -> str:
    """2026-11-25T10:03:28.089Z"""
    when = datetime.fromtimestamp(time_ms / 1000, UTC)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def number(count: int, name: str) -> str:
    """1 replica, 2 replicas."""
    return f"{count} {name}" if count == 1 else f"{count} {name}s"


def columns(rows: Iterable[tuple[str, ...]], gap: str = "  ") -> list[str]:
    """Lines with the same word in the same place."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [gap.join(map(str.ljust, row, widths)).rstrip() for row in rows]


def printable(text: str) -> str:
    """What others have written, on one line and without effects on a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)
