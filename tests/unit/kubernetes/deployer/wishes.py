"""Gateways as the API gives them."""

from __future__ import annotations

from typing import Any

from proxy.kubernetes.deployer.children import Site
from proxy.kubernetes.deployer.wish import Wish, read

Object = dict[str, Any]
MESH = {"name": "mesh", "port": 15008, "protocol": "HBONE"}
WEB = {"name": "web", "port": 80, "protocol": "HTTP"}
SITE = Site(image="waypointd:1", redis="redis://redis.waypointd-system:6379", redis_secret={"password": "c2VjcmV0"})


def wish(
    *listeners: Object,
    generation: int = 1,
    status: Object | None = None,
    annotations: Object | None = None,
    **spec: Any,
) -> Wish:
    """shop/way, with these listeners, or one for HBONE."""
    metadata = {"namespace": "shop", "name": "way", "uid": "u-1", "generation": generation, "annotations": annotations}
    spec = {"gatewayClassName": "waypointd", "listeners": list(listeners or [MESH]), **spec}
    return read({"metadata": metadata, "spec": spec, "status": status or {}})
