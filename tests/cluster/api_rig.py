"""What tests on a real API server are built from: objects put there as kubectl does, and a replica that follows them.
Endpoints are this machine's addresses in 10.99.0.0/16: a cluster refuses those of 127/8."""

from __future__ import annotations

import base64
import contextlib
import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxy.kubernetes.api import kubeconfig
from proxy.kubernetes.api.client import MERGE, Client
from proxy.kubernetes.api.faults import ApiFault
from proxy.kubernetes.api.resources import Resource
from proxy.kubernetes.source import kinds
from tests.cluster.kit.cluster import Cluster
from tests.rig import SUFFIXES, Endpoint, Replica, Waypoint, free_port, wait_until

Object = dict[str, Any]

SLICES, PODS = kinds.OF_SERVED[0], kinds.PODS
RULES = kinds.OF_ROOT[0]
ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount")
ROLES = Resource("rbac.authorization.k8s.io", "v1", "roles", "Role")
BINDINGS = Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")
CLUSTER_ROLES = Resource("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", namespaced=False)
CLUSTER_BINDINGS = Resource(
    "rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False
)
MAY_TELL = {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]}
MANAGER = "tests"
GATEWAY = "way"
CLASS = "waypointd"


class Api:
    """The API server, as its administrator."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.client = Client(kubeconfig.load([str(cluster.kubeconfig)]))

    def put(self, resource: Resource, name: str, namespace: str = "", **fields: Any) -> Object:
        """Server-side apply of these fields."""
        labels = fields.pop("labels", None)
        metadata = {
            "name": name,
            **({"namespace": namespace} if namespace else {}),
            **({"labels": labels} if labels else {}),
        }
        body = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, **fields}
        return self.client.apply(resource.path(namespace, name), body, MANAGER)

    def patch(self, resource: Resource, name: str, namespace: str, change: Object) -> Object:
        return self.client.send("PATCH", resource.path(namespace, name), change, content_type=MERGE)

    def delete(self, resource: Resource, name: str, namespace: str = "") -> None:
        self.client.send("DELETE", resource.path(namespace, name))

    def token(self, namespace: str, account: str, seconds: int = 3600) -> str:
        """A token of a ServiceAccount."""
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": seconds},
        }
        answer = self.client.send("POST", ACCOUNTS.path(namespace, account, "token"), body)
        return str(answer["status"]["token"])

    def until_gone(self, resource: Resource, name: str, namespace: str = "", seconds: float = 120) -> None:
        """The cluster's own controllers take their time: a namespace that they found full is looked at again later."""

        def gone() -> bool:
            try:
                self.client.get(resource.path(namespace, name))
            except ApiFault as fault:
                return fault.not_found
            return False

        wait_until(gone, seconds, f"{name} is gone")


@dataclass
class Shop:
    """A namespace with a waypoint's Gateway and the Service `pay`, whose endpoints answer."""

    api: Api
    namespace: str
    port: int
    members: list[Endpoint]
    folder: Path

    @classmethod
    @contextlib.contextmanager
    def made(cls, api: Api, namespace: str, folder: Path, count: int = 3) -> Iterator[Shop]:
        api.put(kinds.NAMESPACES, namespace, labels={"istio.io/use-waypoint": GATEWAY})
        members = _endpoints(count)
        shop = cls(api, namespace, free_port(), members, folder)
        try:
            shop.put_gateway()
            shop.put_service("pay")
            yield shop
        finally:
            for member in members:
                with contextlib.suppress(OSError):
                    member.stop()
            api.delete(kinds.NAMESPACES, namespace)

    def put_gateway(self, scope: str = "Same") -> None:
        listener = {"name": "http", "port": self.port, "protocol": "HTTP"}
        listeners = [listener | {"allowedRoutes": {"namespaces": {"from": scope}}}]
        spec = {"gatewayClassName": CLASS, "listeners": listeners}
        self.api.put(kinds.GATEWAYS, GATEWAY, self.namespace, spec=spec)

    def put_service(self, name: str, namespace: str = "", labels: Mapping[str, str] | None = None) -> None:
        """With all endpoints."""
        namespace = namespace or self.namespace
        ports = [{"name": "http", "port": 8000, "targetPort": self.members[0].port}]
        self.api.put(kinds.SERVICES, name, namespace, spec={"ports": ports}, labels=labels)
        self.put_endpoints(self.members, name, namespace)

    def put_endpoints(
        self, members: list[Endpoint], service: str = "pay", namespace: str = "", pods: bool = False
    ) -> None:
        """`pods`: they are said to be those that `put_pods` has put there."""
        ports = [{"name": "http", "port": self.members[0].port, "protocol": "TCP"}]
        ready = [
            {"addresses": [each.ip], "conditions": {"ready": True}}
            | ({"targetRef": {"kind": "Pod", "name": each.name}} if pods else {})
            for each in members
        ]
        labels = {"kubernetes.io/service-name": service}
        fields = {"addressType": "IPv4", "ports": ports, "endpoints": ready}
        self.api.put(SLICES, f"{service}-1", namespace or self.namespace, labels=labels, **fields)

    def put_pods(self) -> None:
        """A Pod for each endpoint; nobody runs it."""
        self.api.put(ACCOUNTS, "default", self.namespace)  # else it is waited for
        for member in self.members:
            spec = {"containers": [{"name": "app", "image": "none"}]}
            self.api.put(PODS, member.name, self.namespace, spec=spec)
        self.put_endpoints(self.members, pods=True)

    def put_rule(self, host: str = "pay", **outlier: Any) -> None:
        spec = {"host": host, "trafficPolicy": {"outlierDetection": outlier}}
        self.api.put(RULES, "rule", self.namespace, spec=spec)

    def grant(self) -> Path:
        """A ServiceAccount with exactly the rights of a waypoint, and the kubeconfig of its token."""
        self.api.put(ACCOUNTS, "way", self.namespace)
        self.grant_role()
        named = {kinds.NAMESPACES: self.namespace, kinds.GATEWAY_CLASSES: CLASS}
        rules = [rule | {"resourceNames": [named[each]]} for each in named for rule in _rules([each])]
        rules += _rules([kinds.NODES, *kinds.ROUTES, kinds.GRANTS])
        self.api.put(CLUSTER_ROLES, self.namespace, rules=rules)
        self._bind(CLUSTER_BINDINGS, CLUSTER_ROLES, self.namespace, "")
        self.api.put(kinds.NAMESPACES, "istio-system")
        self.api.put(ROLES, self.namespace, "istio-system", rules=[*_rules(kinds.OF_ROOT), MAY_TELL])
        self._bind(BINDINGS, ROLES, self.namespace, "istio-system")
        return self.kubeconfig(self.api.token(self.namespace, "way"))

    def grant_role(self, *without: str) -> None:
        """The Role in the own namespace, but for these resources."""
        own = (kinds.GATEWAYS, kinds.SERVICES, *kinds.OF_SERVED, *kinds.ADVISED)
        rules = _rules([each for each in own if each.plural not in without])
        rules += [MAY_TELL] if "events" not in without else []
        self.api.put(ROLES, "way", self.namespace, rules=rules)
        self._bind(BINDINGS, ROLES, "way", self.namespace)

    def _bind(self, bindings: Resource, roles: Resource, name: str, namespace: str) -> None:
        reference = {"apiGroup": roles.group, "kind": roles.kind, "name": name}
        subjects = [{"kind": "ServiceAccount", "name": "way", "namespace": self.namespace}]
        self.api.put(bindings, name, namespace, roleRef=reference, subjects=subjects)

    def kubeconfig(self, token: str) -> Path:
        """A kubeconfig whose token is in a file, which may be written again."""
        config = json.loads(self.api.cluster.kubeconfig.read_text())
        (self.folder / "token").write_text(token)
        config["users"][0]["user"] = {"tokenFile": "token"}
        config["clusters"][0]["cluster"] |= {
            "certificate-authority-data": base64.b64encode((self.api.cluster.keys / "ca.crt").read_bytes()).decode()
        }
        del config["clusters"][0]["cluster"]["certificate-authority"]
        (self.folder / "kubeconfig").write_text(json.dumps(config))
        return self.folder / "kubeconfig"

    @contextlib.contextmanager
    def replica(
        self,
        *arguments: str,
        workers: int = 1,
        config: Path | None = None,
        ready: bool = True,
        name: str = "",
        bind: str = "127.0.0.1",
    ) -> Iterator[Replica]:
        """A replica that follows the cluster. A second one needs a `name`, and somewhere else to listen."""
        status, admin, metrics = free_port(), free_port(), free_port()
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        waypoint = Waypoint(
            folder,
            *("-w", str(workers), "--kubeconfig", str(config or self.api.cluster.kubeconfig)),
            *("--gateway", f"{self.namespace}/{GATEWAY}", "--bind", bind, "--drain-delay", "0"),
            *("--status", f"127.0.0.1:{status}", "--admin", f"127.0.0.1:{admin}"),
            *("--metrics", f"127.0.0.1:{metrics}", *arguments),
        )
        made = Replica(waypoint, self.port, status, admin, metrics)
        waypoint.start()
        try:
            if ready:
                wait_until(made.ready, 20, "ready")
            yield made
        except BaseException:
            print(waypoint.errors())
            raise
        finally:
            waypoint.stop()


def cluster_of(replica: Replica, name: str) -> Any:
    """One cluster, or None."""
    return next(iter(replica.info(f"/clusters?name={name}")), None)


def clusters(replica: Replica) -> dict[str, Any]:
    """What is in force, by the name of the cluster without its namespace."""
    found = replica.info("/clusters")
    return {each["name"].rpartition("/")[2]: each for each in found}


def in_force_everywhere(replica: Replica) -> bool:
    """Whether all workers have the newest snapshot."""
    info = replica.info()
    return all(worker["snapshot"] == info["snapshot"] for worker in info["workers"])


def _rules(resources: Any) -> list[Object]:
    verbs = ["get", "list", "watch"]
    return [{"apiGroups": [each.group], "resources": [each.plural], "verbs": verbs} for each in resources]


def _endpoints(count: int) -> list[Endpoint]:
    network = f"10.99.{random.randrange(1, 250)}"
    port = free_port(f"{network}.1")
    made = [Endpoint(f"pay-7d8f9b6c54-{SUFFIXES[n]}", f"{network}.{n + 1}", port) for n in range(count)]
    for endpoint in made:
        endpoint.start()
    return made
