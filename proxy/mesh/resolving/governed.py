"""What a user should know of the rules that govern a Service: what in them does less than it looks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from proxy.mesh.kinds.destination_rule import (
    FAILURE_PERCENTAGE_ANNOTATION,
    LIMITS_SCOPE_ANNOTATION,
    SUCCESS_RATE_ANNOTATION,
    DestinationRule,
)
from proxy.mesh.kinds.services import Service
from proxy.mesh.kinds.workloads import Labels
from proxy.mesh.model import Cluster, Locality
from proxy.mesh.reading.lines import Path
from proxy.mesh.reading.report import Report
from proxy.mesh.resolving.localities import covers
from proxy.mesh.resolving.policies import ANNOTATIONS, POLICY, Governing
from proxy.mesh.traffic.balancing import LocalitySetting
from proxy.mesh.traffic.policy import EffectivePolicy, Origin, TrafficPolicy
from proxy.mesh.traffic.scope import Scope
from proxy.mesh.traffic.security import TlsMode


def advise(
    governing: Governing,
    service: Service,
    clusters: Sequence[Cluster],
    labels: Iterable[Labels],
    here: Locality,
    report: Report,
) -> None:
    """`clusters`: those of the Service. `labels`: of its endpoints, as far as they are known. `here`: where we are."""
    for cluster in clusters:
        _places(governing, cluster, here, report)
        _ejections(governing, cluster, report)
        _detectors(governing, cluster, report)
        _mesh_tls(governing, cluster, report)
        _tunnels(governing, cluster, report)
        _keys(governing, cluster, report)
    _scope(governing, clusters, report)
    if "*" not in governing.rule.host:
        _ports(governing, service, report)
        if governing.subsets:
            _subsets(governing, service, set(labels), report)


def _ejections(governing: Governing, cluster: Cluster, report: Report) -> None:
    outlier, size = cluster.outlier, len(cluster.endpoints)
    if outlier and size and outlier.max_ejection_percent * size < 100:
        text = (
            f"never ejects: {outlier.max_ejection_percent} % of {counted(size)} of {cluster.name} is 0; "
            f"set maxEjectionPercent to at least {-(-100 // size)}"
        )
        _warn(governing, cluster.policy.origins["outlierDetection"], text, report, "maxEjectionPercent")


def _places(governing: Governing, cluster: Cluster, here: Locality, report: Report) -> None:
    setting = cluster.policy.load_balancer.locality_lb_setting
    if setting and setting.enabled is not False and not any(here) and _goes_by(setting, here, cluster.policy):
        text = "does nothing: where this replica runs is not known; let it read its Node, or give --locality"
        _warn(governing, cluster.policy.origins["loadBalancer"], text, report, "localityLbSetting")
    groups = cluster.spread.groups if cluster.spread and not cluster.spread.failover else ()
    if groups and not any(each.weight for each in groups):
        text = f"leaves no endpoint of {cluster.name} any requests: they are in none of these localities"
        _warn(governing, cluster.policy.origins["loadBalancer"], text, report, "localityLbSetting", "distribute")


def _goes_by(setting: LocalitySetting, here: Locality, policy: EffectivePolicy) -> bool:
    """Whether it would do something for who knows where he is."""
    if setting.distribute:
        return not any(covers(each.from_, here) for each in setting.distribute)
    return bool(setting.failover) and policy.outlier_detection is not None


def _detectors(governing: Governing, cluster: Cluster, report: Report) -> None:
    outlier, size = cluster.outlier, len(cluster.endpoints)
    if outlier is None:
        return
    for annotation, detector in (
        (SUCCESS_RATE_ANNOTATION, outlier.success_rate),
        (FAILURE_PERCENTAGE_ANNOTATION, outlier.failure_percentage),
    ):
        if detector and 0 < size < detector.minimum_hosts:
            few = f"{counted(size)} of {cluster.name}, and minimum_hosts is {detector.minimum_hosts}"
            text = f"judges nothing: there {'is' if size == 1 else 'are'} {few}; set a lower one"
            _warn(governing, cluster.policy.origins[ANNOTATIONS], text, report, annotation)


def _mesh_tls(governing: Governing, cluster: Cluster, report: Report) -> None:
    tls, clear = cluster.policy.tls, [each.address for each in cluster.endpoints if not each.hbone]
    if tls and tls.mode is TlsMode.ISTIO_MUTUAL and clear:
        text = f"ISTIO_MUTUAL is done over HBONE only: endpoints of {cluster.name} are reached without TLS"
        _warn(governing, cluster.policy.origins["tls"], f"{text} ({named(clear)})", report)


def _tunnels(governing: Governing, cluster: Cluster, report: Report) -> None:
    if cluster.policy.tunnel and cluster.protocol.startswith("http"):
        text = f"is for TCP, in Istio too: requests for {cluster.name} go to the endpoints themselves"
        _warn(governing, cluster.policy.origins["tunnel"], text, report)


def _keys(governing: Governing, cluster: Cluster, report: Report) -> None:
    by = cluster.policy.load_balancer.consistent_hash
    if by and cluster.protocol == "tcp" and (by.http_header_name or by.http_cookie or by.http_query_parameter_name):
        text = f"{cluster.name} is TCP, where useSourceIp alone can be a key: its connections go to any endpoint"
        _warn(governing, cluster.policy.origins["loadBalancer"], text, report, "consistentHash")


def _scope(governing: Governing, clusters: Sequence[Cluster], report: Report) -> None:
    asked = [each for each in clusters if each.policy.limits_scope is Scope.FLEET]
    if asked and not any(each.policy.limited for each in asked):
        text = "does nothing: the rule has no limits in connectionPool, and no retryBudget"
        _warn(governing, asked[0].policy.origins[ANNOTATIONS], text, report, LIMITS_SCOPE_ANNOTATION)


def _warn(governing: Governing, origin: Origin, text: str, report: Report, *inside: str) -> None:
    rule = next(each for each in governing.rules if each.manifest.id == origin.rule)
    report.warn(rule.manifest, (*origin.path, *inside), text)


def _ports(governing: Governing, service: Service, report: Report) -> None:
    numbers = [port.number for port in service.ports]
    known = ", ".join(map(str, numbers)) or "none"
    for rule, policy, path in _policies(governing):
        for index, entry in enumerate(policy.port_level_settings):
            if entry.port not in numbers:
                whose = f"{service.manifest.kind} {service.id}"
                text = f"{whose} has no port {entry.port}, so this does nothing; it has {known}"
                report.warn(rule.manifest, (*path, "portLevelSettings", index, "port", "number"), text)


def _policies(governing: Governing) -> Iterator[tuple[DestinationRule, TrafficPolicy, Path]]:
    """All that count, and where they stand."""
    if governing.rule.policy:
        yield governing.rule, governing.rule.policy, POLICY
    for part in governing.subsets.values():
        if part.subset.traffic_policy:
            yield part.rule, part.subset.traffic_policy, (*part.path, "trafficPolicy")


def _subsets(governing: Governing, service: Service, labels: Collection[Labels], report: Report) -> None:
    for double in governing.doubles:
        first = governing.subsets[double.subset.name].rule.manifest.id
        text = f"DestinationRule {first} has a subset of this name for the same host, so this one does nothing"
        report.warn(double.rule.manifest, (*double.path, "name"), text)
    for part in governing.subsets.values():
        wanted = frozenset(part.subset.labels)
        if labels and not any(wanted <= each for each in labels):
            text = f"no endpoint of {service.manifest.kind} {service.id} has these labels, so the subset has none"
            report.warn(part.rule.manifest, (*part.path, "labels"), text)


def named(names: Sequence[str]) -> str:
    """The first of them, each once."""
    first, *more = dict.fromkeys(names)
    return f"{first} and {len(more)} more" if more else first


def counted(size: int) -> str:
    """A number of endpoints."""
    return "1 endpoint" if size == 1 else f"{size} endpoints"
