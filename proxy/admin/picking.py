"""Why endpoints of a cluster are picked, or are not: how many of the requests each group of them and each endpoint gets
now, by the decisions that workers make and what the scoreboard shows.

What is expected, not what was counted: picks by key go to whom the keys are, and LEAST_REQUEST by what is in flight.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from proxy.addresses import join
from proxy.ipc.snapshot import ClusterForm, EndpointForm, WarmupForm
from proxy.policy.balance.shown import loads_of, panics_of, warmth_of
from proxy.scoreboard.clusters import LIMITS
from proxy.scoreboard.scoreboard import Scoreboard
from proxy.scoreboard.views import EndpointView

ALIKE = ("random", "passthrough")
"""Algorithms for which weights do not count."""
REGARDLESS = "passthrough"
ALL = "all endpoints"


@dataclass(frozen=True, slots=True)
class Group:
    """Endpoints that are alike as seen from here. `percent` of the requests; `picks`: how many it has had, those beyond
    the eighth group together; `panicking`: those that are out get requests, too."""

    name: str
    endpoints: int
    present: int
    percent: float
    panicking: bool
    picks: int


@dataclass(frozen=True, slots=True)
class Pick:
    """An endpoint. `group`: its place among them; `percent` of the requests; `warmth`: the part of its weight that it
    has so far, 1 where nobody warms up."""

    endpoint: str
    workload: str
    group: int
    percent: float
    weight: int
    warmth: float
    in_flight: int
    requests: int
    why: str


def groups_of(board: Scoreboard, form: ClusterForm, rows: Sequence[EndpointView]) -> list[Group]:
    """Of a cluster whose endpoints the scoreboard shows like that; of one without groups all endpoints are one."""
    out = [bool(row.ejected_left_ms) and form["balance"]["algorithm"] != REGARDLESS for row in rows]
    low = form["outlier"]["min_health_percent"] if form["outlier"] else 0
    groups = form["balance"].get("groups")
    if groups is None:
        present = len(out) - sum(out)
        alarmed = panics_of(present, len(out), low)
        return [Group(ALL, len(out), present, 100.0 if present or alarmed else 0.0, alarmed, 0)]
    sizes, picks = groups["sizes"], board.clusters.counters(form["slot"]).grouped
    present_of = [size - sum(out[end - size : end]) for size, end in zip(sizes, accumulate(sizes), strict=True)]
    parts, alarms = loads_of(sizes, present_of, groups["weights"], low)
    return [
        Group(name, sizes[at], present_of[at], parts[at], alarms[at], picks[min(at, len(picks) - 1)])
        for at, name in enumerate(groups["names"])
    ]


def rows_of(board: Scoreboard, form: ClusterForm) -> list[EndpointView]:
    """What the scoreboard shows of the endpoints, in their order."""
    return [board.endpoints.row(each["slot"]) for each in form["endpoints"]]


def picking(board: Scoreboard, form: ClusterForm, whole: ClusterForm | None = None) -> dict[str, Any]:
    """All of it, as JSON. `whole`: the cluster that this is a subset of; `outside`: its endpoints that this has not."""
    entries, rows = list(form["endpoints"]), rows_of(board, form)  # kept packed: read once
    groups = groups_of(board, form, rows)
    inside = set(map(_address, entries))
    return {
        "cluster": form["name"],
        "algorithm": form["balance"]["algorithm"],
        "closed": form["closed"],
        "failover": "groups" in form["balance"] and not form["balance"]["groups"]["weights"],
        "groups": [_as_json(each) for each in groups],
        "endpoints": [_as_json(each) for each in _picks(board, form, entries, rows, groups)],
        "outside": [name for name in map(_address, whole["endpoints"] if whole else ()) if name not in inside],
        "limits": _limits(board, form),
    }


def whole_of(name: str) -> str:
    """The cluster of which `shop/cart:80/v1` is a subset; "" if it is none."""
    whole, _, subset = name.rpartition(":")
    return f"{whole}:{subset.partition('/')[0]}" if "/" in subset else ""


def _address(entry: EndpointForm) -> str:
    return join(entry["ip"], entry["port"])


def _as_json(record: Group | Pick) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__slots__}


def _picks(
    board: Scoreboard,
    form: ClusterForm,
    entries: Sequence[EndpointForm],
    rows: Sequence[EndpointView],
    groups: Sequence[Group],
) -> Iterator[Pick]:
    algorithm, warmths, first = form["balance"]["algorithm"], _warmths(board, form, entries), 0
    for place, group in enumerate(groups):
        span = range(first, first + group.endpoints)
        taking = [algorithm == REGARDLESS or group.panicking or not rows[at].ejected_left_ms for at in span]
        weigh = [1.0 if algorithm in ALIKE else max(1, entries[at]["weight"]) * warmths[at] for at in span]
        total = sum(weight for weight, takes in zip(weigh, taking, strict=True) if takes)
        for at, weight, takes in zip(span, weigh, taking, strict=True):
            why = _why(rows[at], form, groups, place, warmths[at]) if takes else _out(rows[at])
            percent = group.percent * weight / total if takes else 0.0
            yield _pick(entries[at], rows[at], place, percent, warmths[at], why)
        first += group.endpoints


def _pick(entry: EndpointForm, row: EndpointView, place: int, percent: float, warmth: float, why: str) -> Pick:
    return Pick(
        endpoint=_address(entry),
        workload=entry["workload"],
        group=place,
        percent=round(percent, 2),
        weight=entry["weight"],
        warmth=round(warmth, 3),
        in_flight=row.in_flight,
        requests=row.requests,
        why=why,
    )


def _out(row: EndpointView) -> str:
    return "ejected" + ("; its turn for a probe has come" if row.probe_in_ms == 0 else "")


def _why(row: EndpointView, form: ClusterForm, groups: Sequence[Group], place: int, warmth: float) -> str:
    """Of one that takes a part in its group."""
    weights = form["balance"]["groups"]["weights"] if "groups" in form["balance"] else []
    if not groups[place].percent:
        return _passed_over(groups[:place], bool(weights) and not weights[place])
    reasons = []
    if row.ejected_left_ms and groups[place].panicking:
        reasons.append("ejected, but fewer than minHealthPercent are in")
    elif row.ejected_left_ms:
        reasons.append("ejected, for which PASSTHROUGH does not ask")
    if place and not weights:
        reasons.append("what groups before it cannot take")
    if warmth < 1:
        reasons.append(f"warms up, at {100 * warmth:.0f} % of its weight")
    return "; ".join(reasons) or "in"


def _passed_over(before: Sequence[Group], unlisted: bool) -> str:
    takers = " and ".join(each.name for each in before if each.percent)
    return "distribute names its place nowhere" if unlisted else f"all are taken before it, by: {takers or 'nobody'}"


def _warmths(board: Scoreboard, form: ClusterForm, entries: Sequence[EndpointForm]) -> list[float]:
    warmup = form["balance"].get("warmup")
    if warmup is None:
        return [1.0] * len(entries)
    return [
        warmth_of(age, warmup["window_ms"], warmup["least_percent"] / 100, warmup["aggression"])
        for age in _ages_ms(board, entries, warmup)
    ]


def _ages_ms(board: Scoreboard, entries: Sequence[EndpointForm], warmup: WarmupForm) -> Iterator[float]:
    now_ms = time.time() * 1000
    for entry, joined_ms in zip(entries, warmup["joined_ms"], strict=True):
        yield max(0.0, now_ms - joined_ms) if joined_ms else board.endpoints.age_ms(entry["slot"])


def _limits(board: Scoreboard, form: ClusterForm) -> list[dict[str, Any]]:
    """What is limited: how much there is, may be here, and may be in all; and how often there was no room."""
    pool = dict(form["pool"])
    if "budget_percent" in pool:
        pool["retries"] = pool["budget_min"]
    held, refused = board.clusters.held(form["slot"]), board.clusters.counters(form["slot"]).refused
    shares = board.shares.of(form["slot"]) if pool.get("fleet") else (-1,) * len(LIMITS)
    told = board.shares.told(form["slot"])
    return [
        {
            "limit": name,
            "held": held[kind],
            "most": pool[name],
            "share": shares[kind] if shares[kind] >= 0 else None,
            "fleet": bool(pool.get("fleet")),
            "told": bool(pool.get("fleet")) and told[kind] >= 0,
            "refused": refused[kind],
            "budget_percent": pool.get("budget_percent") if name == "retries" else None,
        }
        for kind, name in enumerate(LIMITS)
        if name in pool
    ]
