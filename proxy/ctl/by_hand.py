"""`waypointctl eject` and `uneject`: what an operator does, in force in every replica at once."""

import getpass
import os
import sys
from collections.abc import Callable
from typing import Any

import click

from proxy.ctl.common import checked
from proxy.ctl.source import Place, asked
from proxy.ctl.words import printable, span
from proxy.settings import kinds
from state.operating.operator import Done, Order


def _in_milliseconds(value: object) -> int:
    seconds = kinds.seconds(0.001)(value)
    assert isinstance(seconds, float)
    return round(1000 * seconds)


def _user() -> str:
    """Who is logged in, for the record. (A container's user may have no name.)"""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid-{os.getuid()}"


def _ordering(command: Callable[..., Any]) -> Callable[..., Any]:
    """What both commands take."""
    decorators = (
        click.argument("cluster"),
        click.argument("endpoint"),
        click.option("--why", default="", metavar="TEXT", help="The reason, for the record and the log."),
        click.option("--by", default=_user, metavar="NAME", show_default="who you are", help="Who does it."),
    )
    for decorate in reversed(decorators):
        command = decorate(command)
    return command


@click.command("eject")
@_ordering
@click.option(
    "--for",
    "ejection_ms",
    metavar="TIME",
    callback=checked(_in_milliseconds),
    help="How long: 45s, 10m, 1h30m, 90. Without it: until it is unejected.",
)
@click.pass_obj
def eject(place: Place, cluster: str, endpoint: str, why: str, by: str, ejection_ms: int | None) -> None:
    """Take ENDPOINT of CLUSTER (NAMESPACE/SERVICE:PORT) out of balancing, in every replica, at once. ENDPOINT is
    IP:PORT, or the name of its Pod.

    maxEjectionPercent does not stop a hand. One that is out already is out for the new time. It is the address that is
    out, whatever workload has it; should the endpoint leave the cluster (or not be ready), that is forgotten.

    \b
    Examples:
      waypointctl eject httpbin/in-ambient:8000 10.10.0.16:8080 --for 10m --why 'disk full'
      waypointctl eject httpbin/in-ambient:8000 10.10.0.16:8080    # until unejected
    """
    with asked(place) as source:
        done = source.eject(Order(cluster, endpoint, by, why, ejection_ms or 0))
    _tell(done, f"is out for {span(ejection_ms / 1000)}" if ejection_ms else "is out until it is unejected")


@click.command("uneject")
@_ordering
@click.pass_obj
def uneject(place: Place, cluster: str, endpoint: str, why: str, by: str) -> None:
    """Put ENDPOINT (IP:PORT, or a Pod) of CLUSTER (NAMESPACE/SERVICE:PORT) back, in every replica, at once.

    \b
    Examples:
      waypointctl uneject httpbin/in-ambient:8000 10.10.0.16:8080 --why 'disk replaced'
    """
    with asked(place) as source:
        done = source.uneject(Order(cluster, endpoint, by, why))
    _tell(done, "is back")


def _tell(done: Done, what: str) -> None:
    before = " (it was out before)" if done.changed == "changed" else ""
    print(printable(f"{done.endpoint} of {done.cluster} {what}{before}"))
    if done.warning:
        print(printable(f"waypointctl: warning: {done.warning}"), file=sys.stderr)
