"""What `--check -v` says of each cluster: which rule is in force and why, what each value comes from, how endpoints are
reached. Says what the snapshot has; decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from proxy.mesh.kinds.destination_rule import (
    ABANDONED_ANNOTATION,
    QUORUM_ANNOTATION,
    RECOVERY_ANNOTATION,
    DestinationRule,
)
from proxy.mesh.kinds.namespaces import ROOT_NAMESPACE
from proxy.mesh.kinds.services import Service
from proxy.mesh.model import DEFAULT_CONNECT_TIMEOUT_MS, Cluster, Endpoint
from proxy.mesh.reading.lines import Lines, Path, path_text
from proxy.mesh.reading.remarks import Key, Place
from proxy.mesh.resolving.binding import waypoint_of
from proxy.mesh.resolving.inventory import Inventory

_MOST_NAMED = 5
Places = Callable[[Key], Place]


def explained(
    inventory: Inventory, clusters: Mapping[str, Cluster], place: Places, has_identity: bool
) -> Iterator[str]:
    """Lines for all clusters in order, then the Services that are not this Gateway's. `has_identity`: there are
    certificates, without which no endpoint is reached over HBONE."""
    for name, cluster in clusters.items():
        service = inventory.services[name.rpartition(":")[0]]
        yield f"{name} ({_spoken(cluster)}): {_reached(cluster.endpoints, has_identity)}"
        if cluster.closed:
            yield f"  closed, every request gets 403: {cluster.closed}"
        rule = inventory.rules.select(service.host, service.manifest.namespace)
        if rule is None:
            yield f"  no DestinationRule: never ejects; connectTimeout {_time(DEFAULT_CONNECT_TIMEOUT_MS)} (default)"
        else:
            yield from _Governed(rule, cluster, place(rule.manifest.key)).lines(_why(rule, service, inventory))
    if others := [name for name, each in sorted(inventory.services.items()) if not _ours(each, inventory)]:
        yield f"Services that are not bound to this Gateway: {_some(others)}"


class _Governed:
    """A cluster under a rule: each value with the line of the rule that says so, or that it is a default."""

    def __init__(self, rule: DestinationRule, cluster: Cluster, place: Place) -> None:
        self._rule = rule
        self._cluster = cluster
        self._place = place
        self._policy = rule.policy_for(int(cluster.name.rpartition(":")[2]))

    def lines(self, why: str) -> Iterator[str]:
        """The rule, then what it says."""
        manifest, path = self._rule.manifest, self._policy.path
        what = path_text(path) if path else "it has no trafficPolicy for this port"
        stands = f"{self._place.path}:{manifest.lines.line + self._place.before}"
        yield f"  DestinationRule {manifest.id} ({stands}), {what}: {why}"
        yield f"    {', '.join(self._outlier())}"
        yield f"    {', '.join(self._others())}"

    def _outlier(self) -> Iterator[str]:
        found = self._cluster.outlier
        if found is None:
            set_here = self._line(self._outlier_path())
            yield f"never ejects: outlierDetection is {'switched off' if set_here else 'not set'}"
            return
        yield f"outlierDetection: {self._value('consecutive5xxErrors', found.consecutive_5xx)}"
        yield self._value("interval", _time(found.interval_ms))
        yield self._value("baseEjectionTime", _time(found.base_ejection_ms))
        yield self._value("maxEjectionPercent", found.max_ejection_percent)
        yield self._annotated("recovery", "probe" if found.probe else "full", RECOVERY_ANNOTATION)
        yield self._annotated("quorum for local-origin failures", found.local_origin_quorum, QUORUM_ANNOTATION)

    def _others(self) -> Iterator[str]:
        path = (*self._policy.path, "connectionPool", "tcp", "connectTimeout")
        yield f"connectTimeout {_time(self._cluster.connect_timeout_ms)} ({self._source(path)})"
        given_up = _time(self._cluster.abandoned_ms) if self._cluster.abandoned_ms else "off"
        yield self._annotated("abandoned-request-timeout", given_up, ABANDONED_ANNOTATION)

    def _outlier_path(self) -> Path:
        return (*self._policy.path, "outlierDetection")

    def _value(self, name: str, value: object) -> str:
        return f"{name} {value} ({self._source((*self._outlier_path(), name))})"

    def _annotated(self, name: str, value: object, annotation: str) -> str:
        return f"{name} {value} ({self._source(('metadata', 'annotations', annotation))})"

    def _source(self, path: Path) -> str:
        line = self._line(path)
        return f"line {line + self._place.before}" if line else "default"

    def _line(self, path: Path) -> int:
        """The line of a value, 0 if the rule does not have it."""
        here: Lines | None = self._rule.manifest.lines
        for step in path:
            here = here.children.get(step) if here else None
        return here.line if here and path[0] in ("spec", "metadata") else 0


def _why(rule: DestinationRule, service: Service, inventory: Inventory) -> str:
    """How Istio's look-up came to the rule."""
    own, waypoint, theirs = rule.manifest.namespace, inventory.gateway.manifest.namespace, service.manifest.namespace
    whose = {ROOT_NAMESPACE: "the root namespace", theirs: "the Service's namespace", waypoint: "the waypoint's"}
    whose[waypoint] = "the namespace of waypoint and Service" if waypoint == theirs else "the waypoint's namespace"
    exact = rule.host == service.host
    host = "for exactly this host" if exact else f"{rule.host} is the most specific host there that covers it"
    others = [each for each in inventory.governing.values() if (each.host, each.manifest.namespace) == (rule.host, own)]
    first = f"; of {len(others)} for it the first by age, then name, that has a policy" if len(others) > 1 else ""
    return f"it stands in {whose.get(own, own)} and {'is ' if exact else ''}{host}{first}"


def _ours(service: Service, inventory: Inventory) -> bool:
    labels = inventory.labels_of(service.manifest.namespace)
    return waypoint_of(service, labels) == inventory.gateway.manifest.id


def _spoken(cluster: Cluster) -> str:
    return "what the first bytes look like" if cluster.protocol == "undeclared" else cluster.protocol


def _reached(endpoints: Sequence[Endpoint], has_identity: bool) -> str:
    if not endpoints:
        return "no endpoints, requests get 503"
    tunnelled = [each for each in endpoints if each.hbone]
    clear = [each.address for each in endpoints if not each.hbone]
    parts = []
    if tunnelled:
        parts.append(
            f"{len(tunnelled)} over HBONE"
            if has_identity
            else f"{len(tunnelled)} captured, and for want of --tls-dir or --ca in plain TCP all the same"
        )
    if anybody := sum(not each.identity for each in tunnelled):
        parts[-1] += f" ({anybody} of unknown service account, which is not checked)"
    if clear:
        parts.append(f"{len(clear)} in plain TCP ({_some(clear)})")
    return f"{len(endpoints)} endpoint{'s' if len(endpoints) > 1 else ''}: {'; '.join(parts)}"


def _some(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _time(milliseconds: int) -> str:
    return f"{milliseconds / 1000:g}s" if milliseconds >= 1000 else f"{milliseconds}ms"
