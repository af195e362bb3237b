"""deploy/install.yaml in a cluster with a node: its Pods run, and a Gateway's Pods serve what people put behind it."""

from __future__ import annotations

import http.client
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from proxy.kubernetes.api.resources import Resource
from proxy.kubernetes.deployer import kinds
from proxy.kubernetes.deployer.wish import GATEWAY_NAME
from tests.cluster.api_rig import PODS, Api
from tests.cluster.deployer_rig import ROOT, SYSTEM, Yard, let_capture
from tests.cluster.installation import bodies
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
    for body in bodies():
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


def logs(yard: Yard, namespace: str, what: str, lines: str = "200") -> str:
    words = ["kubectl", "--namespace", namespace, "logs", what, "--all-pods=true", f"--tail={lines}"]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout


def kubectl(yard: Yard, *words: str) -> str:
    """What it prints, whatever its exit status."""
    command = ["kubectl", "--namespace", yard.namespace, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def put_client(yard: Yard) -> None:
    """A Pod to ask from."""
    let_capture(yard.api)
    labels = {"istio.io/dataplane-mode": "ambient", "istio.io/use-waypoint": "way"}
    yard.api.put(kinds.NAMESPACES, yard.namespace, labels=labels)
    yard.api.put(PODS, "client", yard.namespace, spec={"containers": [{"name": "curl", "image": "curl"}]})


def curl(yard: Yard) -> str:
    """The status of one request from the client's Pod, 000 for none within 2 s."""
    url = f"http://echo.{yard.namespace}:8000/"
    ask = ("curl", "-s", "-o", "/dev/null", "--max-time", "2", "-w", "%{http_code}", url)
    return kubectl(yard, "exec", "client", "--", *ask)


@pytest.mark.mesh
def test_traffic_moves_by_shares_from_one_waypoint_to_another_and_back(yard: Yard) -> None:
    """docs/migrate.md: a Service names the second as its canary. istiod binds both, and every request is answered."""
    if not yard.api.cluster.istiod:
        pytest.skip("the cluster has no istiod")
    install(yard)
    try:
        put_client(yard)
        put_app(yard)
        for name in ("way", "second"):
            yard.put_gateway(name, gatewayClassName="waypointd")
        for name in ("way", "second"):
            wait_until(lambda one=name: yard.condition("Programmed", one)[0] == "True", START_S, f"Pods of {name}")
        wait_until(lambda: ready(yard, yard.namespace, "app=echo") == 3, START_S, "the app")
        wait_until(lambda: curl(yard) == "200" and served(yard, "way"), START_S, "through the waypoint")
        kubectl(yard, "label", "service", "echo", "istio.io/use-waypoint=way", "istio.io/use-waypoint-canary=second")
        share(yard, 0)
        checked = (sys.executable, str(ROOT / "bin" / "waypointd"), "--check", "-v")
        checks = ("exec", "deployment/second", "--", *checked)
        wait_until(
            lambda: f"{yard.namespace}/echo:8000 (http)" in kubectl(yard, *checks), START_S, "it has the Service"
        )
        assert split(yard, 6)["second"] == 0
        share(yard, 100)
        wait_until(lambda: split(yard, 6) == {"way": 0, "second": 6}, START_S, "all to the second")
        wait_until(lambda: bound(yard) == ("True", "WaypointAccepted"), START_S, "istiod has bound it")
        share(yard, 50)
        wait_until(lambda: all(split(yard, 20).values()), START_S, "both")
        share(yard, 0)
        wait_until(lambda: split(yard, 6) == {"way": 6, "second": 0}, START_S, "all back")
    except BaseException:
        print(logs(yard, SYSTEM, "deployment/waypointd-deployer"), told(yard, "way"), told(yard, "second"))
        raise
    finally:
        uninstall(yard)


def share(yard: Yard, percent: int) -> None:
    kubectl(yard, "annotate", "--overwrite", "service", "echo", f"istio.io/use-waypoint-canary-weight={percent}")


def split(yard: Yard, count: int) -> dict[str, int]:
    """Which waypoint so many requests of the client went by; all of them were answered."""
    before = {name: served(yard, name) for name in ("way", "second")}
    assert [curl(yard) for _ in range(count)] == ["200"] * count
    wait_until(lambda: sum(served(yard, name) for name in before) == sum(before.values()) + count, START_S, "the log")
    return {name: served(yard, name) - known for name, known in before.items()}


def served(yard: Yard, name: str) -> int:
    return told(yard, name).count('"GET / HTTP/1.1" 200')


def bound(yard: Yard) -> tuple[str, str]:
    """What istiod says of the Service's waypoints."""
    conditions = (yard.there(kinds.SERVICES, "echo").get("status") or {}).get("conditions") or ()
    found = [each for each in conditions if each["type"] == "istio.io/WaypointBound"]
    return (found[0]["status"], found[0]["reason"]) if found else ("", "")


def told(yard: Yard, name: str) -> str:
    return logs(yard, yard.namespace, f"deployment/{name}", "-1")


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
