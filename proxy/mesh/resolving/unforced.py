"""Objects that attach to what one Gateway serves and are not in force: one warning each, with what to do.

Looked at anew for every change but those of endpoints: any other can bring what they attach to under the Gateway or
away from it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from proxy.mesh.kinds.attachments import Attachment, Target
from proxy.mesh.kinds.gateways import Gateway
from proxy.mesh.kinds.guards import DRY_RUN, OF_SERVICES, Guard
from proxy.mesh.kinds.namespaces import ROOT_NAMESPACE
from proxy.mesh.kinds.services import Service
from proxy.mesh.reading.lines import Path
from proxy.mesh.reading.manifests import Manifest
from proxy.mesh.reading.remarks import Key, suggestion
from proxy.mesh.reading.report import Report
from proxy.mesh.resolving.inventory import Inventory
from proxy.mesh.resolving.rules import service_called
from proxy.mesh.traffic.access import HTTP_ONLY

_CLOSE = 0.85
_REMEDY = "remove it, or leave what it is for to Istio's own waypoint (label istio.io/use-waypoint)"
_BY_ZTUNNEL = "has no targetRefs, so it is for Pods, where ztunnel keeps to it: %s. For what goes through the waypoint "
_BY_ZTUNNEL += "give targetRefs, such as Service %s"
_NO_HTTP = ("what it says of HTTP allows nobody there, and denies more than it says", "no token is verified there")
_TOLD = "what it would do is counted (waypointd_rbac_requests_total) and in the JSON log"


def attached(inventory: Inventory, gateway: Gateway, served: Collection[str], report: Report) -> None:
    """`served`: the Services of the Gateway, as "namespace/name"."""
    namespaces = {each.partition("/")[0] for each in served} | {gateway.manifest.namespace, ROOT_NAMESPACE}
    # Targets are objects, of which one may have several hosts.
    objects = {inventory.services[each].manifest.key for each in served}
    for attachment in inventory.attachments.values():
        namespace = attachment.manifest.namespace
        if attachment.wide and namespace in namespaces:
            whole = "the whole mesh" if namespace == ROOT_NAMESPACE else f"all of namespace {namespace}"
            _warn(attachment, ("spec",), whole, report)
        elif found := next((each for each in attachment.targets if _names(each, namespace, gateway, objects)), None):
            _warn(attachment, found.path, f"{found.kind} {_id(found)}", report)
        else:
            _ask_whether_misspelt(attachment.manifest, _named(attachment), inventory, served, report)


def misspelt_parents(inventory: Inventory, served: Collection[str], report: Report) -> None:
    """Routes that attach to a Service which is not there."""
    for route in inventory.routes.all.values():
        named = [(each.path, each.key.id) for each in route.parents if each.key and each.kind == "Service"]
        _ask_whether_misspelt(route.manifest, named, inventory, served, report)


def virtuals(inventory: Inventory, served: Collection[str], report: Report) -> None:
    """VirtualServices that name what is served, where they may not lead its requests, or what is not there."""
    for virtual in inventory.virtuals.all.values():
        found = sorted(set(inventory.virtuals.fronts(virtual)) & set(served))
        reasons = [inventory.virtuals.unseen(virtual, inventory.services[each]) for each in found]
        if found and all(reasons):
            whose = f"{inventory.services[found[0]].manifest.kind} {found[0]}"
            report.warn(virtual.manifest, ("spec", "hosts"), f"is not in force for {whose}: {reasons[0]}")
        elif virtual.for_mesh and not found:
            hosts: Path = ("spec", "hosts")
            named = [((*hosts, index), service_called(host)) for index, host in enumerate(virtual.hosts)]
            _ask_whether_misspelt(virtual.manifest, named, inventory, served, report)


def audits(inventory: Inventory, gateway: Gateway, served: Collection[str], report: Report) -> None:
    """Policies that do nothing, or only tell what they would do."""
    objects = {inventory.services[each].manifest.key for each in served}
    for policy in inventory.policies.values():
        keys = (Key(kind, policy.manifest.namespace, name) for kind, name in policy.targets)
        if policy.idle and (policy.guards_all(gateway) or any(each in objects for each in keys)):
            if policy.access is None:
                report.warn(policy.manifest, ("spec",), "has no jwtRules, so it does nothing")
                continue
            if policy.access.dry_run:
                what = f"{DRY_RUN} is set: it is not enforced"
                what += f"; {_TOLD}" if policy.tells else ", and nobody asks its provider what it would do"
                report.warn(policy.manifest, ("metadata", "annotations", DRY_RUN), what)


def at_pods(inventory: Inventory, served: Collection[str], report: Report) -> None:
    """Policies for Pods behind what is served that ask for HTTP, of which ztunnel knows nothing."""
    for policy in inventory.policies.values():
        if policy.targets or policy.unread or not (policy.tokens or _asks_for_http(policy)):
            continue
        behind = (each for each in sorted(served) if _is_behind(inventory.services[each], policy))
        if found := next(behind, ""):
            report.warn(policy.manifest, ("spec",), _BY_ZTUNNEL % (_NO_HTTP[policy.tokens != ()], found))


def _is_behind(service: Service, policy: Guard) -> bool:
    """Whether all endpoints of a Service are selected; the root namespace's policies are for those of all."""
    here = policy.manifest.namespace in (service.manifest.namespace, ROOT_NAMESPACE)
    return here and bool(service.selector) and policy.selector.items() <= service.selector.items()


def _asks_for_http(policy: Guard) -> bool:
    rules = policy.access.rules if policy.access else ()
    terms = (term for rule in rules for each in (*rule.sources, *rule.operations, rule.conditions) for term in each)
    return any(term.fact in HTTP_ONLY for term in terms)


def _ask_whether_misspelt(
    manifest: Manifest, named: Iterable[tuple[Path, str]], inventory: Inventory, served: Collection[str], report: Report
) -> None:
    """A Service that is not there, and is called almost as one that is served. (Others may be anybody's.)"""
    for path, name in named:
        namespace, _, short = name.partition("/")
        if name and name not in inventory.services:
            likely = (each.partition("/")[2] for each in served if each.startswith(f"{namespace}/"))
            if hint := suggestion(short, likely, closeness=_CLOSE):
                report.warn(manifest, path, f"there is no Service {name}{hint}, so it attaches to nothing")
                return


def _named(attachment: Attachment) -> Iterator[tuple[Path, str]]:
    """The Services that it says it is for."""
    for target in attachment.targets:
        if target.kind == "Service":
            yield target.path, _id(target)


def _warn(attachment: Attachment, path: Path, what: str, report: Report) -> None:
    text = f"attaches to {what} and is not in force in this version: requests are served as if it were not there; "
    report.warn(attachment.manifest, path, text + _REMEDY)


def _id(target: Target) -> str:
    return target.name if target.kind == "GatewayClass" else f"{target.namespace}/{target.name}"


def _names(target: Target, namespace: str, gateway: Gateway, objects: Collection[Key]) -> bool:
    """Whether an object of `namespace` that names the target attaches to what is served."""
    if target.kind in OF_SERVICES:
        return Key(target.kind, target.namespace, target.name) in objects
    if target.kind == "Gateway":
        return _id(target) == gateway.manifest.id
    return namespace == ROOT_NAMESPACE and target.name == gateway.class_name
