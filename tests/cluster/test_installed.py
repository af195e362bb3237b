"""deploy/install.yaml in a cluster with a node: its Pods run, and a Gateway's Pods serve what people put behind it."""

from __future__ import annotations

import http.client
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from proxy.kubernetes.api.resources import Resource
from proxy.kubernetes.deployer import kinds
from proxy.kubernetes.deployer.wish import GATEWAY_NAME
from tests.cluster.api_rig import PODS, RULES, Api
from tests.cluster.deployer_rig import ROOT, SYSTEM, Yard
from tests.rig import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]

STATEFUL_SETS = Resource("apps", "v1", "statefulsets", "StatefulSet")
START_S = 90
SERVER = """
import http.server, os
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = os.environ["HOSTNAME"].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("0.0.0.0", 8000), H).serve_forever()
"""


@pytest.fixture
def yard(api: Api) -> Iterator[Yard]:
    if not api.cluster.images:
        pytest.skip("the cluster has no node")
    with Yard.made(api) as made:
        yield made


def install(yard: Yard) -> None:
    """As it is, but for the volume: the node has none that last."""
    for body in yaml.safe_load_all((ROOT / "deploy" / "install.yaml").read_text()):
        if body["kind"] == "StatefulSet":
            del body["spec"]["volumeClaimTemplates"]
            body["spec"]["template"]["spec"]["volumes"].append({"name": "data", "emptyDir": {}})
        yard.apply(body)


def uninstall(yard: Yard) -> None:
    """What runs: other tests have deployers of their own."""
    yard.api.delete(kinds.DEPLOYMENTS, "waypointd-deployer", SYSTEM)
    yard.api.delete(STATEFUL_SETS, "waypointd-redis", SYSTEM)
    wait_until(lambda: not yard.api.client.get(PODS.path(SYSTEM))["items"], START_S, "all Pods are gone")


def ready(yard: Yard, namespace: str, labels: str) -> int:
    found = yard.api.client.get(PODS.path(namespace), {"labelSelector": labels})["items"]
    conditions = [each for pod in found for each in pod["status"].get("conditions") or ()]
    return sum(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def put_app(yard: Yard) -> None:
    labels = {"app": "echo"}
    container = {"name": "echo", "image": "python", "args": ["-c", SERVER]}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"replicas": 3, "selector": {"matchLabels": labels}, "template": template}
    yard.api.put(kinds.DEPLOYMENTS, "echo", yard.namespace, spec=spec)
    ports = [{"name": "http", "port": 8000}]
    yard.api.put(kinds.SERVICES, "echo", yard.namespace, spec={"selector": labels, "ports": ports})


def ask(address: str, host: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(address, 8080, timeout=5)
    try:
        connection.request("GET", "/", headers={"Host": host})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError as fault:
        return 0, str(fault)
    finally:
        connection.close()


def addresses(yard: Yard) -> set[str]:
    found = yard.api.client.get(PODS.path(yard.namespace), {"labelSelector": f"{GATEWAY_NAME}=way"})["items"]
    return {each["status"]["podIP"] for each in found}


def clients_of_redis() -> set[str]:
    """The addresses of those that it has let in: who has not given the password runs nothing but AUTH."""
    ask = 'REDISCLI_AUTH="$(cat /etc/redis-password/password)" redis-cli client list; redis-cli ping'
    words = ["kubectl", "--namespace", SYSTEM, "exec", "waypointd-redis-0", "--", "sh", "-c", ask]
    told = subprocess.run(words, capture_output=True, text=True, check=False).stdout
    assert "NOAUTH" in told
    lines = [line for line in told.splitlines() if "cmd=auth" not in line and "cmd=NULL" not in line]
    return set(re.findall(r" addr=([0-9.]+):", "\n".join(lines)))


def logs(yard: Yard, namespace: str, what: str) -> str:
    words = ["kubectl", "--namespace", namespace, "logs", what, "--all-pods=true", "--tail=200"]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout


def kubectl(yard: Yard, *words: str) -> str:
    """What it prints, whatever its exit status."""
    command = ["kubectl", "--namespace", yard.namespace, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def put_client(yard: Yard) -> None:
    """A Pod to ask from. What captures it here reads the mesh as the Pod's own account, which has to be allowed to."""
    resources = {"": ["namespaces", "services"], "gateway.networking.k8s.io": ["gateways"]}
    rules = [{"apiGroups": [group], "resources": each, "verbs": ["get", "list"]} for group, each in resources.items()]
    yard.api.put(kinds.CLUSTER_ROLES, "capture", rules=rules)
    reference = {"apiGroup": kinds.CLUSTER_ROLES.group, "kind": "ClusterRole", "name": "capture"}
    subjects = [{"apiGroup": kinds.CLUSTER_ROLES.group, "kind": "Group", "name": "system:serviceaccounts"}]
    yard.api.put(kinds.CLUSTER_ROLE_BINDINGS, "capture", roleRef=reference, subjects=subjects)
    labels = {"istio.io/dataplane-mode": "ambient", "istio.io/use-waypoint": "way"}
    yard.api.put(kinds.NAMESPACES, yard.namespace, labels=labels)
    yard.api.put(PODS, "client", yard.namespace, spec={"containers": [{"name": "curl", "image": "curl"}]})


def curl(yard: Yard) -> str:
    """The status of one request from the client's Pod, 000 for none within 2 s."""
    url = f"http://echo.{yard.namespace}:8000/"
    ask = ("curl", "-s", "-o", "/dev/null", "--max-time", "2", "-w", "%{http_code}", url)
    return kubectl(yard, "exec", "client", "--", *ask)


@pytest.mark.mesh
def test_a_captured_client_an_endpoint_that_hangs_and_the_end(yard: Yard) -> None:
    """The guide, by a Gateway: istiod signs, the client's traffic is captured, two waypoints eject as one."""
    if not yard.api.cluster.istiod:
        pytest.skip("the cluster has no istiod")
    install(yard)
    try:
        put_client(yard)
        put_app(yard)
        yard.put_gateway(gatewayClassName="waypointd")
        wait_until(lambda: yard.condition("Programmed")[2] == "2 Pods ready", START_S, "two Pods of the waypoint")
        wait_until(lambda: ready(yard, yard.namespace, "app=echo") == 3, START_S, "the app")
        wait_until(lambda: curl(yard) == "200" and '"GET / HTTP' in told(yard), START_S, "through the waypoint")
        assert [curl(yard) for _ in range(12)] == ["200"] * 12
        outlier = {"consecutive5xxErrors": 3, "interval": "1s", "baseEjectionTime": "600s", "maxEjectionPercent": 100}
        spec = {"host": "echo", "trafficPolicy": {"outlierDetection": outlier}}
        yard.api.put(RULES, "echo", yard.namespace, spec=spec)
        wait_until(lambda: told(yard).count("snapshot 2") == 2, START_S, "the rule is in force in both")
        pods = yard.api.client.get(PODS.path(yard.namespace), {"labelSelector": "app=echo"})["items"]
        victim = pods[0]["metadata"]["name"]
        kubectl(yard, "exec", victim, "--", "pkill", "-STOP", "-f", "http.server")
        asked = [curl(yard)]

        def is_out() -> bool:
            asked.append(curl(yard))
            return told(yard).count("outlier ejecting") == 2

        wait_until(is_out, START_S, "both have it out")
        assert asked.count("200") + 3 >= len(asked), asked  # three were hurt, at most
        assert [curl(yard) for _ in range(5)] == ["200"] * 5
        assert f'workload="{victim}"' in told(yard)
        yard.api.delete(kinds.GATEWAYS, "way", yard.namespace)
        yard.api.until_gone(kinds.DEPLOYMENTS, "way", yard.namespace, START_S)
    except BaseException:
        print(logs(yard, SYSTEM, "deployment/waypointd-deployer"), told(yard))
        raise
    finally:
        uninstall(yard)


def told(yard: Yard) -> str:
    return logs(yard, yard.namespace, "deployment/way")


def test_what_install_yaml_brings_deploys_waypoints_that_serve(yard: Yard) -> None:
    install(yard)
    try:
        wait_until(lambda: ready(yard, SYSTEM, "app=waypointd-deployer") == 2, START_S, "two deployers")
        wait_until(lambda: ready(yard, SYSTEM, "app=waypointd-redis") == 1, START_S, "Redis")
        put_app(yard)
        yard.api.put(kinds.NAMESPACES, yard.namespace, labels={"istio.io/use-waypoint": "way"})
        listeners: list[Any] = [{"name": "web", "port": 8080, "protocol": "HTTP"}]
        yard.put_gateway(gatewayClassName="waypointd", listeners=listeners)
        wait_until(lambda: yard.condition("Programmed")[2] == "2 Pods ready", START_S, "two Pods of the waypoint")
        address = yard.there(kinds.GATEWAYS)["status"]["addresses"][0]["value"]
        host = f"echo.{yard.namespace}"
        wait_until(lambda: len({ask(address, host) for _ in range(9)}) == 3, START_S, "all three endpoints")
        assert {status for status, _ in (ask(address, host) for _ in range(9))} == {200}
        wait_until(lambda: addresses(yard) <= clients_of_redis(), START_S, "both are let in by Redis")
        yard.api.delete(kinds.GATEWAYS, "way", yard.namespace)
        yard.api.until_gone(kinds.DEPLOYMENTS, "way", yard.namespace, START_S)
        wait_until(lambda: ask(address, host)[0] == 0, START_S, "it serves no more")
    except BaseException:
        print(logs(yard, SYSTEM, "deployment/waypointd-deployer"), logs(yard, yard.namespace, "deployment/way"))
        print(logs(yard, SYSTEM, "statefulset/waypointd-redis"))
        subprocess.run(["kubectl", "get", "pods", "-A", "-o", "wide"], check=False)
        raise
    finally:
        uninstall(yard)
