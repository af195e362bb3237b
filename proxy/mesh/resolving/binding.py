"""Which Services this Gateway serves, listener by listener: Istio's ambient index, seen from one waypoint.

The label on the Service beats the one on its Namespace, and `none` opts out. Beside its waypoint a Service may name
a canary, to which ztunnels send a share of new connections; which share is theirs to know. A Service that names other
waypoints only is never served here, ready or not.
"""

from __future__ import annotations

from collections.abc import Mapping

from proxy.mesh.kinds.gateways import Gateway, GatewayListener
from proxy.mesh.kinds.services import Service

USE_WAYPOINT = "istio.io/use-waypoint"
USE_WAYPOINT_NAMESPACE = "istio.io/use-waypoint-namespace"
USE_CANARY = "istio.io/use-waypoint-canary"
USE_CANARY_NAMESPACE = "istio.io/use-waypoint-canary-namespace"
# Istio never sends the traffic of the Services it made for its own gateways through a waypoint.
_MANAGED = "gateway.istio.io/managed"
_MANAGED_BY = frozenset({"istio.io-mesh-controller", "istio.io-eastwest-controller"})


def waypoints_of(service: Service, namespace_labels: Mapping[str, str]) -> dict[str, str]:
    """ "namespace/name" of the waypoint the Service is to use, and of its canary, by the label that names it.

    As istiod has it, there is a canary only beside a waypoint, and that of the Namespace only for who has its waypoint
    from there too.
    """
    own = service.manifest.labels
    if own.get(_MANAGED) in _MANAGED_BY:
        return {}
    labels: Mapping[str, str] = own if own.get(USE_WAYPOINT) else namespace_labels
    waypoint = _named(service, labels, USE_WAYPOINT, USE_WAYPOINT_NAMESPACE)
    if not waypoint:
        return {}
    labels = own if USE_CANARY in own else labels
    canary = _named(service, labels, USE_CANARY, USE_CANARY_NAMESPACE)
    return {USE_WAYPOINT: waypoint} | ({USE_CANARY: canary} if canary else {})


def _named(service: Service, labels: Mapping[str, str], name: str, namespace: str) -> str:
    """The waypoint that one pair of labels names, or ""."""
    found = labels.get(name, "")
    if not found or found == "none":
        return ""
    return f"{labels.get(namespace) or service.manifest.namespace}/{found}"


def admitted(
    service: Service, gateway: Gateway, listener: GatewayListener, namespace_labels: Mapping[str, str]
) -> bool:
    """Whether a listener takes a Service that is bound to its Gateway."""
    return listener.admission.admits(service.manifest.namespace, dict(namespace_labels), gateway.manifest.namespace)
