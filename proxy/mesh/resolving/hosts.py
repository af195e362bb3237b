"""The hosts of ServiceEntries: which of them are served, and where their endpoints come from.

Order is balancing order: as written, or WorkloadEntries by name, then Pods by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from proxy.mesh.kinds.gateways import Gateway
from proxy.mesh.kinds.service_entries import Host
from proxy.mesh.kinds.service_entry_spec import EVERYWHERE, Resolution
from proxy.mesh.kinds.workload_entries import WorkloadEntry
from proxy.mesh.resolving.inventory import Inventory
from proxy.mesh.traffic.policy import EffectivePolicy
from proxy.mesh.traffic.security import TlsMode

_OWN_TLS = (TlsMode.SIMPLE, TlsMode.MUTUAL)
_LONGEST = 160
"""Characters; with its namespace, its port and a subset it is the name of a cluster, which is in keys and in memory."""


def unserved(host: Host, inventory: Inventory) -> str:
    """Why the Gateway does not serve a host that is bound to it, or ""."""
    if shadow := inventory.shadow(host):
        return f"is a name of Service {shadow}, which has it, so the host is not served"
    if text := _unseen(host, inventory.gateway):
        return text
    if len(host.full_name) > _LONGEST:
        return f"is longer than {_LONGEST} characters, which is not served by this version"
    if host.resolution is Resolution.DYNAMIC_DNS:
        return "is not served by this version with resolution DYNAMIC_DNS: write whole names, with resolution DNS"
    if host.resolution is Resolution.NONE and len(host.endpoints or ()) != 1:
        return (
            "is served with resolution NONE (the default) where spec.addresses is one single address, which is where "
            "requests go; so it is not: give endpoints and resolution STATIC, or resolution DNS"
        )
    return ""


def _unseen(host: Host, gateway: Gateway) -> str:
    seen = EVERYWHERE in host.export_to or gateway.manifest.namespace in host.export_to
    return "" if seen else "is not served: exportTo hides it from the namespace of the waypoint"


def unaddressed(host: Host) -> str:
    """Why ztunnels cannot ask for a host by an address, or ""."""
    if host.addresses:
        return ""
    text = "has no address by which a ztunnel asks for it"
    if host.is_wildcard:
        return f"{text}, which a wildcard needs: give spec.addresses"
    return f"{text}: neither spec.addresses nor one that istiod has allocated (status.addresses)"


def empty(host: Host, inventory: Inventory) -> str:
    """Why a host has no endpoints, or ""; that DNS has not answered is told by who asks it."""
    if any(_given(host, inventory)):
        return ""
    if host.selecting:
        where = f"of namespace {host.manifest.namespace}"
        return f"has no endpoints: no Pod or WorkloadEntry {where} has the labels of its workloadSelector"
    return "has no endpoints: give endpoints or workloadSelector"


def verified(host: Host, policy: EffectivePolicy) -> EffectivePolicy:
    """With the entry's `subjectAltNames` where a rule asks for TLS and names none: Istio's constructUpstreamTLS."""
    tls = policy.tls
    if not host.subject_alt_names or tls is None or tls.subject_alt_names or tls.mode not in _OWN_TLS:
        return policy
    return replace(policy, tls=replace(tls, subject_alt_names=host.subject_alt_names))


def members(host: Host, inventory: Inventory) -> list[WorkloadEntry]:
    """Its endpoints, whatever their port, healthy or not; of a name those that DNS has answered last."""
    return list(_members(host, inventory))


def names(host: Host, inventory: Inventory) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The host names that DNS is to be asked for, each with what it has answered last."""
    if not host.resolves:
        return ()
    found = dict.fromkeys(each.hostname for each in _given(host, inventory) if each.hostname)
    return tuple((name, inventory.answers.get(name, ())) for name in found)


def _members(host: Host, inventory: Inventory) -> Iterator[WorkloadEntry]:
    first = 1 if host.resolution is Resolution.DNS_ROUND_ROBIN else None
    for each in _given(host, inventory):
        if each.ip:
            yield each
        elif host.resolves:
            yield from (replace(each, ip=ip) for ip in inventory.answers.get(each.hostname, ())[:first])


def _given(host: Host, inventory: Inventory) -> Iterator[WorkloadEntry]:
    namespace = host.manifest.namespace
    for each in host.endpoints or ():
        # A Pod with that address is who answers there, and how it is reached, whatever the entry calls it.
        pod = inventory.pods.at(namespace, each.ip) if each.ip else None
        yield replace(each, workload=pod.workload) if pod else each
    if host.selecting:
        yield from inventory.entries.of(host)
        for pod in inventory.pods.selected_by(host):
            where, since = inventory.pods.locality(pod), pod.ready_since_ms
            facts = (pod.workload, pod.ready, 1, where, since)
            yield WorkloadEntry(host.manifest, pod.ips[0], {}, dict(pod.labels), *facts)
