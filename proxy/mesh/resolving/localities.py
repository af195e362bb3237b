"""Which endpoints are near: groups of a cluster's endpoints, as `localityLbSetting`, `trafficDistribution` or Istio's
default ask for them.

Rules of Istio's pilot/pkg/networking/core/loadbalancer (ApplyLocalityLoadBalancer, GetLocalityLbSetting): where there
is `outlierDetection` there is failover by locality, even if nobody asks for it, unless `enabled: false` ends it;
without, a rule's failover does nothing, as nobody would ever be out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import NamedTuple

from proxy.mesh.kinds.distribution import PRIORITIES
from proxy.mesh.kinds.nodes import NETWORK
from proxy.mesh.model import Endpoint, Group, Locality, Spread
from proxy.mesh.resolving.endpoints import Labelled
from proxy.mesh.resolving.here import Here, with_topology
from proxy.mesh.traffic.balancing import Distribute, Failover, LocalitySetting, Simple
from proxy.mesh.traffic.policy import EffectivePolicy

_ANY = "*"
_DISTANCES = ("same region, zone and subzone", "same region and zone", "same region", "other regions", "last resort")
_ELSEWHERE = len(_DISTANCES) - 2
_LAST = len(_DISTANCES) - 1
_DEFAULT = LocalitySetting()


class Asked(NamedTuple):
    """What counts for a cluster, and what says so; `fails_over`: there is failover."""

    setting: LocalitySetting
    why: str
    fails_over: bool


class _Place(NamedTuple):
    """The group of an endpoint: the first is the best. `name`: for people."""

    order: int
    name: str
    weight: int = 0


def asked(policy: EffectivePolicy, distribution: str) -> Asked | None:
    """None: it does not matter where endpoints are. `distribution`: the Service's trafficDistribution, or ""."""
    balancer, ejects = policy.load_balancer, policy.outlier_detection is not None
    setting = balancer.locality_lb_setting
    if balancer.simple is Simple.PASSTHROUGH or balancer.zone_aware_lb_setting:
        return None
    if setting:
        return None if setting.enabled is False else Asked(setting, "localityLbSetting", ejects)
    if distribution:
        priorities = LocalitySetting(failover_priority=PRIORITIES[distribution])
        return Asked(priorities, f"trafficDistribution {distribution}", True)
    return Asked(_DEFAULT, "outlierDetection, with which Istio fails over by locality", True) if ejects else None


def spread(
    members: Sequence[Labelled], policy: EffectivePolicy, here: Here, distribution: str
) -> tuple[tuple[Endpoint, ...], Spread | None]:
    """The endpoints, group by group; None: all are alike, and stand as they stood."""
    places, found = None, asked(policy, distribution)
    if found and found.setting.distribute:
        places = _distributed(found.setting.distribute, here.locality, members)
    elif found and found.fails_over:
        place = _placing(found.setting, here)
        places = [place(each) for each in members]
    if found is None or places is None or _are_alike(places, found.setting):
        return tuple(each.endpoint for each in members), None
    ordered = sorted(zip(places, members, strict=True), key=lambda pair: pair[0].order)
    groups = [(place, sum(1 for _ in pairs)) for place, pairs in groupby(place for place, _ in ordered)]
    made = tuple(Group(size, place.name, place.weight) for place, size in groups)
    return tuple(each.endpoint for _, each in ordered), Spread(
        made, not found.setting.distribute, found.why, here.locality
    )


def _are_alike(places: Sequence[_Place], setting: LocalitySetting) -> bool:
    unlisted = bool(setting.distribute) and not any(each.weight for each in places)
    return not places or (len({each.order for each in places}) == 1 and not unlisted)


# -- failover ---------------------------------------------------------------------------------------------------------


def _placing(setting: LocalitySetting, here: Here) -> Callable[[Labelled], _Place]:
    """Both kinds of failover may be asked for: labels count before regions."""

    def by_locality(member: Labelled) -> _Place:
        distance = _distance(here.locality, member.endpoint.locality, setting.failover)
        return _Place(distance, _DISTANCES[distance])

    def by_labels(member: Labelled) -> _Place:
        place = _by_labels(setting.failover_priority, here, member)
        if not setting.failover:
            return place
        distance = by_locality(member)
        return _Place(place.order * len(_DISTANCES) + distance.order, f"{place.name}; {distance.name}")

    return by_labels if setting.failover_priority else by_locality


def _distance(here: Locality, there: Locality, failover: Sequence[Failover]) -> int:
    """0 to 4: Istio's LbPriority, and what `failover` says of other regions. Who does not know where he is has nobody
    near."""
    if not any(here):
        return 0
    if here.region != there.region:
        stands_in = next((each.to for each in failover if each.from_ == here.region), there.region)
        return _ELSEWHERE if there.region == stands_in else _LAST
    if here.zone != there.zone:
        return 2
    return 0 if here.subzone == there.subzone else 1


def _by_labels(priorities: Sequence[str], here: Here, member: Labelled) -> _Place:
    """By how many labels, from the first on, are the same. A network that differs makes all of its endpoints worse than
    all of ours, and does not end the comparison."""
    endpoint = member.endpoint
    theirs = with_topology(member.labels, endpoint.locality, member.node)
    count, more = len(priorities), 0
    for at, asked_for in enumerate(priorities if here.labels else ()):
        name, _, value = asked_for.partition("=")
        if (value if "=" in asked_for else here.labels.get(name, "")) == theirs.get(name, ""):
            continue
        if at == 0 and name == NETWORK:
            more = count
            continue
        return _Place(count - at + more, f"other {name}{f' than {value}' if value else ''}")
    return _Place(more, f"other {NETWORK}" if more else "all of failoverPriority the same")


# -- distribution -----------------------------------------------------------------------------------------------------


def _distributed(rows: Sequence[Distribute], here: Locality, members: Sequence[Labelled]) -> list[_Place] | None:
    """By the first row that is for us; None: none is. What no locality of it covers gets nothing."""
    row = next((each for each in rows if covers(each.from_, here)), None)
    if row is None:
        return None
    heavy: Counter[Locality] = Counter()
    for each in members:
        heavy[each.endpoint.locality] += each.endpoint.weight
    shares = {there: next(((to, share) for to, share in row.to if covers(to, there)), None) for there in heavy}
    totals: Counter[str] = Counter()
    for there, found in shares.items():
        totals[found[0] if found else ""] += heavy[there]
    places = {
        there: _Place(at, str(there), -(-heavy[there] * found[1] // totals[found[0]]))
        if found
        else _Place(len(heavy), "in no locality of distribute: gets no requests")
        for at, (there, found) in enumerate(shares.items())
    }
    return [places[each.endpoint.locality] for each in members]


def covers(pattern: str, locality: Locality) -> bool:
    """Istio's LocalityMatch: what a pattern leaves out may be anything."""
    region, *finer = pattern.split("/", 2)
    return region in (_ANY, locality.region) and all(
        part in (_ANY, "", own) for part, own in zip(finer, locality[1:], strict=False)
    )
