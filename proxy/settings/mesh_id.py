"""Which mesh we belong to, where several share a Redis: what Istio tells its pods, and what keys make of it. Pure.

`cluster.local/Kubernetes` is the mesh's id and the Kubernetes cluster's (`global.meshID`, by default the trust domain,
and `global.multiCluster.clusterName`). Two clusters of one mesh have Gateways of their own, and so a state of their
own.
"""

import re
from collections.abc import Mapping

MESH, CLUSTER = "ISTIO_META_MESH_ID", "ISTIO_META_CLUSTER_ID"
LONGEST = 64


def told_by_istio(environ: Mapping[str, str]) -> str | None:
    """The id in a pod that Istio has injected, or made for a Gateway; None anywhere else."""
    named = [environ[name] for name in (MESH, CLUSTER) if environ.get(name)]
    return re.sub(r"[^A-Za-z0-9_./-]", "-", "/".join(named))[:LONGEST] or None


def of_this_mesh(prefix: str, mesh_id: str | None) -> str:
    """The first part of all keys: `waypoint`, or `waypoint:cluster.local/Kubernetes`."""
    return f"{prefix}:{mesh_id}" if mesh_id else prefix
