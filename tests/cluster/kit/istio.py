"""What Istio's control plane is told, and how pods find it."""

import contextlib
from pathlib import Path

NODE = "10.10.0.1"
"""Address of the node: the bridge that pods are plugged into, and where they find the API server."""
ISTIOD_ENVIRONMENT = {
    "POD_NAME": "istiod-1",
    "POD_NAMESPACE": "istio-system",
    "SERVICE_ACCOUNT": "istiod",
    "CLUSTER_ID": "Kubernetes",
    "REVISION": "default",
    "PILOT_CERT_PROVIDER": "istiod",
    "PILOT_ENABLE_AMBIENT": "true",
}
ISTIOD = {
    "apiVersion": "v1",
    "kind": "List",
    "items": [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "istio-system"}},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "istiod", "namespace": "istio-system"},
            "spec": {"ports": [{"name": "https-dns", "port": 15012, "targetPort": 15012}]},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "addressType": "IPv4",
            "metadata": {
                "name": "istiod-1",
                "namespace": "istio-system",
                "labels": {"kubernetes.io/service-name": "istiod"},
            },
            "ports": [{"name": "https-dns", "port": 15012, "protocol": "TCP"}],
            "endpoints": [{"addresses": [NODE], "conditions": {"ready": True}}],
        },
    ],
}
"""It runs beside the cluster, at the node's address, not as a pod in it."""


def injector(chart: Path) -> str:
    """The ConfigMap with istiod's templates, that of waypoints among them, out of its own chart (`istio-chart`).

    Without it istiod deploys nothing; "" where there is no chart, or no Helm (`scripts/prepare chart`).
    """
    with contextlib.suppress(ImportError):
        import helm_python as helm  # as late as this: nobody else needs it

        if chart.exists():
            with helm.Chart.load(str(chart)) as loaded:
                files = loaded.render({}, name="istiod", namespace="istio-system")
            return str(files["istiod/templates/istiod-injector-configmap.yaml"])
    return ""
