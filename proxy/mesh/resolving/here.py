"""Where workloads are, and where the replica is that asks: what is near is near to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from proxy.mesh.kinds.nodes import HOSTNAME, LOCALITY_LABEL, TOPOLOGY_LABELS, of_labels, written
from proxy.mesh.kinds.workloads import NO_LABELS, Labels, Pod
from proxy.mesh.model import NOWHERE, Locality


@dataclass(frozen=True, slots=True)
class Own:
    """What a replica knows of itself: its Pod's namespace and name ("" where it is in none), and the labels of that, in
    case the Pod is not among the objects; `locality` NOWHERE: nobody has said any."""

    namespace: str = ""
    pod: str = ""
    locality: Locality = NOWHERE
    labels: Labels = NO_LABELS


NOBODY = Own()


def own(pod: tuple[str, str] | None, locality: str | None, labels: Mapping[str, str]) -> Own:
    """What the environment and the settings say: namespace and name of the Pod, region/zone/subzone, mounted labels."""
    return Own(*(pod or ("", "")), written(locality or ""), frozenset(labels.items()))


class Here(NamedTuple):
    """Where a replica is. `labels` are those that Istio compares: its Pod's, with the topology in them."""

    locality: Locality
    labels: Mapping[str, str]


def here(own: Own, pod: Pod | None, nodes: Mapping[str, Locality]) -> Here:
    """What somebody has said counts before what its Pod and Node say."""
    labels, node = (pod.labels, pod.node) if pod else (own.labels, "")
    where = own.locality if any(own.locality) else locality_of(labels, node, "", nodes)
    return Here(where, with_topology(labels, where, node))


def locality_of(labels: Labels, node: str, zone: str, nodes: Mapping[str, Locality]) -> Locality:
    """Of a workload: as its own label has it, else its Node, else as Kubernetes has put it on the Pod, else the zone
    that its EndpointSlice names."""
    if (found := nodes.get(node)) and not any(name == LOCALITY_LABEL for name, _ in labels):
        return found
    known = dict(labels)
    said = known.get(LOCALITY_LABEL, "")
    return written(said) if said else found or _or(of_labels(known), Locality(zone=zone))


def _or(one: Locality, other: Locality) -> Locality:
    return one if any(one) else other if any(other) else NOWHERE


def with_topology(labels: Labels, where: Locality, node: str) -> dict[str, str]:
    """Labels as Istio completes them before it compares any (AugmentLabels)."""
    found = zip((*TOPOLOGY_LABELS, HOSTNAME), (*where, node), strict=True)
    return dict(labels) | {name: value for name, value in found if value}
