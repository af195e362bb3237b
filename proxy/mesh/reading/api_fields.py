"""Which fields objects have, mapping by mapping. Written by scripts/api-fields; not to be edited.

Kubernetes 1.34.4.
Gateway API 1.4.0, 1.6.1.
Istio 86c9f01f (2026-08-22).
"""

from __future__ import annotations

# The names of the fields; + behind one: what is in it has a line of its own, as KIND.FIELD.FIELD.
FIELDS: dict[str, str] = {
    "AuthorizationPolicy": "apiVersion kind metadata+ spec status",
    "DestinationRule": "apiVersion kind metadata+ spec status",
    "EndpointSlice": "addressType apiVersion endpoints+ kind metadata+ ports+",
    "EndpointSlice.endpoints": (
        "addresses conditions+ deprecatedTopology hints+ hostname nodeName targetRef+ topology zone"
    ),
    "EndpointSlice.endpoints.conditions": "ready serving terminating",
    "EndpointSlice.endpoints.hints": "forNodes+ forZones+",
    "EndpointSlice.endpoints.hints.forNodes": "name",
    "EndpointSlice.endpoints.hints.forZones": "name",
    "EndpointSlice.endpoints.targetRef": "apiVersion fieldPath kind name namespace resourceVersion uid",
    "EndpointSlice.ports": "appProtocol name port protocol",
    "GRPCRoute": "apiVersion kind metadata+ spec status",
    "Gateway": "apiVersion kind metadata+ spec+ status",
    "Gateway.spec": (
        "addresses+ allowedListeners+ backendTLS defaultScope gatewayClassName infrastructure+ listeners+ tls+"
    ),
    "Gateway.spec.addresses": "type value",
    "Gateway.spec.allowedListeners": "namespaces+",
    "Gateway.spec.allowedListeners.namespaces": "from selector+",
    "Gateway.spec.allowedListeners.namespaces.selector": "matchExpressions+ matchLabels",
    "Gateway.spec.allowedListeners.namespaces.selector.matchExpressions": "key operator values",
    "Gateway.spec.infrastructure": "annotations labels parametersRef+",
    "Gateway.spec.infrastructure.parametersRef": "group kind name",
    "Gateway.spec.listeners": "allowedRoutes+ hostname name port protocol tls+",
    "Gateway.spec.listeners.allowedRoutes": "kinds+ namespaces+",
    "Gateway.spec.listeners.allowedRoutes.kinds": "group kind",
    "Gateway.spec.listeners.allowedRoutes.namespaces": "from selector+",
    "Gateway.spec.listeners.allowedRoutes.namespaces.selector": "matchExpressions+ matchLabels",
    "Gateway.spec.listeners.allowedRoutes.namespaces.selector.matchExpressions": "key operator values",
    "Gateway.spec.listeners.tls": "certificateRefs+ frontendValidation mode options",
    "Gateway.spec.listeners.tls.certificateRefs": "group kind name namespace",
    "Gateway.spec.tls": "backend+ frontend+",
    "Gateway.spec.tls.backend": "clientCertificateRef+",
    "Gateway.spec.tls.backend.clientCertificateRef": "group kind name namespace",
    "Gateway.spec.tls.frontend": "default+ perPort+",
    "Gateway.spec.tls.frontend.default": "validation+",
    "Gateway.spec.tls.frontend.default.validation": "caCertificateRefs+ mode",
    "Gateway.spec.tls.frontend.default.validation.caCertificateRefs": "group kind name namespace",
    "Gateway.spec.tls.frontend.perPort": "port tls+",
    "Gateway.spec.tls.frontend.perPort.tls": "validation+",
    "Gateway.spec.tls.frontend.perPort.tls.validation": "caCertificateRefs+ mode",
    "Gateway.spec.tls.frontend.perPort.tls.validation.caCertificateRefs": "group kind name namespace",
    "GatewayClass": "apiVersion kind metadata+ spec+ status",
    "GatewayClass.spec": "controllerName description parametersRef+",
    "GatewayClass.spec.parametersRef": "group kind name namespace",
    "HTTPRoute": "apiVersion kind metadata+ spec status",
    "Namespace": "apiVersion kind metadata+ spec+ status",
    "Namespace.spec": "finalizers",
    "Node": "apiVersion kind metadata+ spec+ status",
    "Node.spec": "configSource externalID podCIDR podCIDRs providerID taints unschedulable",
    "Pod": "apiVersion kind metadata+ spec+ status",
    "Pod.spec": (
        "activeDeadlineSeconds affinity automountServiceAccountToken containers dnsConfig dnsPolicy "
        "enableServiceLinks ephemeralContainers hostAliases hostIPC hostNetwork hostPID hostUsers hostname "
        "hostnameOverride imagePullSecrets initContainers nodeName nodeSelector os overhead preemptionPolicy "
        "priority priorityClassName readinessGates resourceClaims resources restartPolicy runtimeClassName "
        "schedulerName schedulingGates securityContext serviceAccount serviceAccountName setHostnameAsFQDN "
        "shareProcessNamespace subdomain terminationGracePeriodSeconds tolerations topologySpreadConstraints "
        "volumes"
    ),
    "ReferenceGrant": "apiVersion kind metadata+ spec",
    "RequestAuthentication": "apiVersion kind metadata+ spec status",
    "Service": "apiVersion kind metadata+ spec+ status",
    "Service.spec": (
        "allocateLoadBalancerNodePorts clusterIP clusterIPs externalIPs externalName externalTrafficPolicy "
        "healthCheckNodePort internalTrafficPolicy ipFamilies ipFamily ipFamilyPolicy loadBalancerClass "
        "loadBalancerIP loadBalancerSourceRanges ports+ publishNotReadyAddresses selector sessionAffinity "
        "sessionAffinityConfig+ topologyKeys trafficDistribution type"
    ),
    "Service.spec.ports": "appProtocol name nodePort port protocol targetPort",
    "Service.spec.sessionAffinityConfig": "clientIP+",
    "Service.spec.sessionAffinityConfig.clientIP": "timeoutSeconds",
    "ServiceEntry": "apiVersion kind metadata+ spec status",
    "VirtualService": "apiVersion kind metadata+ spec status",
    "WorkloadEntry": "apiVersion kind metadata+ spec status",
    "metadata": (
        "annotations clusterName creationTimestamp deletionGracePeriodSeconds deletionTimestamp finalizers "
        "generateName generation initializers labels managedFields name namespace ownerReferences+ resourceVersion "
        "selfLink uid"
    ),
    "metadata.ownerReferences": "apiVersion blockOwnerDeletion controller kind name uid",
}
