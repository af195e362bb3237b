"""The annotations that ask for a detector of Envoy's which no DestinationRule can: one text of settings.

"on", or `name=value` separated by spaces, by Envoy's names without what they begin with: `minimum_hosts=3
request_volume=20` for success_rate_minimum_hosts and success_rate_request_volume. What is not said is Envoy's default.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TypeVar

from proxy.mesh.reading.remarks import shown
from proxy.mesh.reading.schema import At
from proxy.mesh.traffic.outlier import FailurePercentage, SuccessRate

T = TypeVar("T", SuccessRate, FailurePercentage)

ON = "on"
_MOST = 2**31 - 1
_RANGES = {"threshold": (1, 100), "enforcing": (0, 100), "stdev_factor": (0, _MOST)}


def detector(at: At, text: str | None, kind: type[T]) -> T | None:
    """What the annotation there asks for; None if it is missing or wrong, which is said."""
    if text is None:
        return None
    found: dict[str, int] = {}
    known = [each.name for each in fields(kind)]
    for word in text.split() if text.strip() != ON else ():
        name, _, value = word.partition("=")
        low, high = _RANGES.get(name, (1, _MOST))
        if name not in known or name in found:
            at.fault(f'{shown(word)}: must be "{ON}" or settings, each once, of {", ".join(known)}')
        elif not (value.isascii() and value.isdigit() and len(value) < 11 and low <= int(value) <= high):
            at.fault(f"{name}: must be a number from {low} to {high}, not {shown(value)}")
        else:
            found[name] = int(value)
    if not text.strip():
        at.fault(f'must be "{ON}" or settings: {", ".join(known)}')
    return kind(**found)
