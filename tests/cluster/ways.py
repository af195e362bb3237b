"""The ways in which a Gateway comes by a waypoint: by our class, by istiod with the chart's overlay, by hand.

The chart is installed by Helm itself, as a library (helm-python-sdk).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.kubernetes.deployer import kinds
from tests.cluster.api_rig import PODS, Api
from tests.cluster.deployer_rig import ROOT, SYSTEM
from tests.cluster.istiod_site import kubectl
from tests.rig import wait_until

RELEASE = "waypointd"
CHART = ROOT / "deploy" / "helm" / "waypointd"
GATEWAY = Path(__file__).parent / "guide" / "gateway.yaml"
PATIENCE_S = 90


@dataclass(frozen=True)
class Way:
    """`gateway_class`: what the guide's Gateway names; "" where it comes with files of our own."""

    gateway_class: str
    redis: tuple[str, str]
    """Namespace and name of the Pod."""

    @contextlib.contextmanager
    def prepared(self, api: Api, replicas: int) -> Iterator[None]:
        """What an administrator has installed before anybody reads the guide."""
        if not self.gateway_class:
            yield
            return
        overlay = self.gateway_class if self.gateway_class == "istio-waypoint" else ""
        with installed(api, waypoint={"replicas": replicas}, istio={"overlay": {"class": overlay}}):
            yield

    def apply(self, replicas: int) -> None:
        """The guide's Gateway, or deploy/kubernetes."""
        if self.gateway_class:
            text = GATEWAY.read_text().replace("istio-waypoint", self.gateway_class)
        else:
            text = by_hand(replicas)
        kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", given=text)


WAYS = {
    "waypointd": Way("waypointd", (SYSTEM, "waypointd-redis-0")),
    "istiod": Way("istio-waypoint", (SYSTEM, "waypointd-redis-0")),
    "hand": Way("", ("httpbin", "waypoint-redis-0")),
}


@contextlib.contextmanager
def installed(api: Api, **values: Any) -> Iterator[None]:
    """The chart as a release; its Redis without a volume, which the node has none of."""
    helm = pytest.importorskip("helm_python", reason="helm-python-sdk is not installed: scripts/prepare chart")
    clear()
    with helm.Config(kubeconfig_path=str(api.cluster.kubeconfig), namespace=SYSTEM) as release:
        given = {"redis": {"storage": ""}, **values}
        release.install(
            str(CHART), RELEASE, given, namespace=SYSTEM, create_namespace=True, wait="watcher", timeout=PATIENCE_S
        )
        try:
            yield
        finally:
            release.uninstall(RELEASE)
            wait_until(lambda: not api.client.get(PODS.path(SYSTEM))["items"], PATIENCE_S, "all Pods are gone")


def clear() -> None:
    """What other tests have left of install.yaml: Helm takes over nothing that it has not made."""
    documents = yaml.safe_load_all((ROOT / "deploy" / "install.yaml").read_text())
    items = [each for each in documents if each["kind"] != "Namespace"]
    text = yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": items})
    kubectl("delete", "--ignore-not-found", "-f", "-", given=text)


def by_hand(replicas: int) -> str:
    """deploy/kubernetes as it is, but for Redis' volume and the number of replicas."""
    documents = list(yaml.safe_load_all(kubectl("kustomize", str(ROOT / "deploy" / "kubernetes"))))
    for body in documents:
        if body["kind"] == "StatefulSet":
            del body["spec"]["volumeClaimTemplates"]
            body["spec"]["template"]["spec"]["volumes"] = [{"name": "data", "emptyDir": {}}]
        if body["kind"] == kinds.DEPLOYMENTS.kind:
            body["spec"]["replicas"] = replicas
    return yaml.safe_dump_all(documents)
