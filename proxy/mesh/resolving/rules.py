"""Which DestinationRule applies to a Service: Istio's `PushContext.destinationRule`, seen from a waypoint.

The waypoint's own namespace comes first, then the Service's, then the mesh's root namespace; inside one the most
specific host wins, so a wildcard in an earlier namespace hides an exact host in a later one. What several rules for one
host come to is in `policies`.
"""

from __future__ import annotations

from collections.abc import Iterator

from proxy.mesh.kinds.addresses import CLUSTER_DOMAIN
from proxy.mesh.kinds.destination_rule import EVERYWHERE, DestinationRule
from proxy.mesh.kinds.namespaces import ROOT_NAMESPACE
from proxy.mesh.reading.index import Index
from proxy.mesh.resolving.policies import Governing


class _Group:
    """Rules for one host that count as one: those that are visible wherever the first is."""

    def __init__(self, first: DestinationRule) -> None:
        self._rules = [first]
        self._export_to = first.export_to
        self._governing: Governing | None = None

    def takes(self, rule: DestinationRule) -> bool:
        """Whether a later rule joins."""
        joins = rule.export_to >= self._export_to
        if joins:
            self._rules.append(rule)
        return joins

    def visible_in(self, namespace: str) -> bool:
        return EVERYWHERE in self._export_to or namespace in self._export_to

    def private(self) -> bool:
        """Whether it is kept to its own namespace."""
        return self._export_to == {self._rules[0].manifest.namespace}

    def governing(self) -> Governing:
        """What comes of them; made once."""
        if self._governing is None:
            self._governing = Governing(self._rules)
        return self._governing


class Rules:
    """All rules, and the one in force for a Service as seen from the waypoint in `namespace`."""

    def __init__(self, namespace: str) -> None:
        self._waypoint = namespace
        self._rules: Index[tuple[str, str], DestinationRule] = Index()
        self._groups: dict[tuple[str, str], list[_Group]] = {}
        self._wildcards: dict[str, set[str]] = {}

    def replace(self, old: DestinationRule | None, new: DestinationRule | None) -> None:
        """A rule is another now, has come (`old` is None) or gone."""
        for rule in (old, new):
            if rule is None or rule.selects_clients:
                continue
            at = rule.manifest.namespace, rule.host
            left = self._rules.drop(at, rule) if rule is old else self._rules.add(at, rule)
            self._groups.pop(at, None)
            if rule.host.startswith("*"):
                hosts = self._wildcards.setdefault(rule.manifest.namespace, set())
                (hosts.add if left else hosts.discard)(rule.host)

    def select(self, host: str, namespace: str) -> Governing | None:
        """What governs the Service with the full name `host` in `namespace`, or None."""
        # Of the root namespace's rules a waypoint there sees first only what stays in it.
        own = self._most_specific(self._waypoint, host, True if self._waypoint == ROOT_NAMESPACE else None)
        groups = own or self._seen(namespace, host) or self._seen(ROOT_NAMESPACE, host)
        # Groups differ in exportTo only, and then Istio's look-up ends at the last one.
        return groups[-1].governing() if groups else None

    def _seen(self, namespace: str, host: str) -> list[_Group]:
        found = self._most_specific(namespace, host, False)
        return [group for group in found if group.visible_in(self._waypoint)]

    def _most_specific(self, namespace: str, host: str, private: bool | None) -> list[_Group]:
        """Those of the exact host, else of the longest wildcard that covers it (`*.foo.com` does not cover `foo.com`).

        Only those counted that are kept to their own namespace (`private`), or shown to others; None: all.
        """
        covering = [each for each in self._wildcards.get(namespace, ()) if covers(each, host)]
        for name in (host, *sorted(covering, key=lambda name: (-len(name), name))):
            groups = self._of(namespace, name)
            if found := [each for each in groups if private is None or each.private() is private]:
                return found
        return []

    def _of(self, namespace: str, host: str) -> list[_Group]:
        groups = self._groups.get((namespace, host))
        if groups is None:
            groups = list(_grouped(self._rules.of((namespace, host))))
            if groups:
                self._groups[namespace, host] = groups
        return groups


def _grouped(rules: tuple[DestinationRule, ...]) -> Iterator[_Group]:
    groups: list[_Group] = []
    for rule in sorted(rules, key=lambda rule: (rule.manifest.created, rule.manifest.name)):
        if not any(group.takes(rule) for group in groups):
            groups.append(_Group(rule))
    yield from groups


def covers(pattern: str, host: str) -> bool:
    """Whether a rule for the wildcard `pattern` is meant for `host` too."""
    return pattern.startswith("*") and host.endswith(pattern[1:]) and host != pattern[1:]


def service_called(host: str) -> str:
    """ "namespace/name" of the Service with that full name; "" if no Service can have it."""
    labels = host.removesuffix(f".{CLUSTER_DOMAIN}").split(".")
    return f"{labels[1]}/{labels[0]}" if host.endswith(f".{CLUSTER_DOMAIN}") and len(labels) == 2 else ""
