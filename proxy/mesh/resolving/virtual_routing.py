"""VirtualServices in force: which frontends have their rules, and which clusters these send requests to.

Routes of the Gateway API go first: a port of a Service to which one attaches has none of a VirtualService's rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from proxy.mesh.kinds.routes import HOSTNAME, Referred
from proxy.mesh.kinds.services import Service
from proxy.mesh.kinds.virtual_service import VirtualService
from proxy.mesh.model import Cluster
from proxy.mesh.reading.lines import Path
from proxy.mesh.reading.manifests import ISTIO_NETWORK
from proxy.mesh.reading.remarks import Key
from proxy.mesh.reading.report import Report
from proxy.mesh.resolving import backends, virtual, virtual_tcp
from proxy.mesh.resolving.clusters import subset
from proxy.mesh.resolving.delegation import rules
from proxy.mesh.resolving.inventory import Inventory
from proxy.mesh.resolving.virtual import Sent

_FIRST = "routes of the Gateway API attach to it, which go first"


def routed(
    service: Service, clusters: Mapping[int, Cluster], inventory: Inventory, report: Report
) -> Mapping[int, Cluster]:
    """The clusters of a Service that clients ask for, by port, with what VirtualServices say of each."""
    found = inventory.virtuals.of(service)
    if not found:
        return clusters
    placed = [each for one in found for each in rules(one, inventory.virtuals.find, report)]
    finder = _Finder(inventory, report)
    made = dict(clusters)
    for port, cluster in clusters.items():
        if cluster.routing:
            _tell_later(found, service, port, report)
        elif cluster.protocol == "tcp":
            way = virtual_tcp.routing(found, port, service.addresses, cluster.name, finder.cluster)
            made[port] = replace(cluster, routing=way)
        else:
            made[port] = replace(cluster, routing=virtual.routing(placed, port, finder.cluster))
            _tell_of_bytes(found, service, port, cluster, report)
    return made


def _tell_of_bytes(found: list[VirtualService], service: Service, port: int, cluster: Cluster, report: Report) -> None:
    for each in found:
        if cluster.protocol == "undeclared" and any(match.port == port for rule in each.tcp for match in rule.match):
            whose = f"port {port} of {service.manifest.kind} {service.id}"
            report.warn(each.manifest, ("spec", "tcp"), f"is in force on ports declared tcp, which {whose} is not")


def _tell_later(found: list[VirtualService], service: Service, port: int, report: Report) -> None:
    for each in found:
        text = f"is not in force for port {port} of {service.manifest.kind} {service.id}: {_FIRST}"
        report.warn(each.manifest, ("spec", "hosts"), text)


def leads_to(service: Service, inventory: Inventory) -> bool:
    """Whether a VirtualService that is in force here sends requests to a Service."""
    return any(_in_force(each, inventory) for each in inventory.virtuals.sending_to(service))


def subsets(
    service: Service, clusters: Mapping[int, Cluster], inventory: Inventory, report: Report
) -> Iterator[Cluster]:
    """The clusters of a Service's subsets that VirtualServices in force here send requests to."""
    governing = inventory.rules.select(service.host, service.manifest.namespace)
    if not governing or not governing.subsets:
        return
    asked = set(_asked(service, inventory))
    for port in (each for each in service.ports if each.number in clusters):
        for name in governing.subsets:
            if {(port.number, name), (0, name)} & asked:
                made = subset(inventory, service, port, governing, name)
                yield replace(made, names=clusters[port.number].names)
    idle = [part for name, part in governing.subsets.items() if name not in {name for _, name in asked}]
    for rule in (each for each in governing.rules if "*" not in each.host):
        if names := [part.subset.name for part in idle if part.rule is rule]:
            whose = f"{service.manifest.kind} {service.id}"
            text = f"no VirtualService sends requests to {', '.join(names)} of {whose}, so that does nothing here"
            report.warn(rule.manifest, ("spec", "subsets"), text)


def _asked(service: Service, inventory: Inventory) -> Iterator[tuple[int, str]]:
    """By port, 0 where the frontend's is meant, and name."""
    for root in inventory.virtuals.sending_to(service):
        if _in_force(root, inventory):
            for to in inventory.virtuals.destinations(root):
                if to.host == service.host and to.subset:
                    yield (to.port.number if to.port else 0), to.subset


def _in_force(root: VirtualService, inventory: Inventory) -> bool:
    """Whether it is for a Service that is bound to the Gateway."""
    named = (inventory.services[each] for each in inventory.virtuals.fronts(root))
    return any(inventory.binds(each) and not inventory.virtuals.unseen(root, each) for each in named)


class _Finder:
    """Finds clusters, and tells of a destination that there is none once."""

    def __init__(self, inventory: Inventory, report: Report) -> None:
        self._inventory = inventory
        self._report = report
        self._told: set[tuple[Key, Path]] = set()

    def cluster(self, sent: Sent, port: int) -> str:
        """What is meant at a frontend's `port`; "" if there is nothing."""
        found = self._found(sent, port)
        if not found.cluster and (sent.by.manifest.key, sent.path) not in self._told:
            self._told.add((sent.by.manifest.key, sent.path))
            share = "nothing is mirrored there" if "mirror" in str(sent.path) else "its requests get 503"
            if "tcp" in sent.path:
                share = "its connections are closed"
            why = found.why.rpartition("BackendNotFound: ")[2]
            self._report.warn(sent.by.manifest, sent.path, f"{why}, so {share}")
        return found.cluster

    def _found(self, sent: Sent, port: int) -> backends.Found:
        to = sent.to
        asked = Referred(ISTIO_NETWORK, HOSTNAME, sent.by.manifest.namespace, to.host, port, sent.path)
        service = backends.called(asked, self._inventory)
        if to.port:
            asked = replace(asked, port=to.port.number)
        elif service and len(service.ports) == 1:
            asked = replace(asked, port=service.ports[0].number)
        found = backends.found(asked, self._inventory)
        if not found.cluster or not to.subset:
            return found
        assert service
        governing = self._inventory.rules.select(service.host, service.manifest.namespace)
        known = governing.subsets if governing else {}
        if to.subset not in known:
            has = f"it has {', '.join(known)}" if known else "it has none"
            return backends.Found("", f"no DestinationRule gives {service.id} a subset {to.subset}; {has}")
        return backends.Found(f"{found.cluster}/{to.subset}")
