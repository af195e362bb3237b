"""The `tcp` rules of VirtualServices as routes of one port that carries bytes, in the order that they stand in (Istio's
buildWaypointNetworkFilters). What none of them is for goes to the Service itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_address, ip_network

from proxy.mesh.kinds.virtual_service import VirtualService
from proxy.mesh.kinds.virtual_tcp import ANY, Match, Tcp
from proxy.mesh.reading.lines import Path
from proxy.mesh.resolving.virtual import NOT_FOUND, Find, Sent
from proxy.mesh.traffic.routing import Backend, Condition, Op, Part, RouteMatch, RouteRule, Routing


def routing(
    found: Iterable[VirtualService], port: int, addresses: Sequence[str], own: str, find: Find
) -> Routing | None:
    """The routes of a Service's `port`; `addresses` are the Service's, `own` is its cluster. None: none of the rules is
    for it."""
    matches: list[RouteMatch] = []
    rules: list[RouteRule] = []
    for virtual in found:
        for index, rule in enumerate(virtual.tcp):
            told = [each for match in _for_port(rule, port) for each in _conditions(match, addresses)]
            matches += [RouteMatch(len(rules), each) for each in told]
            if told:
                name = f"{virtual.manifest.kind} {virtual.manifest.id} tcp rule {index}"
                rules.append(RouteRule(name=name, backends=tuple(_backends(virtual, rule, index, port, find))))
            if not rule.match:
                break
    if matches and all(each.conditions for each in matches):
        matches.append(RouteMatch(len(rules)))
        rules.append(RouteRule(name="the Service itself", backends=(Backend(own),)))
    return Routing(tuple(matches), tuple(rules)) if matches else None


def _for_port(rule: Tcp, port: int) -> Iterator[Match]:
    """The matches that may hold there."""
    for match in rule.match or (ANY,):
        if match.port in (0, port) and match.may_hold:
            yield match


def _conditions(match: Match, addresses: Sequence[str]) -> Iterator[tuple[Condition, ...]]:
    """What must hold, once for each address that the Service may be asked for by; not at all: it never holds."""
    client = (Condition(Part.NAMESPACE, Op.IS, match.source_namespace),) if match.source_namespace else ()
    if not match.destination_subnets:
        yield client
        return
    blocks = [ip_network(each) for each in match.destination_subnets]
    for address in addresses:
        if any(ip_address(address) in block for block in blocks):
            asked = f"[{address}]" if ":" in address else address
            yield (*client, Condition(Part.AUTHORITY, Op.IS, asked))


def _backends(virtual: VirtualService, rule: Tcp, index: int, port: int, find: Find) -> Iterator[Backend]:
    for at, share in enumerate(rule.route):
        if share.weight or len(rule.route) == 1:
            path: Path = ("spec", "tcp", index, "route", at, "destination")
            cluster = find(Sent(virtual, share.destination, path), port)
            yield Backend(cluster, weight=share.weight or 1, status=NOT_FOUND)
