"""waypointctl: what the fleet has ejected, read from where the fleet keeps it. Reads only, in this version."""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, NoReturn

import click
import redis

from proxy import setting_kinds as kinds
from proxy.version import __version__
from state.keys import Keys, text_of
from state.redis_store import connect

TIMEOUT_S = 5.0
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
        with client.pipeline(transaction=False) as pipeline:
            pipeline.get(key)
            pipeline.pttl(key)
            value, left_ms = pipeline.execute()
        if found and value is not None:
            yield _out(key, cluster, endpoint, value, left_ms)


def _out(key: str, cluster: str, endpoint: str, value: str, left_ms: int) -> Out:
    words = {name: text_of(text) for name, _, text in (word.partition("=") for word in value.split()) if text}
    why = words.get("reason", "by_hand")
    if words.get(why, "0") != "0":  # consecutive_5xx=3
        why = f"{why}={words[why]}"
    left_s = left_ms / 1000 if left_ms >= 0 else None
    return Out(cluster, endpoint, words.get("workload", "-"), why, words.get("by", "-"), left_s, key)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.option(
    "--redis",
    "url",
    metavar="URL",
    default="redis://127.0.0.1:6379",
    show_default=True,
    envvar="WAYPOINT_REDIS",
    help="Where the fleet keeps its ejections (or WAYPOINT_REDIS).",
)
@click.option(
    "--redis-prefix",
    "prefix",
    metavar="TEXT",
    default="waypoint",
    show_default=True,
    envvar="WAYPOINT_REDIS_PREFIX",
    help="First part of the fleet's keys (or WAYPOINT_REDIS_PREFIX).",
)
@click.option("--admin", metavar="URL", help="A replica's admin pages. Not built in this version.")
@click.version_option(__version__, prog_name="waypointctl", message="%(prog)s %(version)s")
@click.pass_context
def main(context: click.Context, url: str, prefix: str, admin: str | None) -> None:
    """Look at a fleet of waypointd.

    \b
    Example: waypointctl --redis redis://127.0.0.1:6379 ejections
    """
    if admin is not None:
        raise click.UsageError("--admin is not built in this version")
    context.obj = (url, prefix)


@main.command("ejections")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", help="How to print it.")
@click.pass_obj
def list_ejections(fleet: tuple[str, str], output: str) -> None:
    """List the endpoints that are out, why, and how long still."""
    url, prefix = fleet
    try:
        url = "redis://127.0.0.1:6379" if url == "embedded" else str(kinds.redis_url(url))
        kinds.key_prefix(prefix)
        with connect(url, TIMEOUT_S) as client:
            out = list(ejections(client, prefix))
    except ValueError as fault:
        raise click.UsageError(str(fault)) from fault
    except (redis.RedisError, OSError) as fault:
        _fail(f"{kinds.masked_url(url)}: {fault}; is that where the fleet keeps its ejections (--redis)?")
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


def _fail(text: str) -> NoReturn:
    print(f"waypointctl: {text}", file=sys.stderr)
    sys.exit(1)


LATER = {
    "get": "endpoints, services, destinationrules, gateways as the replica sees them",
    "eject": "take an endpoint out by hand",
    "uneject": "put an endpoint back",
    "history": "what was ejected, when and why",
    "explain": "why an endpoint is in or out",
    "top": "live numbers",
    "doctor": "look for what commonly goes wrong",
}


def _add_later(name: str, purpose: str) -> None:
    anything = {"ignore_unknown_options": True, "allow_extra_args": True}

    @main.command(name, short_help=f"{purpose} (not built in this version)", context_settings=anything)
    @click.argument("rest", nargs=-1, type=click.UNPROCESSED)
    def later(rest: Any) -> None:
        raise click.UsageError(f"`{name}` is not built in this version")

    later.help = f"{purpose[0].upper()}{purpose[1:]}. Not built in this version."


for _name, _purpose in LATER.items():
    _add_later(_name, _purpose)
