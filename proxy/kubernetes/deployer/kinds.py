"""The resources that the deployer reads and writes, beside those that a waypoint reads."""

from __future__ import annotations

from proxy.kubernetes.api.resources import Resource, Watched
from proxy.kubernetes.deployer.wish import GROUP, MANAGED_BY, MANAGER
from proxy.kubernetes.source import kinds as of_source

_RBAC = "rbac.authorization.k8s.io"

GATEWAY_CLASSES, GATEWAYS = of_source.GATEWAY_CLASSES, of_source.GATEWAYS
NAMESPACES, SERVICES = of_source.NAMESPACES, of_source.SERVICES
CONFIG_MAPS, SECRETS, RULES = of_source.CONFIG_MAPS, of_source.SECRETS, of_source.RULES
ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount")
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
BUDGETS = Resource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
AUTOSCALERS = Resource("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
ROLES = Resource(_RBAC, "v1", "roles", "Role")
ROLE_BINDINGS = Resource(_RBAC, "v1", "rolebindings", "RoleBinding")
CLUSTER_ROLES = Resource(_RBAC, "v1", "clusterroles", "ClusterRole", namespaced=False)
CLUSTER_ROLE_BINDINGS = Resource(_RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False)

FOLLOWED = (
    ACCOUNTS,
    DEPLOYMENTS,
    SERVICES,
    BUDGETS,
    AUTOSCALERS,
    ROLES,
    ROLE_BINDINGS,
    CLUSTER_ROLES,
    CLUSTER_ROLE_BINDINGS,
)
"""What is made for Gateways and watched, by our label. Secrets are made too, and never listed: that takes the right to
read all of them."""
BY_KIND = {each.kind: each for each in (*FOLLOWED, SECRETS)}
GRANTS = Resource(GROUP, "v1", "referencegrants", "ReferenceGrant")
ROUTES = of_source.ROUTES
ROUTE_BY_KIND = {each.kind: each for each in ROUTES}
ALL_SERVICES, ALL_ENTRIES = Watched(SERVICES), Watched(of_source.SERVICE_ENTRIES, optional=True)
OF_MESH = (ALL_SERVICES, ALL_ENTRIES)
ASKED = (GATEWAY_CLASSES, GATEWAYS, NAMESPACES)


def watches() -> list[Watched]:
    """What is always watched, Services twice: ours, and of each a little (`bound.Service`), as of ServiceEntries.
    Nothing waits for these, routes, grants, and rules, of which only the Secrets that they name matter."""
    label = f"{MANAGED_BY}={MANAGER}"
    return [
        *(Watched(each) for each in ASKED),
        *(Watched(each, labels=label) for each in FOLLOWED),
        *OF_MESH,
        *(Watched(each, optional=True) for each in (*ROUTES, GRANTS, RULES)),
    ]


def of_parameters(namespace: str, name: str) -> Watched:
    """The one ConfigMap that a Gateway or a class refers to."""
    return Watched(CONFIG_MAPS, namespace, fields=f"metadata.name={name}")
