"""What `--check -v` says of each cluster: which rule is in force and why, what each value comes from, how endpoints are
reached. Says what the snapshot has; decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence

from proxy.mesh.kinds.destination_rule import OURS, DestinationRule
from proxy.mesh.kinds.namespaces import ROOT_NAMESPACE
from proxy.mesh.kinds.services import Service
from proxy.mesh.model import Cluster, Endpoint, Spread
from proxy.mesh.reading.lines import path_text
from proxy.mesh.reading.remarks import Key, Place
from proxy.mesh.resolving.clusters import subset
from proxy.mesh.resolving.inventory import Inventory
from proxy.mesh.resolving.policies import MEMBERS, Governing, Part
from proxy.mesh.resolving.routing_lines import routing_lines
from proxy.mesh.resolving.stated import Stated, stated, time
from proxy.mesh.traffic.access import AccessPolicy
from proxy.mesh.traffic.connections import DEFAULT_CONNECT_TIMEOUT_MS
from proxy.mesh.traffic.policy import EffectivePolicy
from proxy.mesh.traffic.tokens import JwtRule

_MOST_NAMED = 5
Places = Callable[[Key], Place]


def explained(
    inventory: Inventory, clusters: Mapping[str, Cluster], hosts: Container[str], place: Places, has_identity: bool
) -> Iterator[str]:
    """Lines for all clusters in order, then the Services that are not this Gateway's. `hosts`: those that are hosts of
    the Gateway itself. `has_identity`: there are certificates, without which no endpoint is reached over HBONE."""
    for name, cluster in clusters.items():
        if name in hosts:
            yield f"{name} (http): a host of the Gateway"
            yield from _gate(cluster)
            continue
        service = inventory.services[name.rpartition(":")[0]]
        asked = [name for name, _ in cluster.names]
        more = f"; DNS is asked for {_some(asked)}" if asked else ""
        more += "" if inventory.binds(service) else "; only routes lead there"
        yield f"{name} ({_spoken(cluster)}): {_reached(cluster.endpoints, has_identity)}{_inside(cluster)}{more}"
        if cluster.spread:
            yield from (f"  {line}" for line in spread_lines(cluster.spread))
        yield from _gate(cluster)
        if cluster.rate_limits:
            yield f"  rate limits: {'; '.join(map(str, cluster.rate_limits))}"
        governing = inventory.rules.select(service.host, service.manifest.namespace)
        if governing is None:
            yield f"  no DestinationRule: never ejects; connectTimeout {time(DEFAULT_CONNECT_TIMEOUT_MS)} (default)"
        else:
            yield from _ruled(governing, service, cluster, inventory, place, clusters)
    if others := [name for name, each in sorted(inventory.services.items()) if not inventory.binds(each)]:
        yield f"Services that are not bound to this Gateway: {_some(others)}"


def _gate(cluster: Cluster) -> Iterator[str]:
    """Who gets in, and where to."""
    if cluster.closed:
        yield f"  closed, every request gets 403: {cluster.closed}"
    elif cluster.access:
        yield f"  who gets in: AuthorizationPolicies {', '.join(map(_says, cluster.access))}"
    if cluster.shadows:
        yield f"  only counted and logged: AuthorizationPolicies {', '.join(map(_says, cluster.shadows))}"
    if cluster.tokens:
        yield f"  tokens are verified: {', '.join(map(_trusts, cluster.tokens))}"
    if cluster.routing:
        yield from ("  routes, the first that fits:", *(f"    {line}" for line in routing_lines(cluster.routing)))


class _Governed:
    """A cluster under rules: each value with the line that says so and, where it is another's, its rule."""

    def __init__(self, governing: Governing, places: Places) -> None:
        self._governing = governing
        self._rules = {rule.manifest.id: (rule, places(rule.manifest.key)) for rule in governing.rules}

    def lines(self, port: int, why: str) -> Iterator[str]:
        """The rule, then what it says."""
        manifest, path = self._governing.rule.manifest, self._governing.path(port)
        what = path_text(path) if path else "it has no trafficPolicy for this port"
        yield f"  DestinationRule {manifest.id} ({self._begin(manifest.id)}), {what}: {why}"
        yield from self._values(self._governing.policy(port), MEMBERS.values())
        yield from self._annotations(self._governing.policy(port))

    def subset(self, part: Part, cluster: Cluster, whole: Cluster) -> Iterator[str]:
        """Who is in it, and what of its policy is another than that of the cluster that it is a part of."""
        wanted = ",".join(f"{key}={value}" for key, value in part.subset.labels) or "no labels"
        where = f"{part.rule.manifest.id} ({self._begin(part.rule.manifest.id)})"
        size = f"{len(cluster.endpoints)} of {len(whole.endpoints)} endpoints"
        yield f"  subset {part.subset.name} ({wanted}) of {where}: {size}"
        mine, theirs = cluster.policy.origins, whole.policy.origins
        yield from self._values(
            cluster.policy, (name for name in MEMBERS.values() if mine.get(name) != theirs.get(name))
        )

    def _values(self, policy: EffectivePolicy, members: Iterable[str]) -> Iterator[str]:
        said = list(stated(policy))
        for member in members:
            if member == "outlierDetection" and not policy.ejecting:
                off = "switched off" if policy.outlier_detection else "not set"
                yield f"    never ejects: outlierDetection is {off}"
            elif found := [each for each in said if each.field.startswith(f"{member}.")]:
                yield f"    {member}: {self._listed(found, f'{member}.')}"

    def _annotations(self, policy: EffectivePolicy) -> Iterator[str]:
        found = [each for each in stated(policy) if each.field.startswith(OURS)]
        yield f"    annotations: {self._listed(found, OURS)}"

    def _listed(self, values: Iterable[Stated], before: str) -> str:
        return ", ".join(f"{each.field.removeprefix(before)} {each.value} ({self._source(each)})" for each in values)

    def _source(self, value: Stated) -> str:
        if not value.rule:
            return "default"
        line = self._line(value)
        theirs = [value.rule] if value.rule != self._governing.rule.manifest.id else []
        where = [f"line {line}"] if line else [] if theirs else ["set"]
        return ", ".join((*theirs, *where, *([] if value.in_force else ["not in force"])))

    def _line(self, value: Stated) -> int:
        """The line of a value, 0 in what has no lines."""
        rule, place = self._rules[value.rule]
        line = rule.manifest.lines.line_of(value.path)
        return line + place.before if line else 0

    def _begin(self, rule: str) -> str:
        found, place = self._rules[rule]
        return f"{place.path}:{found.manifest.lines.line + place.before}"


def spread_lines(spread: Spread) -> Iterator[str]:
    """Which endpoints are taken first, and why: one line, then one for each group."""
    how = "failover by locality" if spread.failover else "distribution by locality"
    yield f"{how}, from {spread.here}: {spread.why}"
    total = sum(each.weight for each in spread.groups)
    for each in spread.groups:
        share = "" if spread.failover or not each.weight else f", {100 * each.weight / total:g} % of the requests"
        yield f"  {each.size} endpoint{'s' if each.size > 1 else ''}: {each.name}{share}"


def _ruled(
    governing: Governing,
    service: Service,
    cluster: Cluster,
    inventory: Inventory,
    places: Places,
    clusters: Mapping[str, Cluster],
) -> Iterator[str]:
    told = _Governed(governing, places)
    whole, _, name = cluster.name[len(service.id) :].partition("/")
    number = int(whole.removeprefix(":"))
    if name:
        yield from told.subset(governing.subsets[name], cluster, clusters[f"{service.id}:{number}"])
        return
    port = next(each for each in service.ports if each.number == number)
    yield from told.lines(number, _why(governing.rule, service, inventory))
    for part in governing.subsets.values():
        if f"{cluster.name}/{part.subset.name}" in clusters:
            continue
        members = subset(inventory, service, port, governing, part.subset.name)
        yield from told.subset(part, members, cluster)


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


def _says(policy: AccessPolicy) -> str:
    count = len(policy.rules)
    rules = f"{count} rule{'s' if count > 1 else ''}" if count else "no rules: nobody"
    return f"{policy.name} ({policy.action}{' under dry-run' if policy.dry_run else ''}, {rules})"


def _trusts(rule: JwtRule) -> str:
    issuer = rule.issuer or "any issuer"
    return f"{issuer} (keys: {'in the policy' if rule.jwks else rule.jwks_uri or 'as the issuer says'})"


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


def _inside(cluster: Cluster) -> str:
    """What is put over the way to them."""
    tls = cluster.policy.tls
    return f", under TLS ({tls.mode})" if tls and tls.credential else ""


def _some(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
