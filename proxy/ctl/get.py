"""`waypointctl get destinationrules`: the rules that a replica knows, as kubectl prints them. Changes nothing."""

import json
import time
from datetime import datetime
from typing import Any

import click

from proxy.ctl.admin_source import DEFAULT_PORT, AdminSource
from proxy.ctl.common import fail
from proxy.ctl.source import Place, telling
from proxy.ctl.words import age, columns, printable

NAMES = ("destinationrules", "destinationrule", "dr")
_GAP = "   "  # kubectl's
LATER = ("endpoints", "services", "gateways")


@click.command("get")
@click.argument("kind", type=click.Choice([*NAMES, *LATER]), metavar="destinationrules")
@click.argument("name", default="")
@click.option("-n", "--namespace", default="", help="Those of this namespace; by default of the Gateway's.")
@click.option("-A", "--all-namespaces", is_flag=True, help="Those of all namespaces.")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", help="How to print it.")
@click.pass_obj
def get_objects(place: Place, kind: str, name: str, namespace: str, all_namespaces: bool, output: str) -> None:
    """List the DestinationRules that a replica has read, or the one of that NAME. Asks its admin page (--admin).

    \b
    Examples:
      waypointctl get destinationrules
      waypointctl --admin http://127.0.0.1:15000 get destinationrules -A
    """
    if kind in LATER:
        raise click.UsageError(f"`get {kind}` is not built in this version")
    with telling(place):
        own, rules = AdminSource.at(place.admin or f"http://127.0.0.1:{DEFAULT_PORT}").rules()
    wanted = "" if all_namespaces else namespace or own
    found = [each for each in rules if wanted in ("", each["namespace"]) and name in ("", each["name"])]
    if name and not found:
        fail(f'destinationrules "{name}" not found')
    print(json.dumps(found, indent=2) if output == "json" else table(found, wanted, time.time()))


def table(rules: list[dict[str, Any]], namespace: str, now: float) -> str:
    """In kubectl's columns, with NAMESPACE where they are of all namespaces (`namespace` "")."""
    if not rules:
        return f"No resources found in {namespace} namespace." if namespace else "No resources found"
    rows = [("NAMESPACE", "NAME", "HOST", "AGE")]
    rows += [(each["namespace"], each["name"], each["host"], _age(each["created"], now)) for each in rules]
    shown = (row[1:] if namespace else row for row in rows)
    return "\n".join(columns((tuple(map(printable, row)) for row in shown), _GAP))


def _age(created: str, now: float) -> str:
    """Files say nothing of it."""
    return age(now - datetime.fromisoformat(created).timestamp()) if created else "<unknown>"
