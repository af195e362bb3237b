"""What waypoints make of a route itself, read as they read it: which of its rules they drop, and why. Pure.

A rule that asks for what cannot be done has its requests answered 500 (`mesh.kinds.route_rules`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from proxy.kubernetes.deployer.rivals import Fault
from proxy.mesh.kinds import grpc_route, http_route, route_filters
from proxy.mesh.reading.lines import Lines
from proxy.mesh.reading.metadata import manifest_of
from proxy.mesh.reading.remarks import Key, Remark
from proxy.mesh.reading.report import Report

Object = Mapping[str, Any]
UNSUPPORTED, INCOMPATIBLE = "UnsupportedValue", "IncompatibleFilters"
_READ = {"HTTPRoute": http_route.read, "GRPCRoute": grpc_route.read}


@dataclass(frozen=True, slots=True)
class Verdict:
    """`refused`: nothing of it can be in force. `dropped`: some of its rules are not."""

    refused: Fault | None = None
    dropped: str = ""


def judged(route: Object) -> Verdict:
    """Of a route as the API gives it."""
    body, report = dict(route), Report()
    key = Key(route["kind"], route["metadata"]["namespace"], route["metadata"]["name"])
    found = _READ[key.kind](manifest_of(key, body, Lines(0)), body, report)
    if found is None:
        return Verdict(refused=(UNSUPPORTED, _told(report.faults[0])))
    broken = [rule.index for rule in found.rules if rule.broken]
    if not broken:
        return Verdict()
    why = found.rules[broken[0]].remarks[-1]
    if len(broken) == len(found.rules):
        return Verdict(refused=(_reason(route["spec"]["rules"][broken[0]]), _told(why)))
    return Verdict(dropped=f"Dropped Rule {', '.join(map(str, broken))}: {_told(why)}")


def _reason(rule: Object) -> str:
    """Why a rule cannot be in force. API servers refuse such filters by a rule that CRDs of before v1.0 have not."""
    types = {each["type"] for each in rule.get("filters") or ()}
    return INCOMPATIBLE if types >= route_filters.INCOMPATIBLE else UNSUPPORTED


def _told(remark: Remark) -> str:
    return f"{remark.field}: {remark.text}"
