"""Which Services this Gateway serves, listener by listener: Istio's ambient index, seen from one waypoint.

The label on the Service beats the one on its Namespace, and `none` opts out; a Service that names another waypoint is
never served here, ready or not.
"""

from __future__ import annotations

from collections.abc import Mapping

from proxy.mesh.kinds.gateways import Gateway, GatewayListener
from proxy.mesh.kinds.services import Service

USE_WAYPOINT = "istio.io/use-waypoint"
USE_WAYPOINT_NAMESPACE = "istio.io/use-waypoint-namespace"
# Istio never sends the traffic of the Services it made for its own gateways through a waypoint.
_MANAGED = "gateway.istio.io/managed"
_MANAGED_BY = frozenset({"istio.io-mesh-controller", "istio.io-eastwest-controller"})


def waypoint_of(service: Service, namespace_labels: Mapping[str, str]) -> str:
    """ "namespace/name" of the waypoint the Service is to use, or ""."""
    own = service.manifest.labels
    if own.get(_MANAGED) in _MANAGED_BY:
        return ""
    labels: Mapping[str, str] = own if own.get(USE_WAYPOINT) else namespace_labels
    name = labels.get(USE_WAYPOINT, "")
    if not name or name == "none":
        return ""
    return f"{labels.get(USE_WAYPOINT_NAMESPACE) or service.manifest.namespace}/{name}"


def admitted(
    service: Service, gateway: Gateway, listener: GatewayListener, namespace_labels: Mapping[str, str]
) -> bool:
    """Whether a listener takes a Service that is bound to its Gateway."""
    return listener.admission.admits(service.manifest.namespace, dict(namespace_labels), gateway.manifest.namespace)
