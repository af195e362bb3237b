"""The effective policy of a cluster out of the rules that govern its Service: Istio's mergeDestinationRule,
GetPortLevelTrafficPolicy and MergeSubsetTrafficPolicy.

Members of a policy are replaced whole: a port's entry takes the place of the whole policy, a subset's members that of
the same members below. So nothing is merged field by field, and each member knows its rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from proxy.mesh.kinds.destination_rule import DestinationRule
from proxy.mesh.reading.lines import Path
from proxy.mesh.traffic.policy import EffectivePolicy, Members, Origin, PortPolicy, Subset, TrafficPolicy

_BY_PORT = {
    "outlier_detection": "outlierDetection",
    "connection_pool": "connectionPool",
    "load_balancer": "loadBalancer",
    "tls": "tls",
}
_OTHERS = {"tunnel": "tunnel", "proxy_protocol": "proxyProtocol", "retry_budget": "retryBudget"}
MEMBERS = _BY_PORT | _OTHERS
"""All members of a policy: attributes and what the API calls them."""
POLICY: Path = ("spec", "trafficPolicy")
ANNOTATIONS = "annotations"


class Part(NamedTuple):
    """One of `subsets`: in which rule, and `at` which place in its list."""

    rule: DestinationRule
    at: int
    subset: Subset

    @property
    def path(self) -> Path:
        """Where it stands in its rule."""
        return ("spec", "subsets", self.at)


class _Member(NamedTuple):
    """A member of a policy, and where it comes from."""

    value: object
    rule: DestinationRule
    path: Path

    def origin(self) -> Origin:
        depth = len(self.path)
        said = (each[depth:] for each in self.rule.said if each[:depth] == self.path)
        return Origin(self.rule.manifest.id, self.path, frozenset(".".join(map(str, each)) for each in said))


class Governing:
    """The rules for one host that count as one. `rule`: whose policy it is, the first that has one, else the first.

    `subsets` are those of all of them, by name; `doubles`: those whose name an earlier rule has given away.
    """

    def __init__(self, rules: Sequence[DestinationRule]) -> None:
        self.rules = rules
        self.rule = next((rule for rule in rules if rule.policy), rules[0])
        self.subsets: dict[str, Part] = {}
        self.doubles: list[Part] = []
        self._made: dict[tuple[int, str], EffectivePolicy] = {}
        for rule in rules:
            for index, subset in enumerate(rule.subsets):
                part = Part(rule, index, subset)
                if self.subsets.setdefault(subset.name, part) is not part:
                    self.doubles.append(part)

    def path(self, port: int) -> Path:
        """Where the policy of a port stands in `rule`; () where it has none."""
        return _of_port(self.rule.policy, port, POLICY)[1] if self.rule.policy else ()

    def policy(self, port: int, subset: str = "") -> EffectivePolicy:
        """What is in force for a port of the Service, or for one of `subsets` there; made once."""
        made = self._made.get((port, subset))
        if made is None:
            made = self._made[port, subset] = _effective(self._members(port, subset), self.rule)
        return made

    def _members(self, port: int, subset: str) -> dict[str, _Member]:
        """By attribute."""
        chosen: dict[str, _Member] = {}
        if self.rule.policy:
            members, path = _of_port(self.rule.policy, port, POLICY)
            _take(chosen, members, self.rule, path)
        if subset and (policy := self.subsets[subset].subset.traffic_policy):
            part = self.subsets[subset]
            below: Path = (*part.path, "trafficPolicy")
            _take(chosen, policy, part.rule, below)
            members, path = _of_port(policy, port, below)
            if members is not policy:
                # What the subset's entry for a port does not say is the default, not what stands above it.
                chosen = {attribute: each for attribute, each in chosen.items() if attribute not in _BY_PORT}
                _take(chosen, members, part.rule, path)
        return chosen


def _of_port(policy: TrafficPolicy, port: int, path: Path) -> tuple[Members, Path]:
    """The policy's entry for a port, else the policy itself, and where that stands."""
    for index, entry in enumerate(policy.port_level_settings):
        if entry.port == port:
            return entry, (*path, "portLevelSettings", index)
    return policy, path


def _take(chosen: dict[str, _Member], members: Members, rule: DestinationRule, path: Path) -> None:
    """The members that are there take the place of others."""
    for attribute, name in (_BY_PORT if isinstance(members, PortPolicy) else MEMBERS).items():
        value = getattr(members, attribute)
        if value is not None:
            chosen[attribute] = _Member(value, rule, (*path, name))


def _effective(members: Mapping[str, _Member], rule: DestinationRule) -> EffectivePolicy:
    origins = {MEMBERS[attribute]: each.origin() for attribute, each in members.items()}
    values: dict[str, Any] = {attribute: each.value for attribute, each in members.items()}
    # Our annotations are about ejections: those of the rule that asks for them count.
    asking = members["outlier_detection"].rule if "outlier_detection" in members else rule
    found = asking.annotations
    if found.given:
        origins[ANNOTATIONS] = Origin(asking.manifest.id, ("metadata", "annotations"), found.given)
    if "outlier_detection" in values:
        outlier = values["outlier_detection"]
        values["outlier_detection"] = replace(
            outlier,
            probe=found.probe,
            local_origin_quorum=found.quorum,
            success_rate=found.success_rate,
            failure_percentage=found.failure_percentage,
        )
    return EffectivePolicy(
        rule=rule.manifest.id,
        origins=origins,
        abandoned_ms=found.abandoned_ms,
        limits_scope=found.limits_scope,
        **values,
    )
