"""What all Kubernetes objects share, and which kinds are understood. What a kind means is for `proxy.mesh.kinds`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from proxy.mesh.reading.lines import Lines
from proxy.mesh.reading.remarks import Key

Body = dict[str, object]
"""A whole object as plain values; not to be changed."""

_CORE = ""
ISTIO_NETWORK = "networking.istio.io"
_ISTIO_SECURITY = "security.istio.io"
GATEWAY_API = "gateway.networking.k8s.io"

# kind -> (API group, versions that say the same for what is read here).
KINDS: dict[str, tuple[str, frozenset[str]]] = {
    "Namespace": (_CORE, frozenset({"v1"})),
    "Service": (_CORE, frozenset({"v1"})),
    "Pod": (_CORE, frozenset({"v1"})),
    "Node": (_CORE, frozenset({"v1"})),
    "Secret": (_CORE, frozenset({"v1"})),
    "ConfigMap": (_CORE, frozenset({"v1"})),
    "Endpoints": (_CORE, frozenset({"v1"})),
    "EndpointSlice": ("discovery.k8s.io", frozenset({"v1"})),
    "Gateway": (GATEWAY_API, frozenset({"v1", "v1beta1"})),
    "GatewayClass": (GATEWAY_API, frozenset({"v1", "v1beta1"})),
    "HTTPRoute": (GATEWAY_API, frozenset({"v1", "v1beta1"})),
    "GRPCRoute": (GATEWAY_API, frozenset({"v1"})),
    "ReferenceGrant": (GATEWAY_API, frozenset({"v1", "v1beta1"})),
    "DestinationRule": (ISTIO_NETWORK, frozenset({"v1", "v1beta1", "v1alpha3"})),
    "ServiceEntry": (ISTIO_NETWORK, frozenset({"v1", "v1beta1", "v1alpha3"})),
    "VirtualService": (ISTIO_NETWORK, frozenset({"v1", "v1beta1", "v1alpha3"})),
    "WorkloadEntry": (ISTIO_NETWORK, frozenset({"v1", "v1beta1", "v1alpha3"})),
    "AuthorizationPolicy": (_ISTIO_SECURITY, frozenset({"v1", "v1beta1"})),
    "RequestAuthentication": (_ISTIO_SECURITY, frozenset({"v1", "v1beta1"})),
}
# Kinds that attach to what is served and are called by their bare names in messages, whatever their version.
ATTACHED: dict[str, str] = {
    **dict.fromkeys(("TCPRoute", "TLSRoute", "UDPRoute"), GATEWAY_API),
    **dict.fromkeys(("BackendTLSPolicy", "ListenerSet"), GATEWAY_API),
    "EnvoyFilter": ISTIO_NETWORK,
    **dict.fromkeys(("WasmPlugin", "TrafficExtension"), "extensions.istio.io"),
    "Telemetry": "telemetry.istio.io",
}
# Same kind names in other well-known groups: not a slip of the pen, so not worth a warning.
NAMESAKES = frozenset({(ISTIO_NETWORK, "Gateway"), ("serving.knative.dev", "Service")})


@dataclass(frozen=True, slots=True)
class Document:
    """The text of one file; `path` is what messages call it."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The heading of one object, and where its fields stand. `created`: RFC 3339 in UTC, which sorts as text, or ""."""

    key: Key
    labels: Mapping[str, str]
    created: str
    lines: Lines

    @property
    def kind(self) -> str:
        return self.key.kind

    @property
    def namespace(self) -> str:
        return self.key.namespace

    @property
    def name(self) -> str:
        return self.key.name

    @property
    def id(self) -> str:
        """`namespace/name`, or the name alone for what has no namespace."""
        return self.key.id
