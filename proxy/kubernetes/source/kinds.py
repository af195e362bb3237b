"""The resources that a waypoint reads."""

from __future__ import annotations

from proxy.kubernetes.api.resources import Resource

_GATEWAY_API = "gateway.networking.k8s.io"
_NETWORK = "networking.istio.io"
_SECURITY = "security.istio.io"

GATEWAYS = Resource(_GATEWAY_API, "v1", "gateways", "Gateway")
GATEWAY_CLASSES = Resource(_GATEWAY_API, "v1", "gatewayclasses", "GatewayClass", namespaced=False)
NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
SERVICES = Resource("", "v1", "services", "Service")
PODS = Resource("", "v1", "pods", "Pod")
NODES = Resource("", "v1", "nodes", "Node", namespaced=False)
SECRETS = Resource("", "v1", "secrets", "Secret")
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
RULES = Resource(_NETWORK, "v1", "destinationrules", "DestinationRule")
SERVICE_ENTRIES = Resource(_NETWORK, "v1", "serviceentries", "ServiceEntry")
VIRTUAL_SERVICES = Resource(_NETWORK, "v1", "virtualservices", "VirtualService")
WORKLOAD_ENTRIES = Resource(_NETWORK, "v1", "workloadentries", "WorkloadEntry")

ROUTES = (
    Resource(_GATEWAY_API, "v1", "httproutes", "HTTPRoute"),
    Resource(_GATEWAY_API, "v1", "grpcroutes", "GRPCRoute"),
)
GRANTS = Resource(_GATEWAY_API, "v1beta1", "referencegrants", "ReferenceGrant")
OF_POLICY = (
    Resource(_SECURITY, "v1", "authorizationpolicies", "AuthorizationPolicy"),
    Resource(_SECURITY, "v1", "requestauthentications", "RequestAuthentication"),
)
OF_ROOT = (RULES, *OF_POLICY)
"""What is read in Istio's root namespace, where it concerns every namespace."""
SLICES = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
OF_SERVED = (SLICES, PODS, *OF_ROOT, SERVICE_ENTRIES, WORKLOAD_ENTRIES, VIRTUAL_SERVICES, *ROUTES)
"""What is read in every namespace that has a Service of ours, beside the Services."""
OF_BACKENDS = (SERVICES, SLICES, PODS, RULES, SERVICE_ENTRIES, WORKLOAD_ENTRIES)
"""What is read in other namespaces that routes send requests to."""
ADVISED = (
    Resource(_NETWORK, "v1alpha3", "envoyfilters", "EnvoyFilter"),
    Resource("extensions.istio.io", "v1alpha1", "wasmplugins", "WasmPlugin"),
    Resource("telemetry.istio.io", "v1", "telemetries", "Telemetry"),
)
"""What is read only to say that it is not in force: without the right to, nothing is said."""

BY_NAME = {
    each.full_name: each
    for each in (
        GATEWAYS,
        GATEWAY_CLASSES,
        NAMESPACES,
        NODES,
        SERVICES,
        SECRETS,
        CONFIG_MAPS,
        GRANTS,
        *OF_POLICY,
        *OF_ROOT,
        *OF_SERVED,
        *ADVISED,
    )
}
"""All of them, as the ids of objects name them."""
