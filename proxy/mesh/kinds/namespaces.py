"""Namespaces: what they say of all that is in them, and those that mean something to every kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from proxy.mesh.kinds.distribution import ANNOTATION, distribution
from proxy.mesh.reading.manifests import Body, Manifest
from proxy.mesh.reading.metadata import texts_of
from proxy.mesh.reading.report import Report
from proxy.mesh.reading.schema import At

ROOT_NAMESPACE = "istio-system"
"""Istio's root namespace: what stands there may concern the whole mesh (MeshConfig.rootNamespace)."""


@dataclass(frozen=True, slots=True)
class Namespace:
    """`distribution`: the trafficDistribution of Services in it that say none."""

    labels: Mapping[str, str]
    distribution: str = ""


def read(manifest: Manifest, body: Body, report: Report) -> Namespace:
    """The Namespace, of what is read here."""
    at = At(manifest, report).down("metadata", "annotations", ANNOTATION)
    return Namespace(manifest.labels, distribution(at, texts_of(body, "annotations").get(ANNOTATION, "")) or "")
