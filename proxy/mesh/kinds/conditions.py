"""Conditions in the status of an object. Others than its user have written it: what is odd there is left out."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from proxy.mesh.reading.manifests import Body


class Condition(NamedTuple):
    """Whether it holds, and since when, in ms since 1970; 0: nothing says so."""

    is_true: bool
    since_ms: int


def condition(body: Body, kind: str) -> Condition | None:
    """The condition of that `type`; None if there is none."""
    status = body.get("status")
    conditions = status.get("conditions") if isinstance(status, dict) else None
    for each in conditions if isinstance(conditions, list) else ():
        if isinstance(each, dict) and each.get("type") == kind:
            return Condition(each.get("status") == "True", milliseconds(each.get("lastTransitionTime")))
    return None


def milliseconds(written: object) -> int:
    """A time of the API (RFC 3339) as ms since 1970; 0 if it is none."""
    try:
        return int(datetime.fromisoformat(written).timestamp() * 1000) if isinstance(written, str) else 0
    except (ValueError, OverflowError):
        return 0
