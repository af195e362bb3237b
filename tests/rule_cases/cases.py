"""What a case is, and how those of a row are made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Spec = dict[str, Any]
Pairs = Iterable[tuple[Any, Any]]
UNREAD = object()
"""Stands for a value of which only is asked that it is taken."""


@dataclass(frozen=True)
class Case:
    """`refused`: what is said of it; "" where it is valid. `stored`: whether the CRD lets it pass, which knows less
    than Istio's webhook. `reads`: what the policy for port 80 then has, by attributes."""

    id: str
    spec: Spec
    refused: str = ""
    stored: bool = True
    reads: Mapping[str, object] = field(default_factory=dict)


def rows(
    row: str,
    path: str,
    at: str = "",
    good: Pairs = (),
    bad: Pairs = (),
    webhook: Pairs = (),
    beside: Mapping[str, object] | None = None,
) -> list[Case]:
    """The cases of a field. `good`: values, and what is read `at` that attribute. `bad`: what the CRD refuses too, and
    what is said of it; `webhook`: the same of what only Istio's webhook refuses. `beside`: what its mapping needs."""
    found = [
        Case(_id(row, value), _spec(path, value, beside), reads={} if read is UNREAD else {at: read})
        for value, read in good
    ]
    found += [Case(_id(row, value), _spec(path, value, beside), said, stored=False) for value, said in bad]
    return found + [Case(_id(row, value), _spec(path, value, beside), said) for value, said in webhook]


def _id(row: str, value: object) -> str:
    text = str(value).replace("'", "")
    return f"{row}: {text if len(text) < 60 else text[:57] + '...'}"


def _spec(path: str, value: object, beside: Mapping[str, object] | None) -> Spec:
    *above, last = path.split(".")
    found: Spec = {last: value, **(beside or {})} if last else dict(beside or {})
    for step in reversed(above):
        found = {step: found}
    return {"host": "cart", **found}


LB, POOL, OD = "trafficPolicy.loadBalancer", "trafficPolicy.connectionPool", "trafficPolicy.outlierDetection"
HASH, TLS = f"{LB}.consistentHash", "trafficPolicy.tls"
LOCALITY, ZONES = f"{LB}.localityLbSetting", f"{LB}.zoneAwareLbSetting"
OUTLIERS = {"outlierDetection": {"consecutive5xxErrors": 3, "maxEjectionPercent": 100}}
MAPPING, TEXT, WHOLE, BOOLEAN = "must be a mapping", "must be text", "must be a whole number", "must be true or false"
UNKNOWN, TOGETHER, BETWEEN, REQUIRED = (
    "is not a known field",
    "cannot be used together",
    "must be between",
    "is required",
)


def durations(row: str, path: str, at: str, beside: Mapping[str, object] | None = None) -> list[Case]:
    """The rule for durations: whole milliseconds, and at least one."""
    return rows(
        row,
        path,
        at,
        good=[("1ms", 1), ("1.5s", 1500), ("1m30s", 90_000), ("1h", 3_600_000)],
        bad=[
            ("0s", "must be at least 1ms"),
            ("10", "must be a duration"),
            (10, "must be a duration"),
            ("1d", "duration"),
        ],
        webhook=[("1500us", "must be whole milliseconds")],
        beside=beside,
    )


def limits(row: str, path: str, at: str, beside: Mapping[str, object] | None = None) -> list[Case]:
    return rows(
        row,
        path,
        at,
        good=[(1, 1), (2**31 - 1, 2**31 - 1), (0, None)],
        bad=[("5", WHOLE), (1.5, WHOLE)],
        webhook=[(-1, BETWEEN), (2**31, BETWEEN)],
        beside=beside,
    )


def switches(row: str, path: str, at: str) -> list[Case]:
    return rows(row, path, at, good=[(True, True), (False, False)], bad=[("yes", BOOLEAN), (1, BOOLEAN)])
