"""`tcp` of a VirtualService (networking/v1alpha3/virtual_service.proto, TCPRoute): which connections go where.
Rules of Istio's `validateTCPRoute`.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network

from proxy.mesh.kinds import names
from proxy.mesh.kinds.virtual_match import MESH, gateways
from proxy.mesh.kinds.virtual_route import Destination
from proxy.mesh.reading.records import optional, required, struct
from proxy.mesh.reading.remarks import shown
from proxy.mesh.reading.schema import UINT32_MAX, At, count, integer, items, matching, text


def _subnet(at: At, value: object) -> str | None:
    found = text(at, value)
    if found is None:
        return None
    try:
        return str(ip_network(found, strict=False))
    except ValueError:
        at.fault(f"must be an IP address, or a block of them such as 10.96.0.0/16, not {shown(found)}")
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """All of it holds. `port` 0: any of the Service's."""

    destination_subnets: tuple[str, ...] = optional(items(_subnet), ())
    port: int = optional(integer(0, 65535), 0)
    source_namespace: str = optional(matching(names.is_label, "the name of a namespace"), "")
    source_labels: tuple[tuple[str, str], ...] = optional(names.labels, ())
    source_subnet: str = optional(text, "")
    gateways: tuple[str, ...] = optional(gateways, ())

    @property
    def may_hold(self) -> bool:
        """Whether it is for a waypoint, and asks nothing that is never known of a client there."""
        return (not self.gateways or MESH in self.gateways) and not self.source_labels and not self.source_subnet


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One of `route`."""

    destination: Destination = required(struct(Destination))
    weight: int = optional(count, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tcp:
    """One of `tcp`: the first of which a `match` fits counts; without any, it fits all."""

    match: tuple[Match, ...] = optional(items(struct(Match)), ())
    route: tuple[Share, ...] = optional(items(struct(Share)), ())


def _goes_somewhere(at: At, found: Tcp) -> None:
    weights = [each.weight for each in found.route]
    if not weights:
        at.down("route").fault("is required")
    elif len(weights) > 1 and not any(weights):
        at.down("route").fault("has no weight: the sum of all is 0")
    elif sum(weights) > UINT32_MAX:
        at.down("route").fault(f"has more weight than {UINT32_MAX} in all")


tcp = struct(Tcp, rules=(_goes_somewhere,))
ANY = Match(destination_subnets=(), port=0, source_namespace="", source_labels=(), source_subnet="", gateways=())
"""What a rule without any match is for."""
