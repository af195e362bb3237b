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
    by_slot: Mapping[int, Member]
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
    by_slot = {member.slot: member for member in members.values()}
    return Group(body["name"], body["slot"], policy, members, by_slot, tuple(by_slot))


def present(groups: Mapping[str, Group], group: Group, member: Member) -> Group | None:
    """The group as it is now, if the member is still in it.

    To be asked after everything that takes time: a snapshot may have come, and the member's row been given away.
    """
    now = groups.get(group.name)
    return now if now is not None and now.by_slot.get(member.slot) == member else None


def _address(ip: str, port: int) -> str:
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"
