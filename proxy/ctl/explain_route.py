"""`waypointctl explain route`: what would become of a request, and why. Nothing is sent."""

import json
from collections.abc import Iterator
from typing import Any

import click

from proxy.ctl.admin_source import DEFAULT_PORT, AdminSource
from proxy.ctl.source import Place, telling
from proxy.ctl.words import columns, number, printable

_MOST = 8
"""Matches and rules that are shown, of those that do not count."""
Row = tuple[str, str]


@click.command("route")
@click.argument("method")
@click.argument("url")
@click.option("--header", "headers", multiple=True, metavar="NAME:VALUE", help="A line of the request's head.")
@click.option("--from", "identity", default="", metavar="SPIFFE", help="The client, spiffe://DOMAIN/ns/NS/sa/NAME.")
@click.option("--from-ip", "address", default="", metavar="IP", help="The client's address.")
@click.option("--token", default="", metavar="JWT", help="Its token, or the claims of one as JSON, not verified then.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="How to print it.")
@click.pass_obj
def tell_route(place: Place, /, method: str, url: str, headers: tuple[str, ...], output: str, **client: str) -> None:
    """Say which rule of which route a request would be for, which match and why, where it would go, and which policies
    decide about it. Nothing is sent: a replica is asked (--admin) what it would do.

    The URL is what the client calls: name or address of the Service, and its port. A header Host may say otherwise, as
    it does for a Service, where it selects nothing.

    \b
    Examples:
      waypointctl explain route GET http://cart.shop:80/items
      waypointctl explain route GET http://cart.shop/v2 --header version:two --from spiffe://cluster.local/ns/a/sa/b
    """
    asked: dict[str, str | int] = {
        "method": method,
        "url": url,
        "headers": json.dumps(list(map(_line, headers))),
        "from": client["identity"],
        "from_ip": client["address"],
        "token": client["token"].removeprefix("Bearer "),
    }
    with telling(place):
        found = AdminSource.at(place.admin or f"http://127.0.0.1:{DEFAULT_PORT}").route(asked)
    print(json.dumps(found, indent=2) if output == "json" else text(found))


def _line(given: str) -> list[str]:
    name, colon, value = given.partition(":")
    if not colon or not name:
        raise click.UsageError(f"--header {given}: give NAME:VALUE")
    return [name.strip(), value.strip()]


def text(found: dict[str, Any]) -> str:
    """In sentences."""
    asked = found["request"]
    query = f"?{asked['query']}" if asked["query"] else ""
    head = f"{asked['method']} {asked['path']}{query}, host {asked['authority']}"
    rows = [
        ("from", found["client"] or "a client without an identity"),
        ("at", ", ".join(found["listeners"])),
        ("for", found["cluster"]),
        *_token(found["token"]),
        *_access(found),
        *(("limit", each) for each in found["limits"]),
        *_rule(found),
        *_goes(found),
    ]
    return "\n".join([printable(head), *columns(("  " + name, printable(said)) for name, said in rows)])


def _token(token: dict[str, Any]) -> Iterator[Row]:
    if token["refusal"]:
        yield "token", token["refusal"]
    elif token["principal"]:
        yield "token", f"of {token['principal']}"
    elif token["rules"]:
        yield "token", "good"
    elif not token["verified"]:
        return
    for each in token["rules"]:
        yield "", f"{each['issuer'] or 'any issuer'} (keys: {each['keys']}): {each['why']}"


def _access(found: dict[str, Any]) -> Iterator[Row]:
    if found["closed"]:
        yield "access", f"403: {found['closed']}"
        return
    access = found["access"]
    yield "access", f"{'let in' if access['allowed'] else '403'}: {access['why']}"
    for rule in access["rules"][:_MOST]:
        said = "matches" if rule["matches"] else rule["why"]
        yield "", f"{rule['action']} {rule['rule']}: {said}"
    if more := access["rules"][_MOST:]:
        yield "", f"and {number(len(more), 'rule')} more"
    yield from (("audit", f"{each} matches") for each in found["shadows"].get("audit", ()))
    if tried := found["shadows"].get("dry_run"):
        yield "dry run", f"{'would be let in' if tried['allowed'] else 'would get 403'}: {tried['why']}"


def _rule(found: dict[str, Any]) -> Iterator[Row]:
    matches = found["matches"]
    if not matches and not found["rule"]:
        yield "route", "none: requests go to the Service itself"
        return
    yield "route", found["rule"] or found["answer"]
    others = [each for each in matches if not each["fits"]]
    for each in others[-_MOST:]:
        yield "not", f"{each['rule']}: {_missing(each)}"
    if more := others[:-_MOST]:
        yield "", f"nor any of {len(more)} before"
    for each in matches[-1:] if found["rule"] else ():
        yield "because", "; ".join(map(_because, each["conditions"])) or "it takes every request"


def _missing(match: dict[str, Any]) -> str:
    wrong = next(each for each in match["conditions"] if not each["holds"])
    return f"{wrong['condition']}, and the request has {wrong['has']}"


def _because(condition: dict[str, Any]) -> str:
    return f"{condition['condition']} ({condition['has']})"


def _goes(found: dict[str, Any]) -> Iterator[Row]:
    if found["answer"] and found["rule"]:
        yield "answer", found["answer"]
    for each in found["backends"]:
        where = each["answer"] or f"{each['cluster']}, {number(each['endpoints'], 'endpoint')}"
        share = "" if len(found["backends"]) == 1 else f"{each['percent']:g} %: "
        yield "to", share + "; ".join([where, *each["does"]])
    for said in found["does"]:
        yield "does", said
