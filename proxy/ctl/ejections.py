"""`waypointctl ejections`: what the fleet has ejected, read from where the fleet keeps it. Changes nothing."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import cast

import click
import redis

from proxy.ctl.fleet_store import FleetStore
from state.keys import Keys, text_of

GONE = -2  # PTTL of a key that is not there
COLUMNS = ("CLUSTER", "ENDPOINT", "WORKLOAD", "WHY", "BY", "LEFT")


@dataclass(frozen=True, slots=True)
class Out:
    """One endpoint that takes no traffic. `left_s` None: until somebody deletes the key."""

    cluster: str
    endpoint: str
    workload: str
    why: str
    by: str
    left_s: float | None
    key: str


def ejections(client: redis.Redis, prefix: str) -> Iterator[Out]:
    """Everything that is out, over the whole fleet. Raises redis.RedisError."""
    escaped = "".join(f"\\{character}" if character in "*?[]\\" else character for character in prefix)
    for key in sorted(set(client.scan_iter(match=Keys(escaped, "*").eject("*"), count=1000))):
        cluster, found, endpoint = key[len(prefix) + 2 :].partition("}:eject:")
        value, left_ms = cast(str | None, client.get(key)), client.pttl(key)
        if found and value is not None and left_ms != GONE:
            yield _out(key, cluster, endpoint, value, left_ms)


def _out(key: str, cluster: str, endpoint: str, value: str, left_ms: int) -> Out:
    words = {name: text_of(text) for name, _, text in (word.partition("=") for word in value.split()) if text}
    why = words.get("reason", "by_hand")
    if words.get(why, "0") != "0":  # consecutive_5xx=3
        why = f"{why}={words[why]}"
    left_s = left_ms / 1000 if left_ms >= 0 else None
    return Out(cluster, endpoint, words.get("workload", "-"), why, words.get("by", "-"), left_s, key)


@click.command("ejections")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", help="How to print it.")
@click.pass_obj
def list_ejections(fleet: FleetStore, output: str) -> None:
    """List the endpoints that are out, why, and how long still."""
    with fleet.client() as client:
        out = list(ejections(client, fleet.prefix))
    print(json.dumps([asdict(each) for each in out], indent=2) if output == "json" else table(out))


def table(out: list[Out]) -> str:
    """The ejections in columns, for people."""
    if not out:
        return "nothing is ejected"
    rows = [COLUMNS, *((o.cluster, o.endpoint, o.workload or "-", o.why, o.by, _left(o.left_s)) for o in out)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _left(seconds: float | None) -> str:
    return "until deleted" if seconds is None else f"{seconds:.1f}s"
