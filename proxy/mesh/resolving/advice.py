"""What is valid and yet does nothing, or not what it looks like: warnings, each with what to write instead."""

from __future__ import annotations

from collections.abc import Iterable

from proxy.mesh.kinds.destination_rule import CLUSTER_DOMAIN, DestinationRule
from proxy.mesh.kinds.services import Service
from proxy.mesh.kinds.workload_entries import WorkloadEntries
from proxy.mesh.model import Cluster
from proxy.mesh.reading.manifests import Objects
from proxy.mesh.reading.report import Report

_DATAPLANE = "istio.io/dataplane-mode"


def unserved_kinds(objects: Objects, report: Report) -> None:
    """Kinds that are read no further."""
    found = objects.of("ServiceEntry")
    if found:
        report.warn(found[0], (), f"is not served by this version (nor are {len(found) - 1} others)")


def odd_rules(rules: Iterable[DestinationRule], services: Iterable[Service], report: Report) -> None:
    """Rules that apply to no Service and look as if they were meant to."""
    hosts = {service.host for service in services}
    for rule in rules:
        if text := _odd(rule, hosts):
            report.warn(rule.manifest, ("spec", "host"), text)


def idle_entries(entries: WorkloadEntries, services: Iterable[Service], report: Report) -> None:
    """WorkloadEntries that are no Service's endpoints."""
    for entry in entries.idle(services):
        text = "no Service of its namespace selects these labels, so it does nothing"
        report.warn(entry.manifest, ("spec", "labels"), text)


def unknown_pods(objects: Objects, clusters: Iterable[Cluster], report: Report) -> None:
    """Captured namespaces without the manifests that say which Pods are: all of them would be reached in clear."""
    with_endpoints = {cluster.name.partition("/")[0] for cluster in clusters if cluster.endpoints}
    known = {workload.namespace for kind in ("Pod", "WorkloadEntry") for workload in objects.of(kind)}
    for namespace in objects.of("Namespace"):
        captured = namespace.labels.get(_DATAPLANE) == "ambient"
        if captured and namespace.name in with_endpoints - known:
            text = "its Pods are not among the manifests, so its endpoints are reached in plain TCP and not over HBONE"
            report.warn(namespace, ("metadata", "labels", _DATAPLANE), text)


def _odd(rule: DestinationRule, hosts: set[str]) -> str:
    if rule.host in hosts or "*" in rule.host:
        return ""
    if rule.host.endswith(f".{CLUSTER_DOMAIN}"):
        return f"{rule.host} names no Service, so the rule does nothing"
    full = f"{rule.host.removesuffix('.svc')}.{CLUSTER_DOMAIN}"
    if full in hosts:
        return f"a host with a dot in it is not completed, so the rule does nothing; write {full}"
    return ""
