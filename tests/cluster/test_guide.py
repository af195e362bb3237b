"""The guide, by kubectl, in a cluster with a node and istiod, whose client is captured as the mesh captures it: one Pod
hangs, then another answers 5xx; each is out after three failures in all, shares its traffic, and comes back.

The waypoint is deployed by a Gateway of our class, by istiod, or by hand (`ways`). The client's tunnels go to one of
the waypoint's Pods (kit/standin), so turns are strict with two of them as well.
"""

from __future__ import annotations

import datetime
import re
import subprocess
from collections import Counter
from collections.abc import Iterator

import pytest

from proxy.kubernetes.deployer import kinds
from tests.cluster.api_rig import Api
from tests.cluster.deployer_rig import ROOT, let_capture
from tests.cluster.istiod_site import kubectl
from tests.cluster.ways import WAYS, Way
from tests.rig import wait_until

pytestmark = [pytest.mark.mesh, pytest.mark.timeout(500)]

PATIENCE_S = 90
NAMESPACE, APP, CLIENT, WAYPOINT = "httpbin", "in-ambient", "client-in-ambient", "httpbin-waypoint"
FILES = ROOT / "tests" / "cluster" / "guide"
RULE = ROOT / "conf" / "demo" / "destination-rule.yaml"
TOLD = re.compile(
    r'^(?:\[pod/\S+\] )?\[([^]]+)\] \w+ waypoint outlier (\w+) endpoint .*workload="([^"]+)"', re.MULTILINE
)
"""`kubectl logs` names the Pod first, where it was asked for all."""


def in_httpbin(*words: str, timeout: float = PATIENCE_S) -> str:
    return kubectl("-n", NAMESPACE, *words, timeout=timeout)


def curl() -> str:
    """`kubectl exec deploy/client-in-ambient -- curl ... || echo "request failed"`"""
    asked = ("curl", "-sf", "--max-time", "2", f"http://{APP}:8000/hostname")
    words = ["kubectl", "-n", NAMESPACE, "exec", f"deploy/{CLIENT}", "--", *asked]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return "request failed" if done.returncode else done.stdout.strip()


def curls(count: int) -> list[str]:
    return [curl() for _ in range(count)]


def log() -> str:
    return in_httpbin("logs", f"deployment/{WAYPOINT}", "--all-pods=true", "--tail=-1")


def told(what: str, workload: str) -> list[datetime.datetime]:
    """When `ejecting` or `unejecting` of a Pod was told, by any Pod of the waypoint."""
    found = [when for when, verb, name in TOLD.findall(log()) if (verb, name) == (what, workload)]
    return [datetime.datetime.fromisoformat(each) for each in found]


@pytest.fixture
def namespace(api: Api) -> Iterator[None]:
    if not api.cluster.images or not api.cluster.istiod:
        pytest.skip("the cluster has no node, or no istiod")
    api.until_gone(kinds.NAMESPACES, NAMESPACE, seconds=PATIENCE_S)
    let_capture(api)
    kubectl("create", "namespace", NAMESPACE)
    try:
        yield
    finally:
        kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", timeout=PATIENCE_S)


@pytest.mark.parametrize(
    ("way", "replicas"),
    [
        ("istiod", 2),
        pytest.param("istiod", 1, marks=pytest.mark.slow),
        pytest.param("waypointd", 1, marks=pytest.mark.slow),
        pytest.param("waypointd", 2, marks=pytest.mark.slow),
        pytest.param("hand", 1, marks=pytest.mark.slow),
        pytest.param("hand", 2, marks=pytest.mark.slow),
    ],
)
def test_the_guide(namespace: None, api: Api, way: str, replicas: int) -> None:
    with WAYS[way].prepared(api, replicas):
        try:
            set_up(WAYS[way], replicas)
            pods = balanced()
            ruled()
            hangs(pods[0], WAYS[way], replicas)
            fails(pods[1], replicas)
            ends(WAYS[way])
        except BaseException:
            subprocess.run(["kubectl", "get", "pods", "-A", "-o", "wide"], check=False)
            subprocess.run(["kubectl", "-n", NAMESPACE, "describe", "gateway,deployment"], check=False)
            subprocess.run(["kubectl", "-n", NAMESPACE, "logs", f"deployment/{WAYPOINT}", "--all-pods"], check=False)
            raise


def set_up(way: Way, replicas: int) -> None:
    """The app, three of it, the Gateway, the labels."""
    kubectl("label", "namespace", NAMESPACE, "istio.io/dataplane-mode=ambient")
    in_httpbin("apply", "-f", str(FILES / "app.yaml"))
    in_httpbin("scale", f"deployment/{APP}", "--replicas=3")
    way.apply(replicas)
    kubectl("label", "namespace", NAMESPACE, f"istio.io/use-waypoint={WAYPOINT}")
    wait_until(lambda: WAYPOINT in in_httpbin("get", "deployments"), PATIENCE_S, "the waypoint's Deployment")
    for each in (APP, CLIENT, WAYPOINT):
        in_httpbin("rollout", "status", f"deployment/{each}", f"--timeout={PATIENCE_S}s")
    lines = [line for line in in_httpbin("get", "pods").splitlines() if WAYPOINT in line]
    assert len(lines) == replicas and all(re.search(r"\s1/1\s+Running\s", line) for line in lines), lines
    in_httpbin("wait", "--for=condition=Programmed", f"gateway/{WAYPOINT}", f"--timeout={PATIENCE_S}s")


def balanced() -> list[str]:
    """Twelve requests, in turn; the names of the Pods."""
    wait_until(lambda: curl() and '"GET /hostname HTTP/1.1" 200' in log(), PATIENCE_S, "through the waypoint")
    answers = curls(12)
    assert answers == answers[:3] * 4 and len({*answers}) == 3, answers
    lines = [line for line in log().splitlines() if '"GET /hostname HTTP/1.1" 200 - via_upstream' in line]
    assert len(lines) > 12 and all(f'"{APP}.{NAMESPACE}.svc.cluster.local:8000"' in line for line in lines)
    return answers[:3]


def ruled() -> None:
    """The DestinationRule."""
    in_httpbin("apply", "-f", str(RULE))
    heading, line = in_httpbin("get", "destinationrule").splitlines()
    assert heading.split() == ["NAME", "HOST", "AGE"]
    assert line.split()[:2] == ["in-ambient-failover", APP]


def hangs(victim: str, way: Way, replicas: int) -> None:
    """A Pod that hangs is out after three requests that were given up, in all Pods of the waypoint, for 30 s."""
    in_httpbin("exec", victim, "--", "pkill", "-STOP", "-f", "demo.endpoint")
    answers = curls(15)
    assert answers.count("request failed") == 3 and answers[-3:].count("request failed") == 0, answers
    wait_until(lambda: len(told("ejecting", victim)) == replicas, PATIENCE_S, "the line in every log")
    (key,) = ejected(way)
    assert f"{NAMESPACE}/{APP}:8000" in key
    shared(victim)
    in_httpbin("exec", victim, "--", "pkill", "-CONT", "-f", "demo.endpoint")
    wait_until(lambda: told("unejecting", victim), PATIENCE_S, "it is back")
    out = min(told("unejecting", victim)) - min(told("ejecting", victim))
    assert 29 < out.total_seconds() < 33, "30 s, exactly but for when it is told"
    assert sorted(Counter(curls(12)).values()) == [4, 4, 4]


def ejected(way: Way) -> list[str]:
    """The keys of what is out, as Redis has them."""
    namespace, pod = way.redis
    password = 'f=/etc/redis-password/password; [ ! -f $f ] || export REDISCLI_AUTH="$(cat $f)"'
    scan = f"{password}; redis-cli --scan --pattern '*:eject:*'"
    return kubectl("-n", namespace, "exec", pod, "--", "sh", "-c", scan).splitlines()


def fails(victim: str, replicas: int) -> None:
    """A Pod that answers 503 is out after three of them."""
    in_httpbin("exec", victim, "--", "pkill", "-USR1", "-f", "demo.endpoint")
    answers = curls(12)
    assert answers.count("request failed") == 3, answers
    wait_until(lambda: len(told("ejecting", victim)) == replicas, PATIENCE_S, "the line in every log")
    lines = [line for line in log().splitlines() if re.search(r" 503 |outlier", line)]
    assert sum(" 503 - via_upstream " in line for line in lines) == 3
    shared(victim)


def shared(victim: str) -> None:
    """The two others have its traffic."""
    found = Counter(curls(10))
    assert sorted(found.values()) == [5, 5] and victim not in found, found


def ends(way: Way) -> None:
    """Without the rule, and with it mended, all three; without the Gateway straight to the Pods."""
    for pod in in_httpbin("get", "pods", "-l", f"app={APP}", "-o", "name").splitlines():
        in_httpbin("exec", pod, "--", "pkill", "-USR2", "-f", "demo.endpoint")
    in_httpbin("delete", "destinationrule", "in-ambient-failover")
    wait_until(lambda: "reason=rule_deleted" in log(), PATIENCE_S, "lifted with the rule")
    assert sorted(Counter(curls(12)).values()) == [4, 4, 4]
    in_httpbin("delete", "gateway", WAYPOINT)
    if way.gateway_class:
        wait_until(lambda: WAYPOINT not in in_httpbin("get", "deployments"), PATIENCE_S, "its Deployment goes with it")
    wait_until(lambda: curl() != "request failed", PATIENCE_S, "without a waypoint")
    kubectl("delete", "namespace", NAMESPACE, timeout=PATIENCE_S)
