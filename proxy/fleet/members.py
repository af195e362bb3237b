"""Clusters and endpoints as the fleet's code sees them. Pure.

The request path has its own, compiled objects (relay/cluster.pyx); these are made from the same part of a snapshot.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from proxy.ipc.snapshot import ClusterForm
from state.operating.rule import text_for
from state.outlier.run import Run
from state.outlier.store import MIN_RUN_MS, Batch, Policy


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
    policy: Policy  # the fleet's
    own_policy: Policy  # what this replica goes by when it decides alone: it has seen all that it counts
    rule: str  # the same for people, with where it came from
    members: Mapping[str, Member]  # by address
    by_slot: Mapping[int, Member]
    slots: tuple[int, ...]  # the scoreboard rows of all members


def group_of(body: ClusterForm) -> Group | None:
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
        min_run_ms=MIN_RUN_MS,
        local_origin_quorum=outlier["local_origin_quorum"],
        probe=outlier["probe"],
    )
    by_slot = {member.slot: member for member in members.values()}
    return Group(
        name=body["name"],
        slot=body["slot"],
        policy=policy,
        own_policy=replace(policy, min_run_ms=0, local_origin_quorum=1),
        rule=text_for(
            policy, body["destination_rule"], {member.address: member.workload for member in members.values()}
        ),
        members=members,
        by_slot=by_slot,
        slots=tuple(by_slot),
    )


def batch_of(
    group: Group, member: Member, generation: int, run: Run, status: int, by: str, evidence: str = ""
) -> Batch:
    """What a store is told of outcomes on an endpoint."""
    return Batch(group.name, member.address, member.workload, generation, run, status, by, evidence)


def present(groups: Mapping[str, Group], group: Group, member: Member) -> Group | None:
    """The group as it is now, if the member is still in it.

    To be asked after everything that takes time: a snapshot may have come, and the member's row been given away.
    """
    now = groups.get(group.name)
    return now if now is not None and now.by_slot.get(member.slot) == member else None


def _address(ip: str, port: int) -> str:
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"
