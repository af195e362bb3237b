"""What is valid and yet does nothing, or not what it looks like: warnings, each with what to write instead."""

from __future__ import annotations

from collections.abc import Collection

from proxy.mesh.kinds.addresses import CLUSTER_DOMAIN
from proxy.mesh.kinds.destination_rule import DestinationRule
from proxy.mesh.kinds.namespaces import ROOT_NAMESPACE
from proxy.mesh.kinds.service_entries import Host
from proxy.mesh.reading.manifests import Manifest
from proxy.mesh.reading.metadata import DEFAULT_NAMESPACE
from proxy.mesh.reading.remarks import suggestion
from proxy.mesh.reading.report import Report
from proxy.mesh.resolving.inventory import Inventory
from proxy.mesh.resolving.rules import service_called


def twice(inventory: Inventory, report: Report) -> None:
    """Hosts that an older ServiceEntry of the same namespace has, or a Service that is called so."""
    for entry in inventory.service_entries.values():
        for host in entry.hosts:
            first = inventory.services[host.id].manifest
            if first.key != host.manifest.key:
                text = f"{first.kind} {first.id} has this host already, so this one does nothing"
                report.warn(host.manifest, ("spec", "hosts", host.index), text)


def odd_rules(inventory: Inventory, report: Report) -> None:
    """Rules that apply to no Service and look as if they were meant to."""
    for rule in inventory.governing.values():
        if inventory.called(rule.host) & inventory.services.keys():
            continue
        if text := _odd(rule, inventory.services):
            report.warn(rule.manifest, ("spec", "host"), text)


def idle_policies(inventory: Inventory, report: Report) -> None:
    """Policies that target what is not there: whoever wrote them believes something closed that is open."""
    there: dict[str, Collection[str]] = {"Gateway": inventory.gateways}
    there["Service"] = [each for each, service in inventory.services.items() if not isinstance(service, Host)]
    there["ServiceEntry"] = [key.id for key in inventory.service_entries]
    for policy in inventory.policies.values():
        namespace = policy.manifest.namespace
        for kind, name in sorted(policy.targets):
            known = there.get(kind)
            if known is not None and f"{namespace}/{name}" not in known:
                near = suggestion(name, (each.partition("/")[2] for each in known if each.startswith(f"{namespace}/")))
                text = f"{kind} {name}{near} is not in namespace {namespace}, so the policy does not apply to it"
                report.warn(policy.manifest, ("spec", "targetRefs"), text + _left_out(policy.manifest))
            elif kind == "GatewayClass" and namespace != ROOT_NAMESPACE:
                text = f"a GatewayClass is targeted from namespace {ROOT_NAMESPACE} only, so the policy does nothing"
                report.warn(policy.manifest, ("spec", "targetRefs"), text + _left_out(policy.manifest))


def idle_entries(inventory: Inventory, report: Report) -> None:
    """WorkloadEntries that are nobody's endpoints."""
    for entry in inventory.workload_entries.values():
        if (entry.ip or entry.hostname) and not inventory.selecting(entry):
            text = "no Service or ServiceEntry of its namespace selects these labels, so it does nothing"
            if entry.hostname:
                text += "; one with a host name is for a ServiceEntry with resolution DNS"
            report.warn(entry.manifest, ("spec", "labels"), text)


def _left_out(manifest: Manifest) -> str:
    """A hint for objects whose namespace was forgotten."""
    missing = manifest.namespace == DEFAULT_NAMESPACE
    return "; if metadata.namespace is missing, give it" if missing else ""


def _odd(rule: DestinationRule, services: Collection[str]) -> str:
    if "*" in rule.host:
        return ""
    if rule.host.endswith(f".{CLUSTER_DOMAIN}"):
        return f"{rule.host} names no Service, so the rule does nothing{_left_out(rule.manifest)}"
    full = f"{rule.host.removesuffix('.svc')}.{CLUSTER_DOMAIN}"
    if service_called(full) in services:
        return f"a host with a dot in it is not completed, so the rule does nothing; write {full}"
    return _misplaced(rule.host, full, services)


def _misplaced(host: str, full: str, services: Collection[str]) -> str:
    """What is wrong with `cart.default` where there is no such Service; other hosts with dots may be anybody's."""
    name, _, namespace = service_called(full).partition("/")[::-1]
    if not name:
        return ""
    same = sorted(each for each in services if each.endswith(f"/{name}"))
    if not (same or host.endswith(".svc") or any(each.startswith(f"{namespace}/") for each in services)):
        return ""
    there = [f"{each.partition('/')[2]}.{each.partition('/')[0]}.{CLUSTER_DOMAIN}" for each in same]
    return f"{host} names no Service, so the rule does nothing" + (f"; write {' or '.join(there[:3])}" if there else "")
