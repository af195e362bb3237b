"""Clusters and endpoints as the fleet's code sees them. Pure.

The request path has its own, compiled objects (relay/cluster.pyx); these are made from the same part of a snapshot.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from state.store import Policy


@dataclass(frozen=True, slots=True)
class Member:
    """One endpoint of a cluster."""

    address: str
    workload: str
    slot: int


@dataclass(frozen=True, slots=True)
class Group:
    """One cluster with outlier detection on."""

    name: str
    slot: int
    policy: Policy
    members: Mapping[str, Member]  # by address
    slots: tuple[int, ...]  # the scoreboard rows of all members


def group_of(body: Mapping[str, Any]) -> Group | None:
    """The group of a cluster's part of a snapshot; None if nothing is to be ejected there."""
    outlier = body["outlier"]
    if outlier is None:
        return None
    members = {}
    for entry in body["endpoints"]:
        address = _address(entry["ip"], entry["port"])
        members[address] = Member(address, entry["workload"], entry["slot"])
    policy = Policy(
        consecutive_5xx=outlier["consecutive_5xx"],
        interval_ms=outlier["interval_ms"],
        base_ejection_ms=outlier["base_ejection_ms"],
        max_ejection_percent=outlier["max_ejection_percent"],
        endpoints=len(members),
    )
    return Group(body["name"], body["slot"], policy, members, tuple(member.slot for member in members.values()))


def _address(ip: str, port: int) -> str:
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"
