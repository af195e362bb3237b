"""The shape of `loadBalancer.localityLbSetting`; rules of Istio's `validateLocalityLbSetting`.

Only checked: this version does not balance by locality.
"""

from __future__ import annotations

from proxy.mesh.reading.schema import At, Given, at_most_one, boolean, fields, filled, integer, items, mapping, matching

_REGION_LABELS = frozenset(
    {"topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone"}
)


def _good_locality(name: str) -> bool:
    parts = name.split("/")
    return (
        len(parts) <= 3 and all(part and (part == "*" or "*" not in part) for part in parts) and ("*" not in parts[:-1])
    )


_locality = matching(_good_locality, 'region, region/zone or region/zone/subzone ("*" only as the last part)')


def _overlap(one: str, other: str) -> bool:
    """Whether a place can be in both: one is the other, or a wider region that holds it."""
    mine, yours = (name.removesuffix("*").removesuffix("/").split("/") for name in (one, other))
    shorter = min(len(mine), len(yours))
    return "" in (mine[0], yours[0]) or mine[:shorter] == yours[:shorter]


def _to(at: At, value: object) -> dict[str, int] | None:
    weights = mapping(integer(1, 100))(at, value)
    if isinstance(value, dict):
        for name in value:
            _locality(at.down(name), name)
        total = sum(weight for weight in value.values() if isinstance(weight, int))
        if total != 100:
            at.fault(f"the weights must add up to 100, not {total}")
    return weights


def _no_overlap(at: At, setting: Given) -> None:
    entries = setting.get("distribute")
    names = [entry["from"] for entry in entries] if isinstance(entries, tuple) else []
    for index, name in enumerate(names):
        if any(_overlap(name, earlier) for earlier in names[:index]):
            at.down("distribute", index, "from").fault("overlaps an earlier locality")


def _failover_regions(at: At, entry: Given) -> None:
    if entry["from"] == entry["to"]:
        at.down("to").fault("must differ from the region it stands in for")


def _failover_labels(at: At, setting: Given) -> None:
    priorities = setting.get("failoverPriority")
    if setting.get("failover") and isinstance(priorities, tuple):
        for index, label in enumerate(priorities):
            if label.split("=")[0] in _REGION_LABELS:
                at.down("failoverPriority", index).fault("cannot be used together with failover")


def _good_region(name: str) -> bool:
    return bool(name) and "/" not in name and "*" not in name


_region = matching(_good_region, 'a region, without "/" or "*"')
_failover = fields({"from": _region, "to": _region}, required=("from", "to"), rules=(_failover_regions,))

locality_setting = fields(
    {
        "enabled": boolean,
        "distribute": items(fields({"from": _locality, "to": _to}, required=("from", "to"))),
        "failover": items(_failover),
        "failoverPriority": items(filled),
    },
    rules=(at_most_one("distribute", "failover"), _no_overlap, _failover_labels),
)
