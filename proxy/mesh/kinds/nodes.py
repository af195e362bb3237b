"""Where workloads run: Nodes, and the labels and fields that say it of others."""

from __future__ import annotations

from collections.abc import Mapping

from proxy.mesh.model import NOWHERE, Locality
from proxy.mesh.reading.manifests import Body, Manifest
from proxy.mesh.reading.report import Report

REGION, ZONE, SUBZONE = TOPOLOGY_LABELS = (
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
    "topology.istio.io/subzone",
)
_OLD = ("failure-domain.beta.kubernetes.io/region", "failure-domain.beta.kubernetes.io/zone", "")
NETWORK = "topology.istio.io/network"
HOSTNAME = "kubernetes.io/hostname"
LOCALITY_LABEL = "istio-locality"
"""Of a Pod or WorkloadEntry, region.zone.subzone (a label's value has no slash): wins over the labels of its Node."""


def read(manifest: Manifest, body: Body, report: Report) -> Locality:
    """Of a Node, where it stands: nothing else of it is of use here."""
    return of_labels(manifest.labels)


def of_labels(labels: Mapping[str, str]) -> Locality:
    """What the labels of a Node say, or of a Pod to which Kubernetes has given those of its Node (1.35)."""
    found = [labels.get(name) or labels.get(old, "") for name, old in zip(TOPOLOGY_LABELS, _OLD, strict=True)]
    return Locality(*found) if any(found) else NOWHERE


def written(text: str) -> Locality:
    """`region/zone/subzone`, or with dots as in a label; the last ones may be missing."""
    return Locality(*text.split("/" if "/" in text else ".", 2)) if text else NOWHERE
