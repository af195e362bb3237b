"""Which DestinationRule applies to a Service: Istio's `PushContext.destinationRule`, seen from a waypoint.

The waypoint's own namespace comes first, then the Service's, then the mesh's root namespace; inside one the most
specific host wins, so a wildcard in an earlier namespace hides an exact host in a later one. Nothing is merged field by
field.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from proxy.mesh.kinds.destination_rule import EVERYWHERE, DestinationRule
from proxy.mesh.kinds.namespaces import ROOT_NAMESPACE


@dataclass(slots=True)
class _Group:
    """Rules for one host that count as one: the policy is that of the first which has one."""

    rule: DestinationRule
    export_to: frozenset[str]

    def takes(self, rule: DestinationRule) -> bool:
        """A later rule joins if it is visible wherever this one is; it brings a policy only if there is none yet."""
        if not rule.export_to >= self.export_to:
            return False
        if self.rule.policy is None and rule.policy is not None:
            self.rule = rule
        return True

    def visible_in(self, namespace: str) -> bool:
        return EVERYWHERE in self.export_to or namespace in self.export_to


Hosts = dict[str, list[_Group]]


class Rules:
    """All rules, and the one in force for a Service as seen from the waypoint in `namespace`."""

    def __init__(self, rules: Iterable[DestinationRule], namespace: str) -> None:
        self._waypoint = namespace
        self._all: dict[str, Hosts] = {}
        for rule in sorted(rules, key=lambda rule: (rule.manifest.created, rule.manifest.name)):
            if not rule.selects_clients:
                self._add(rule)
        self._exported = {name: _only(hosts, private=False) for name, hosts in self._all.items()}
        # Of the root namespace's rules a waypoint there sees first only what stays in it.
        own = self._all.get(namespace, {})
        self._own = _only(own, private=True) if namespace == ROOT_NAMESPACE else own

    def select(self, host: str, namespace: str) -> DestinationRule | None:
        """The rule for the Service with the full name `host` in `namespace`, or None."""
        groups = most_specific(self._own, host) or self._seen(namespace, host) or self._seen(ROOT_NAMESPACE, host)
        # Groups differ in exportTo only, and then Istio's look-up ends at the last one.
        return groups[-1].rule if groups else None

    def _add(self, rule: DestinationRule) -> None:
        groups = self._all.setdefault(rule.manifest.namespace, {}).setdefault(rule.host, [])
        if not any(group.takes(rule) for group in groups):
            groups.append(_Group(rule, rule.export_to))

    def _seen(self, namespace: str, host: str) -> list[_Group]:
        found = most_specific(self._exported.get(namespace, {}), host)
        return [group for group in found if group.visible_in(self._waypoint)]


def _only(hosts: Hosts, private: bool) -> Hosts:
    """The hosts that have rules kept to their own namespace (`private`), or shown to others."""
    chosen = {
        host: [group for group in groups if (group.export_to == {group.rule.manifest.namespace}) is private]
        for host, groups in hosts.items()
    }
    return {host: groups for host, groups in chosen.items() if groups}


def most_specific(hosts: Hosts, host: str) -> list[_Group]:
    """The exact host's, else those of the longest wildcard that covers it (`*.foo.com` does not cover `foo.com`)."""
    if host in hosts:
        return hosts[host]
    wildcards = [name for name in hosts if name.startswith("*") and host.endswith(name[1:]) and host != name[1:]]
    return hosts[min(wildcards, key=lambda name: (-len(name), name))] if wildcards else []
