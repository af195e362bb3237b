"""Waypoints that istiod deploys as waypointd, by the chart's overlay of one of istiod's own classes (`istio.overlay`).

istiod makes Deployment, Service and ServiceAccount, and writes the status. What it has no template for is made here:
what such a waypoint may read, and what Redis takes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from proxy.kubernetes.deployer.children import Site
from proxy.kubernetes.deployer.wish import MANAGED_BY, MANAGER, Wish, read

Object = dict[str, Any]

CONTROLLER = "istio.io/mesh-controller"
SECRET = "waypointd-redis-access"
"""One for all waypoints of a namespace: the overlay, which mounts it, is the same for all."""
_ACCOUNT = "gateway.istio.io/service-account"


def is_deployed(gateway: Mapping[str, Any]) -> bool:
    """Whether istiod deploys anything for it: not for one that names a Service of somebody else's by a Hostname."""
    addresses = gateway["spec"].get("addresses") or ()
    return len(addresses) < 2 and all(each.get("type", "IPAddress") == "IPAddress" for each in addresses)


def wish_of(gateway: Mapping[str, Any]) -> Wish:
    """As istiod reads it: an annotation may name another ServiceAccount."""
    wish = read(gateway)
    return replace(wish, account=(gateway["metadata"].get("annotations") or {}).get(_ACCOUNT) or wish.name)


def shared(namespace: str, wishes: Iterable[Wish], site: Site) -> Iterator[Object]:
    """What all these waypoints of a namespace have together, and is there as long as one of them."""
    if site.redis_secret:
        metadata = {
            "name": SECRET,
            "namespace": namespace,
            "labels": {MANAGED_BY: MANAGER},
            "ownerReferences": [each.owner() for each in sorted(wishes, key=lambda wish: wish.name)],
        }
        data = dict(site.redis_secret)
        yield {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": data}
