"""`loadBalancer.localityLbSetting` and `zoneAwareLbSetting`; rules of Istio's `ValidateLocalityLbSetting`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from proxy.mesh.kinds.nodes import TOPOLOGY_LABELS
from proxy.mesh.reading.records import built
from proxy.mesh.reading.remarks import shown
from proxy.mesh.reading.schema import At, Given, at_most_one, boolean, filled, integer, items, mapping, matching
from proxy.mesh.traffic.balancing import Distribute, Failover, LocalitySetting, ZoneAwareSetting

_ANY = "*"


def _good_locality(name: str) -> bool:
    return all(_parts(name)) and _ANY not in name.removesuffix(_ANY)


def _parts(name: str) -> list[str]:
    return name.split("/", 2)


_locality = matching(_good_locality, 'region, region/zone or region/zone/subzone ("*" only at the end)')


def _overlapping(names: Iterable[str]) -> Iterator[int]:
    """Which of the localities have been meant by one before them; a wider one behind a narrower is for the rest."""
    seen: list[list[str]] = []
    for index, name in enumerate(names):
        parts = _parts(name)
        if any(_holds(each, parts) for each in seen):
            yield index
        seen.append(parts)


def _holds(earlier: list[str], later: list[str]) -> bool:
    """Whether the earlier one leaves nothing of the later to itself, or is a part that it may not be wider than."""
    if earlier == [_ANY]:
        return True
    shorter = min(len(earlier), len(later))
    if earlier[:shorter] == later[:shorter]:
        return True
    return earlier[-1] == _ANY and len(later) >= len(earlier) and earlier[:-1] == later[: len(earlier) - 1]


def _to(at: At, value: object) -> tuple[tuple[str, int], ...] | None:
    before = at.faults
    weights = mapping(integer(1, 100))(at, value)
    if isinstance(value, dict):
        for name in value:
            _locality(at.down(name), name)
        total = sum(weight for weight in value.values() if isinstance(weight, int))
        if total != 100:
            at.fault(f"the weights must add up to 100, not {total}")
    if weights is None or at.faults != before:
        return None
    # A mapping has no order: narrower ones first, as one would write them.
    names = sorted(weights, key=lambda name: (-len(_parts(name)), name.endswith(_ANY), name))
    for index in _overlapping(names):
        at.down(names[index]).fault("overlaps another locality")
    return tuple(weights.items())


def _no_overlap(at: At, found: LocalitySetting) -> None:
    for index in _overlapping(each.from_ for each in found.distribute):
        at.down("distribute", index, "from").fault("overlaps an earlier locality")


def _other_region(at: At, found: Failover) -> None:
    if found.from_ == found.to:
        at.down("to").fault("must differ from the region it stands in for")
    elif not (found.from_ and found.to):
        at.warn("names one region only, so it does nothing; give from and to")


def _no_topology(at: At, given: Given) -> None:
    """Regions are either named by `failover` or compared by their labels."""
    priorities = given.get("failoverPriority")
    if given.get("failover") and isinstance(priorities, tuple):
        for index, label in enumerate(priorities):
            if label in TOPOLOGY_LABELS:
                at.down("failoverPriority", index).fault(f"{shown(label)} cannot be used together with failover")


_region = matching(lambda name: "/" not in name and _ANY not in name, 'a region, without "/" or "*"')
_failover = built(Failover, {"from": _region, "to": _region}, rules=(_other_region,))
_FAILOVER = {"enabled": boolean, "failover": items(_failover), "failoverPriority": items(filled)}


_distribute = built(Distribute, {"from": _locality, "to": _to})


def _one_kind(at: At, given: Given) -> None:
    if given.get("distribute") and given.get("failover"):
        at_most_one("distribute", "failover")(at, given)
    if given.get("distribute") and given.get("failoverPriority"):
        at.down("failoverPriority").warn("does nothing beside distribute, which says where requests go; remove one")


locality_setting = built(
    LocalitySetting,
    {**_FAILOVER, "distribute": items(_distribute)},
    given=(_one_kind, _no_topology),
    rules=(_no_overlap,),
)


def _topology_refused(at: At, found: ZoneAwareSetting) -> None:
    for index, label in enumerate(found.failover_priority):
        if label in TOPOLOGY_LABELS:
            at.down("failoverPriority", index).fault(f"{shown(label)} is compared by itself: leave it out")


zone_aware_setting = built(
    ZoneAwareSetting,
    {**_FAILOVER, "minClusterSize": integer(1, 2**32 - 1)},
    rules=(_topology_refused,),
)
