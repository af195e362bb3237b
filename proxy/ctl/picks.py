"""The part of `waypointctl explain` that says why endpoints are picked, or are not, as a replica has it
(proxy/admin/picking.py)."""

from collections.abc import Iterator
from typing import Any

from proxy.ctl.words import columns, number, printable


def picks_text(found: dict[str, Any], endpoint: str = "") -> str:
    """In lines; with an `endpoint` (`IP:PORT`, or its workload) of that alone."""
    grouped = len(found["groups"]) > 1 or found["failover"]
    head = f"picks by {found['algorithm'].upper()}, here and now" + (
        f"; closed: {found['closed']}" * bool(found["closed"])
    )
    asked = [each for each in found["endpoints"] if endpoint in ("", each["endpoint"], each["workload"])]
    rows = [_row(each, grouped) for each in asked]
    lines = [*(_groups(found) if grouped else ()), *(columns(rows) if rows else ()), *_outside(found, endpoint)]
    return "\n".join(map(printable, (head, *lines, *_limits(found))))


def _row(pick: dict[str, Any], grouped: bool) -> tuple[str, ...]:
    share = f"{pick['percent']:g} %" if pick["percent"] else "none"
    place = [f"group {pick['group']}"] if grouped else []
    weight = f", weight {pick['weight']}" if pick["weight"] > 1 else ""
    counted = f"{pick['in_flight']} in flight, {pick['requests']} so far{weight}"
    return (f"  {pick['endpoint']}", *place, share, pick["why"], counted)


def _groups(found: dict[str, Any]) -> Iterator[str]:
    for at, group in enumerate(found["groups"]):
        panic = "; too few are in, so all get some (minHealthPercent)" if group["panicking"] else ""
        size = f"{group['present']} of {group['endpoints']} in"
        share = f"{group['percent']:g} % of the requests, {group['picks']} so far"
        yield f"  group {at}, {group['name']}: {size}, {share}{panic}"


def _outside(found: dict[str, Any], endpoint: str) -> Iterator[str]:
    for each in found["outside"]:
        if endpoint in ("", each):
            yield f"  {each}  none  not in this subset: it has not its labels"


def _limits(found: dict[str, Any]) -> Iterator[str]:
    for limit in found["limits"]:
        most = limit["most"] if limit["share"] is None else limit["share"]
        full = "; full" if limit["held"] >= most and not limit["budget_percent"] else ""
        refused = f"; no room {number(limit['refused'], 'time')}" if limit["refused"] else ""
        yield f"  limit {limit['limit']}: {limit['held']} of {_may_be(limit, most)}{_whose(limit)}{full}{refused}"


def _may_be(limit: dict[str, Any], most: int) -> str:
    """Of a budget of the fleet a replica has the part of its own requests, and its share of the rest."""
    if limit["budget_percent"] is None:
        return str(most)
    part = f"{limit['budget_percent']:g} % of the requests"
    return f"{most}, or {part} if that is more" if limit["share"] is None else f"{part} here, and {most} more"


def _whose(limit: dict[str, Any]) -> str:
    if not limit["fleet"]:
        return ""
    if limit["share"] is None:
        return ", which is the whole fleet's: this replica has no share yet"
    taken = "" if limit["told"] else ", taken to begin with, as Redis has not answered"
    return f", its share of the fleet's {limit['most']}{taken}"
