"""Which API server is meant, and how it is reached."""

from __future__ import annotations

from collections.abc import Mapping

from proxy.kubernetes.api import kubeconfig
from proxy.kubernetes.api.access import Access, in_cluster


def find(file: str, context: str, environ: Mapping[str, str]) -> Access:
    """As the kubeconfig `file` says, or as a Pod is let in if neither it nor a `context` is given, or as kubectl would
    find it. Raises AccessFault."""
    inside = None if file or context else in_cluster(environ)
    return inside or kubeconfig.load(kubeconfig.paths(file, environ), context)
