"""What people type with kubectl is in force: rules, endpoints, labels, Gateways, of a real API server."""

from __future__ import annotations

import http.client
import re
import subprocess
import sys

import pytest

from proxy.kubernetes.source import kinds
from tests.cluster.api_rig import GATEWAY, RULES, Shop, clusters, in_force_everywhere
from tests.rig import ROOT, Replica, get, wait_until

pytestmark = pytest.mark.api


def status(replica: Replica, host: str) -> int:
    try:
        return get(replica.port, "/hostname", host)[0]
    except (OSError, http.client.HTTPException):
        return 0


def test_rules_endpoints_and_labels_are_in_force(shop: Shop) -> None:
    host = f"pay.{shop.namespace}"
    with shop.replica(workers=2) as replica:
        assert status(replica, host) == 200
        assert len(clusters(replica)["pay:8000"]["endpoints"]) == 3
        shop.put_rule(consecutive5xxErrors=7)
        wait_until(lambda: (clusters(replica)["pay:8000"]["outlier"] or {}).get("consecutive_5xx") == 7, 10)
        shop.put_endpoints(shop.members[:2])
        wait_until(lambda: len(clusters(replica)["pay:8000"]["endpoints"]) == 2, 10)
        shop.put_service("refund")
        wait_until(lambda: status(replica, f"refund.{shop.namespace}") == 200, 10)
        shop.api.patch(
            kinds.SERVICES, "refund", shop.namespace, {"metadata": {"labels": {"istio.io/use-waypoint": "none"}}}
        )
        wait_until(lambda: status(replica, f"refund.{shop.namespace}") == 404, 10)
        shop.api.delete(RULES, "rule", shop.namespace)
        wait_until(lambda: clusters(replica)["pay:8000"]["outlier"] is None, 10)
        wait_until(lambda: in_force_everywhere(replica), 5)
        assert replica.info("/config_dump")["kubernetes"]["troubles"] == []


def test_rules_are_listed_as_kubectl_lists_them(shop: Shop) -> None:
    cluster = f"{shop.namespace}/pay:8000"
    with shop.replica() as replica:
        ctl = (sys.executable, str(ROOT / "bin" / "waypointctl"), "--admin", f"http://127.0.0.1:{replica.admin}")
        before = said(*ctl, "explain", cluster)
        assert (before[0], before[-1]) == ("policy: no DestinationRule", "never ejects: the fleet knows nothing")
        shop.put_rule(consecutive5xxErrors=7, maxEjectionPercent=50)
        wait_until(lambda: (clusters(replica)["pay:8000"]["outlier"] or {}).get("consecutive_5xx") == 7, 10)
        ours = said(*ctl, "get", "destinationrules")
        kubectl = ("kubectl", "--kubeconfig", str(shop.api.cluster.kubeconfig), "-n", shop.namespace)
        theirs = said(*kubectl, "get", "destinationrules")
        age = theirs[0].index("AGE")
        assert ours[0] == theirs[0]
        assert [line[:age] for line in ours] == [line[:age] for line in theirs]
        assert all(re.fullmatch(r"\d+s|\d+m\d*s?", line[age:]) for line in (ours[1], theirs[1])), "seconds old"
        explained = said(*ctl, "explain", cluster)
        assert explained[0] == f"policy of DestinationRule {shop.namespace}/rule"
        where = f"{shop.namespace}/rule spec.trafficPolicy.outlierDetection.consecutive5xxErrors"
        assert f"outlierDetection.consecutive5xxErrors 7 {where}" in " ".join(" ".join(explained).split())


def said(*command: str) -> list[str]:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout.splitlines()


def test_a_gateway_that_is_deleted_is_served_no_more_and_comes_back(shop: Shop) -> None:
    """Somebody who deletes it means it: no grace, as files have."""
    host = f"pay.{shop.namespace}"
    with shop.replica() as replica:
        shop.api.delete(kinds.GATEWAYS, GATEWAY, shop.namespace)
        wait_until(lambda: f"not ready: no Gateway {shop.namespace}/{GATEWAY}" in replica.readiness()[1], 10)
        wait_until(lambda: status(replica, host) == 0, 10, "it is refused")
        shop.put_gateway()
        wait_until(lambda: status(replica, host) == 200, 10)


def test_what_is_bound_from_another_namespace(shop: Shop) -> None:
    """Found by its label, with its own namespace's endpoints; only while the Gateway takes it."""
    api, other = shop.api, f"{shop.namespace}-other"
    api.put(kinds.NAMESPACES, other)
    try:
        bound = {"istio.io/use-waypoint": GATEWAY, "istio.io/use-waypoint-namespace": shop.namespace}
        shop.put_service("ship", other, bound)
        shop.put_service("unbound", other)
        with shop.replica() as replica:
            assert status(replica, f"ship.{other}") == 404
            shop.put_gateway("All")
            wait_until(lambda: status(replica, f"ship.{other}") == 200, 10)
            assert status(replica, f"unbound.{other}") == 404
            shop.api.patch(kinds.NAMESPACES, other, "", {"metadata": {"labels": bound}})
            wait_until(lambda: status(replica, f"unbound.{other}") == 200, 10)
            shop.put_gateway("Same")
            wait_until(lambda: status(replica, f"ship.{other}") == 404, 10)
            assert status(replica, f"pay.{shop.namespace}") == 200
    finally:
        api.delete(kinds.NAMESPACES, other)


def test_check_asks_the_cluster(shop: Shop) -> None:
    """`--check` against the API: what would be served, or which Gateway there is not."""
    program = [sys.executable, str(ROOT / "bin" / "waypointd"), "--check"]

    def check(gateway: str) -> subprocess.CompletedProcess[str]:
        command = [*program, "--kubeconfig", str(shop.api.cluster.kubeconfig), "--gateway", gateway]
        return subprocess.run(command, check=False, capture_output=True, text=True)

    found = check(f"{shop.namespace}/{GATEWAY}")
    assert found.returncode == 0, found.stdout + found.stderr
    assert f"Gateway {shop.namespace}/{GATEWAY}: ports {shop.port} (HTTP); 1 clusters, 3 endpoints" in found.stdout
    missing = check(f"{shop.namespace}/other")
    assert missing.returncode == 1 and "in the cluster" in missing.stdout


def test_a_bad_object_keeps_its_last_good_version(shop: Shop) -> None:
    """The CRD lets through what Istio's own validation refuses: two of one name, say."""
    shop.put_rule(consecutive5xxErrors=7)
    with shop.replica() as replica:
        assert clusters(replica)["pay:8000"]["outlier"]["consecutive_5xx"] == 7
        subsets = [{"name": "a"}, {"name": "a"}]
        shop.api.patch(RULES, "rule", shop.namespace, {"spec": {"host": "*.*", "subsets": subsets}})
        refused = wait_until(lambda: replica.info("/config_dump")["kubernetes"]["refused"], 10)
        assert f"DestinationRule {shop.namespace}/rule" in refused[0]
        assert refused[0].endswith("its last good version stays in force")
        assert clusters(replica)["pay:8000"]["outlier"]["consecutive_5xx"] == 7
        shop.put_endpoints(shop.members[:1])
        wait_until(lambda: len(clusters(replica)["pay:8000"]["endpoints"]) == 1, 10)
        assert replica.ready() and "DestinationRule" in replica.waypoint.errors()
