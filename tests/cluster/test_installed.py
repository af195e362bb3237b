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
from tests.cluster.api_rig import PODS, Api
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
    yard.api.put(kinds.NAMESPACES, yard.namespace, labels={"istio.io/use-waypoint": "way"})


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


def test_what_install_yaml_brings_deploys_waypoints_that_serve(yard: Yard) -> None:
    install(yard)
    try:
        wait_until(lambda: ready(yard, SYSTEM, "app=waypointd-deployer") == 2, START_S, "two deployers")
        wait_until(lambda: ready(yard, SYSTEM, "app=waypointd-redis") == 1, START_S, "Redis")
        put_app(yard)
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
