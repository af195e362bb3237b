"""`waypointctl history`: what happened to endpoints, when, why and by whom, out of the fleet's streams."""

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict

import click

from proxy.ctl.common import fail
from proxy.ctl.source import Place, Source, asked
from proxy.ctl.words import columns, moment, printable
from state.errors import StoreUnavailable
from state.operating.history import RATES, Entry, shown
from state.operating.viewer import Refused

FOLLOW_S = 0.5
# Entries of several streams are not written in the order of their times to the millisecond.
OVERLAP_MS = 5000
MOST = 1000

RETURNS = {
    "expired": "back, its time was over",
    "probe_succeeded": "back, a probe succeeded",
    "removed": "forgotten, it left the cluster",
    "restored_from_old_data": "back, Redis had got it back with older data",
    "max_ejection_percent": "back, older ejections have used up maxEjectionPercent",
}


@click.command("history")
@click.argument("cluster", default="")
@click.option("--endpoint", default="", metavar="ENDPOINT", help="Only this one: IP:PORT, or its workload.")
@click.option("-n", "limit", type=click.IntRange(1, MOST), default=20, show_default=True, help="So many of the newest.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what happens, until interrupted.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="json: one object a line.")
@click.pass_obj
def tell_history(place: Place, cluster: str, endpoint: str, limit: int, follow: bool, output: str) -> None:
    """Print what happened to the endpoints of CLUSTER, or of all, oldest first. The fleet keeps some 200 entries a
    cluster.

    \b
    Examples:
      waypointctl history
      waypointctl history httpbin/in-ambient:8000 --endpoint 10.10.0.16:8080 -n 5
      waypointctl history --follow -o json
    """
    with asked(place) as source:
        entries = source.history(cluster, endpoint, limit)
        nothing = "" if entries or follow else source.nothing_here()
        if nothing:
            fail(f"{place.where}: {nothing}")
        _print(entries, output)
        if not entries and not follow and output == "text":
            print("nothing has happened lately")
        if follow:
            for entry in followed(source, cluster, endpoint, entries):
                _print([entry], output)


def followed(source: Source, cluster: str, endpoint: str, entries: list[Entry]) -> Iterator[Entry]:
    """What comes after these, for ever; also when what is followed goes away, and comes back."""
    newest = max((entry.time_ms for entry in entries), default=0)
    seen = {(entry.cluster, entry.id) for entry in entries}
    older = newest  # what is not among the entries and not newer either was not asked for
    away = False
    while True:
        time.sleep(FOLLOW_S)
        try:
            more = source.history(cluster, endpoint, MOST, max(1, older, newest - OVERLAP_MS))
        except (StoreUnavailable, Refused) as fault:  # it restarts, or has come back empty: no replica has told yet
            if not away:
                print(f"waypointctl: {fault}; goes on when it can", file=sys.stderr, flush=True)
            away = True
            continue
        away = False
        yield from (entry for entry in more if (entry.cluster, entry.id) not in seen)
        newest = max(newest, *(entry.time_ms for entry in more), 0)
        seen = {(entry.cluster, entry.id) for entry in more}


def _print(entries: list[Entry], output: str) -> None:
    for text in [json.dumps(asdict(entry)) for entry in entries] if output == "json" else lines(entries):
        print(text, flush=True)


def lines(entries: list[Entry]) -> list[str]:
    """One for each, in columns."""
    rows = [
        (moment(each.time_ms), each.kind, each.cluster, each.endpoint, each.workload or "-", sentence(each))
        for each in entries
    ]
    return columns([tuple(map(printable, row)) for row in rows])


def sentence(entry: Entry) -> str:
    """What happened, why, by whom."""
    run = f"{entry.consecutive_5xx} consecutive failures"
    out = "out until unejected" if entry.ejection_time == "forever" else f"out for {entry.ejection_time}"
    match entry.kind:
        case "eject" | "detected" if entry.why in RATES:
            what = "found, and not ejected" if entry.kind == "detected" else out
            return f"{what}, by its rate ({entry.why}), by {entry.by}: {entry.reason}"
        case "eject" if entry.rule and entry.reason:
            return f"{out} for {entry.rule} while Redis was away, by {entry.by}{_failures(entry)}"
        case "eject" if entry.reason:  # a hand's
            return f"{out} by {entry.by}: {entry.reason}; offered, since Redis had lost it"
        case "rule_deleted":
            return f"{entry.by} has no outlierDetection there any more: ejections end in every replica that has none"
        case "disagree":
            return f"replicas do not agree whose address it is, counted is the address: {entry.reason}"
        case "eject":
            causes = {
                "consecutive_5xx": run,
                "consecutive_gateway_failure": f"{entry.consecutive_5xx} gateway errors in a row",
                "consecutive_local_origin_failure": f"{entry.consecutive_5xx} local-origin failures in a row",
                "probe_failed": "a probe failed",
                "offered": f"{run} while Redis was away",
            }
            counts = f"ejections={entry.ejections} backoff={entry.backoff}"
            return f"{out} after {causes.get(entry.why, entry.why)}, by {entry.by} ({counts}){_failures(entry)}"
        case "uneject" if entry.why == "new_workload":
            return f"forgotten, another workload has the address: {entry.by}"
        case "uneject":
            by = f", by {entry.by}" if entry.why == "probe_succeeded" else ""
            return RETURNS.get(entry.why, f"back: {entry.why}") + by
        case "overflow":
            why = entry.reason or f"after {run}"
            return f"stays in {why}, maxEjectionPercent leaves no room, by {entry.by}{_failures(entry)}"
        case _:
            what = {"ejected": out, "changed": f"changed: {out}", "unejected": "put back"}.get(entry.why, entry.why)
            return f"{what} by {entry.by}" + (f": {entry.reason}" if entry.reason else "")


def _failures(entry: Entry) -> str:
    return f": {shown(entry.evidence)}" if entry.evidence else ""
