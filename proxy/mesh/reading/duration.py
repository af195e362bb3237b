"""Durations as Kubernetes and Istio write them: `10s`, `1.5s`, `1m30s`, `500ms`.

Go's syntax. Istio takes whole milliseconds only, and at least one (DestinationRule validation), and so does this.
"""

from __future__ import annotations

import re
from decimal import Decimal

_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
# Go's time.Duration ends here (292 years).
_LONGEST_NS = 2**63 - 1
_LONGEST_TEXT = 64


def milliseconds(value: object, whole: bool = True) -> int:
    """The duration in milliseconds, 1 or more; cut down to them unless it must be `whole`. Raises ValueError with the
    text for the user."""
    if not isinstance(value, str):
        number = f'; write "{value}s"' if isinstance(value, int) and not isinstance(value, bool) and value > 0 else ""
        raise ValueError(f'must be a duration in text such as "10s" or "1m30s"{number}')
    nanoseconds = _nanoseconds(value)
    if nanoseconds > _LONGEST_NS:
        raise ValueError("is too long a duration")
    if nanoseconds < 1_000_000:
        raise ValueError("must be at least 1ms")
    if whole and nanoseconds % 1_000_000:
        raise ValueError("must be whole milliseconds")
    return int(nanoseconds // 1_000_000)


def _nanoseconds(text: str) -> Decimal:
    if text == "0":
        return Decimal(0)
    at, total = 0, Decimal(0)
    while len(text) <= _LONGEST_TEXT and (part := _PART.match(text, at)):
        total += Decimal(part[1]) * _NANOSECONDS[part[2]]
        at = part.end()
    if at == 0 or at != len(text):
        raise ValueError('must be a duration such as "10s" or "1m30s"')
    return total
