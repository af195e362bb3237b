"""`waypointctl get`: the objects that a replica has read, as kubectl prints them. Changes nothing."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click

from proxy.ctl.admin_source import DEFAULT_PORT, AdminSource
from proxy.ctl.common import fail
from proxy.ctl.source import Place, telling
from proxy.ctl.words import age, columns, printable

Listed = dict[str, Any]
_GAP = "   "  # kubectl's
_MOST = 3
"""Names in a column."""
LATER = ("endpoints", "services", "gateways")


@dataclass(frozen=True, slots=True)
class Kind:
    """What can be listed. `names`: as it may be asked for, the first as messages have it. `page`: where, and under what
    name there. `row`: the columns behind NAME, without AGE."""

    names: Sequence[str]
    page: tuple[str, str]
    head: Sequence[str]
    row: Callable[[Listed], Sequence[str]]


def _some(names: Sequence[str]) -> str:
    more = len(names) - _MOST
    return ",".join(names[:_MOST]) + (f" + {more} more..." if more > 0 else "") if names else "<none>"


RULES = Kind(
    ("destinationrules", "destinationrule", "dr"),
    ("/destinationrules", "rules"),
    ("HOST",),
    lambda each: (each["host"],),
)
ROUTES = Kind(
    ("routes", "route"),
    ("/routes", "routes"),
    ("KIND", "FOR", "IN FORCE FOR"),
    lambda each: (each["kind"], _some(each["for"]), _some(each["clusters"])),
)
POLICIES = Kind(
    ("policies", "policy"),
    ("/policies", "policies"),
    ("KIND", "ACTION", "RULES", "FOR", "IN FORCE"),
    lambda each: (each["kind"], each["action"] or "-", str(each["rules"]), _some(each["for"]), each["in_force"]),
)
KINDS: Mapping[str, Kind] = {name: kind for kind in (RULES, ROUTES, POLICIES) for name in kind.names}


@click.command("get")
@click.argument("kind", type=click.Choice([*KINDS, *LATER]), metavar="destinationrules|routes|policies")
@click.argument("name", default="")
@click.option("-n", "--namespace", default="", help="Those of this namespace; by default of the Gateway's.")
@click.option("-A", "--all-namespaces", is_flag=True, help="Those of all namespaces.")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", help="How to print it.")
@click.pass_obj
def get_objects(place: Place, kind: str, name: str, namespace: str, all_namespaces: bool, output: str) -> None:
    """List the objects that a replica has read, or the one of that NAME. Asks its admin page (--admin).

    Routes are HTTPRoutes, GRPCRoutes and VirtualServices, with the clusters whose requests they lead; policies are
    AuthorizationPolicies and RequestAuthentications.

    \b
    Examples:
      waypointctl get destinationrules
      waypointctl get routes -n shop
      waypointctl --admin http://127.0.0.1:15000 get policies -A
    """
    if kind in LATER:
        raise click.UsageError(f"`get {kind}` is not built in this version")
    listed = KINDS[kind]
    with telling(place):
        own, found = AdminSource.at(place.admin or f"http://127.0.0.1:{DEFAULT_PORT}").objects(*listed.page)
    wanted = "" if all_namespaces else namespace or own
    found = [each for each in found if wanted in ("", each["namespace"]) and name in ("", each["name"])]
    if name and not found:
        fail(f'{listed.names[0]} "{name}" not found')
    print(json.dumps(found, indent=2) if output == "json" else table(listed, found, wanted, time.time()))


def table(kind: Kind, found: list[Listed], namespace: str, now: float) -> str:
    """In kubectl's columns, with NAMESPACE where they are of all namespaces (`namespace` "")."""
    if not found:
        return f"No resources found in {namespace} namespace." if namespace else "No resources found"
    rows = [("NAMESPACE", "NAME", *kind.head, "AGE")]
    rows += [(each["namespace"], each["name"], *kind.row(each), _age(each["created"], now)) for each in found]
    shown = (row[1:] if namespace else row for row in rows)
    return "\n".join(columns((tuple(map(printable, row)) for row in shown), _GAP))


def _age(created: str, now: float) -> str:
    """Files say nothing of it."""
    return age(now - datetime.fromisoformat(created).timestamp()) if created else "<unknown>"
