"""What tests of the deployer are built from: its processes, and Gateways for it to see to."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from proxy.kubernetes.api.client import MERGE
from proxy.kubernetes.api.faults import ApiFault
from proxy.kubernetes.api.lease import LEASES
from proxy.kubernetes.api.resources import Resource
from proxy.kubernetes.deployer import kinds
from proxy.kubernetes.deployer.wish import CONTROLLER, GATEWAY_NAME
from tests.cluster.api_rig import PODS, Api
from tests.rig import free_port, wait_until

Object = dict[str, Any]

ROOT = Path(__file__).resolve().parents[2]
SYSTEM = "waypointd-system"
IMAGE = "waypoint.test/ready"
PATIENCE_S = 40
_numbers = itertools.count(1)


class Process:
    """One replica of the deployer."""

    def __init__(self, folder: Path, config: Path, *arguments: str) -> None:
        self.health = free_port()
        self._log = folder / f"deployer-{next(_numbers)}.log"
        self._words = [
            *(sys.executable, str(ROOT / "bin" / "waypointd-deployer")),
            *("--kubeconfig", str(config), "--namespace", SYSTEM, *arguments),
            *("--image", IMAGE, "--health", f"127.0.0.1:{self.health}"),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._words, stderr=log, stdout=log)

    def end(self, how: int = signal.SIGTERM) -> int:
        """The exit status."""
        assert self._process
        self._process.send_signal(how)
        return self._process.wait(timeout=30)

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    def log(self) -> str:
        return self._log.read_text()

    def page(self, path: str = "/healthz/ready") -> tuple[int, str]:
        """Status and text; 0 while there is none."""
        connection = http.client.HTTPConnection("127.0.0.1", self.health, timeout=5)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode().strip()
        except OSError:
            return 0, ""
        finally:
            connection.close()

    def leads(self) -> bool:
        return self.page() == (200, "leads")


class Yard:
    """A namespace for Gateways, and what is said of them."""

    def __init__(self, api: Api, namespace: str, class_name: str) -> None:
        self.api = api
        self.namespace = namespace
        self.class_name = class_name

    @classmethod
    @contextlib.contextmanager
    def made(cls, api: Api) -> Iterator[Yard]:
        number = f"{os.getpid()}-{next(_numbers)}"
        yard = cls(api, f"yard-{number}", f"class-{number}")
        for each in (SYSTEM, yard.namespace, "istio-system"):
            api.put(kinds.NAMESPACES, each)
        api.put(kinds.GATEWAY_CLASSES, yard.class_name, spec={"controllerName": CONTROLLER})
        with contextlib.suppress(ApiFault):
            api.delete(LEASES, "waypointd-deployer", SYSTEM)  # of one that was killed
        try:
            yield yard
        finally:
            for gateway in api.client.get(kinds.GATEWAYS.path(yard.namespace))["items"]:
                api.delete(kinds.GATEWAYS, gateway["metadata"]["name"], yard.namespace)
            api.patch(kinds.GATEWAY_CLASSES, yard.class_name, "", {"metadata": {"finalizers": None}})
            api.delete(kinds.GATEWAY_CLASSES, yard.class_name)
            api.delete(kinds.NAMESPACES, yard.namespace)

    def put_gateway(self, name: str = "way", **spec: Any) -> None:
        listeners = [{"name": "mesh", "port": 15008, "protocol": "HBONE"}]
        self.api.put(
            kinds.GATEWAYS,
            name,
            self.namespace,
            spec={"gatewayClassName": self.class_name, "listeners": listeners, **spec},
        )

    def get(self, resource: Resource, name: str = "way", namespace: str | None = None) -> Object | None:
        where = self.namespace if namespace is None else namespace
        try:
            return self.api.client.get(resource.path(where if resource.namespaced else "", name))
        except ApiFault as fault:
            if fault.not_found:
                return None
            raise

    def there(self, resource: Resource, name: str = "way", namespace: str | None = None) -> Object:
        """It, as soon as it is there."""
        wait_until(lambda: self.get(resource, name, namespace), PATIENCE_S, f"{resource.kind} {name}")
        found = self.get(resource, name, namespace)
        assert found
        return found

    def condition(self, kind: str, name: str = "way") -> tuple[str, str, str]:
        """Status, reason and message of a Gateway's condition, of its present generation."""
        return said(self.get(kinds.GATEWAYS, name), kind)

    def until(self, kind: str, status: str, reason: str, name: str = "way") -> str:
        """Until the condition is so; its message."""
        wait_until(lambda: self.condition(kind, name)[:2] == (status, reason), PATIENCE_S, f"{kind} {status} {reason}")
        return self.condition(kind, name)[2]

    def pods_ready(self, count: int, name: str = "way") -> None:
        """Say of so many Pods what a node would, were there one."""
        query = {"labelSelector": f"{GATEWAY_NAME}={name}"}

        def pods() -> list[Object]:
            found: list[Object] = self.api.client.get(PODS.path(self.namespace), query)["items"]
            return found if len(found) >= count else []

        for pod in wait_until(pods, PATIENCE_S, f"{count} Pods")[:count]:
            path = PODS.path(self.namespace, pod["metadata"]["name"], "status")
            ready = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
            self.api.client.send("PATCH", path, ready, content_type=MERGE)

    def install(self) -> list[str]:
        """Apply deploy/install.yaml, but for what starts Pods; the deployer's arguments."""
        arguments: list[str] = []
        for body in yaml.safe_load_all((ROOT / "deploy" / "install.yaml").read_text()):
            if body["kind"] == "Deployment":
                arguments = body["spec"]["template"]["spec"]["containers"][0]["args"]
            elif body["kind"] != "StatefulSet":
                self.apply(body)
        return arguments

    def apply(self, body: Object) -> None:
        """As kubectl apply --server-side does."""
        group, _, version = body["apiVersion"].rpartition("/")
        plural = {"NetworkPolicy": "networkpolicies", "GatewayClass": "gatewayclasses"}.get(body["kind"])
        namespace = body["metadata"].get("namespace", "")
        resource = Resource(group, version, plural or f"{body['kind'].lower()}s", body["kind"], bool(namespace))
        self.api.client.apply(resource.path(namespace, body["metadata"]["name"]), body, "tests")

    def kubeconfig(self, folder: Path) -> Path:
        """As the deployer's Pod is let in."""
        config = json.loads(self.api.cluster.kubeconfig.read_text())
        config["users"][0]["user"] = {"token": self.api.token(SYSTEM, "waypointd-deployer")}
        (folder / "kubeconfig").write_text(json.dumps(config))
        return folder / "kubeconfig"

    @contextlib.contextmanager
    def deployer(self, folder: Path, *arguments: str, config: Path | None = None) -> Iterator[Process]:
        """One that is at work."""
        process = Process(folder, config or self.api.cluster.kubeconfig, *arguments)
        process.start()
        try:
            yield process
        except BaseException:
            print(process.log())
            raise
        finally:
            if process._process and process._process.poll() is None:
                process.end()


def let_capture(api: Api) -> None:
    """What captures a Pod's traffic here reads the mesh as the Pod's own account, which has to be allowed to."""
    resources = {"": ["namespaces", "services"], "gateway.networking.k8s.io": ["gateways"]}
    rules = [{"apiGroups": [group], "resources": each, "verbs": ["get", "list"]} for group, each in resources.items()]
    api.put(kinds.CLUSTER_ROLES, "capture", rules=rules)
    reference = {"apiGroup": kinds.CLUSTER_ROLES.group, "kind": "ClusterRole", "name": "capture"}
    subjects = [{"apiGroup": kinds.CLUSTER_ROLES.group, "kind": "Group", "name": "system:serviceaccounts"}]
    api.put(kinds.CLUSTER_ROLE_BINDINGS, "capture", roleRef=reference, subjects=subjects)


def said(found: Object | None, kind: str) -> tuple[str, str, str]:
    """Status, reason and message of a condition; empty where it is about an older generation."""
    for each in ((found or {}).get("status") or {}).get("conditions") or ():
        if each["type"] == kind and each.get("observedGeneration") == (found or {})["metadata"]["generation"]:
            return each["status"], each["reason"], each["message"]
    return "", "", ""
