"""`waypointctl ejections`: what is out, over the whole fleet. Changes nothing."""

import json
from dataclasses import asdict

import click

from proxy.ctl.common import fail
from proxy.ctl.source import Place, asked
from proxy.ctl.words import columns, printable
from state.operating.sight import Out

COLUMNS = ("CLUSTER", "ENDPOINT", "WORKLOAD", "WHY", "BY", "LEFT")


@click.command("ejections")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", help="How to print it.")
@click.pass_obj
def list_ejections(place: Place, output: str) -> None:
    """List the endpoints that are out, why, and how long still.

    \b
    Examples:
      waypointctl ejections
      waypointctl --redis redis://redis.example:6379 ejections -o json
      waypointctl --admin http://127.0.0.1:15000 ejections
    """
    with asked(place) as source:
        out = source.ejections()
        nothing = "" if out else source.nothing_here()
    if nothing:
        fail(f"{place.where}: {nothing}")
    print(json.dumps([asdict(each) for each in out], indent=2) if output == "json" else table(out))


def table(out: list[Out]) -> str:
    """The ejections in columns, for people."""
    if not out:
        return "nothing is ejected"
    rows = [(o.cluster, o.endpoint, o.workload or "-", o.why, _by(o), left(o)) for o in out]
    return "\n".join(columns([COLUMNS, *(tuple(map(printable, row)) for row in rows)]))


def _by(out: Out) -> str:
    return f"{out.by} alone" if out.only_here else out.by


def left(out: Out) -> str:
    """How long still: a time, a probe, or a hand; and whether that matters to anybody just now."""
    return _left(out) + (", not in the cluster" if out.absent else "")


def _left(out: Out) -> str:
    if out.probe_in_s is not None:
        return f"probe in {out.probe_in_s:.1f}s" if out.probe_in_s > 0 else "awaits probe"
    return "until unejected" if out.left_s is None else f"{out.left_s:.1f}s"
