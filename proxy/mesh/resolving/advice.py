"""What is valid and yet does nothing, or not what it looks like: warnings, each with what to write instead."""

from __future__ import annotations

from collections.abc import Collection

from proxy.mesh.kinds.addresses import CLUSTER_DOMAIN
from proxy.mesh.kinds.destination_rule import DestinationRule
from proxy.mesh.reading.report import Report
from proxy.mesh.resolving.inventory import Inventory
from proxy.mesh.resolving.rules import service_called

_DATAPLANE = "istio.io/dataplane-mode"


def unserved_kinds(inventory: Inventory, report: Report) -> None:
    """Kinds that are read no further."""
    if found := inventory.service_entries:
        text = f"is not served by this version (nor are {len(found) - 1} others)"
        report.warn(found[min(found)], (), text)


def odd_rules(inventory: Inventory, report: Report) -> None:
    """Rules that apply to no Service and look as if they were meant to."""
    for rule in inventory.governing.values():
        if text := _odd(rule, inventory.services):
            report.warn(rule.manifest, ("spec", "host"), text)


def idle_entries(inventory: Inventory, report: Report) -> None:
    """WorkloadEntries that are no Service's endpoints."""
    for entry in inventory.workload_entries.values():
        if entry.ip and not inventory.selecting(entry):
            text = "no Service of its namespace selects these labels, so it does nothing"
            report.warn(entry.manifest, ("spec", "labels"), text)


def unknown_pods(inventory: Inventory, with_endpoints: Collection[str], report: Report) -> None:
    """Captured namespaces without the manifests that say which Pods are: all of them would be reached in clear."""
    for namespace in inventory.namespaces.values():
        captured = namespace.labels.get(_DATAPLANE) == "ambient"
        if captured and namespace.name in with_endpoints and not inventory.workloads.get(namespace.name):
            text = "its Pods are not among the manifests, so its endpoints are reached in plain TCP and not over HBONE"
            report.warn(namespace, ("metadata", "labels", _DATAPLANE), text)


def _odd(rule: DestinationRule, services: Collection[str]) -> str:
    if service_called(rule.host) in services or "*" in rule.host:
        return ""
    if rule.host.endswith(f".{CLUSTER_DOMAIN}"):
        return f"{rule.host} names no Service, so the rule does nothing"
    full = f"{rule.host.removesuffix('.svc')}.{CLUSTER_DOMAIN}"
    if service_called(full) in services:
        return f"a host with a dot in it is not completed, so the rule does nothing; write {full}"
    return ""
