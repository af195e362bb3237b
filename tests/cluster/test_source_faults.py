"""Whatever happens to the API server, no request fails because of it, and the state is right in the end."""

from __future__ import annotations

import http.client
import json
import os
import signal
import ssl
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

import pytest

from proxy.kubernetes.api import kubeconfig
from proxy.kubernetes.api.client import Client
from proxy.kubernetes.api.faults import ApiFault
from proxy.kubernetes.api.resources import Resource
from proxy.kubernetes.source import kinds
from tests.cluster.api_rig import Shop, clusters
from tests.rig import Background, Replica, get, stays, wait_until

pytestmark = pytest.mark.api

_FLOWS = "flowcontrol.apiserver.k8s.io"
LEVELS = Resource(_FLOWS, "v1", "prioritylevelconfigurations", "PriorityLevelConfiguration", namespaced=False)
SCHEMAS = Resource(_FLOWS, "v1", "flowschemas", "FlowSchema", namespaced=False)


class Requests(Background):
    """One after another, until the block ends."""

    def __init__(self, replica: Replica, host: str) -> None:
        super().__init__(self._run)
        self.answers: list[int] = []
        self._replica, self._host = replica, host
        self._paced = threading.Event()

    def _run(self) -> None:
        while not self.stopping.is_set():
            self.answers.append(get(self._replica.port, "/hostname", self._host)[0])
            self._paced.wait(0.01)


@contextmanager
def served_all_the_while(replica: Replica, shop: Shop) -> Iterator[None]:
    with Requests(replica, f"pay.{shop.namespace}") as requests:
        yield
    assert len(requests.answers) > 10 and set(requests.answers) == {200}


def endpoints_of(replica: Replica) -> int:
    return len(clusters(replica)["pay:8000"]["endpoints"])


def compact(shop: Shop) -> None:
    """Nobody can go on from what he knows: 410 Gone."""
    url = f"http://127.0.0.1:{shop.api.cluster.etcd_port}/v3/kv"

    def post(what: str, body: dict[str, object]) -> dict[str, dict[str, str]]:
        request = urllib.request.Request(f"{url}/{what}", json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=10) as answer:
            found: dict[str, dict[str, str]] = json.load(answer)
            return found

    revision = post("range", {"key": "AA=="})["header"]["revision"]
    post("compaction", {"revision": revision, "physical": True})


@pytest.mark.parametrize("away_s", [1.0, pytest.param(60.0, marks=[pytest.mark.slow, pytest.mark.timeout(400)])])
def test_the_server_killed_and_its_history_gone(shop: Shop, away_s: float) -> None:
    """What changed while it was away is known once it is back, and nothing is dropped meanwhile."""
    cluster = shop.api.cluster
    with shop.replica() as replica, served_all_the_while(replica, shop):
        cluster.stop("kube-apiserver", signal.SIGKILL)
        wait_until(lambda: replica.info("/config_dump")["kubernetes"]["troubles"], 10)
        stays(lambda: replica.ready() and endpoints_of(replica) == 3, away_s)
        cluster.start("kube-apiserver")
        shop.put_endpoints(shop.members[:2])
        wait_until(lambda: endpoints_of(replica) == 2, 40)
        cluster.stop("kube-apiserver", signal.SIGKILL)
        compact(shop)
        cluster.start("kube-apiserver")
        shop.put_endpoints(shop.members)
        wait_until(lambda: endpoints_of(replica) == 3, 40)
        wait_until(lambda: not replica.info("/config_dump")["kubernetes"]["troubles"], 60)


def test_a_server_that_stands_still(shop: Shop) -> None:
    pid = shop.api.cluster.pid("kube-apiserver")
    assert pid
    with shop.replica() as replica, served_all_the_while(replica, shop):
        os.kill(pid, signal.SIGSTOP)
        try:
            stays(lambda: replica.ready() and endpoints_of(replica) == 3, 2.0)
        finally:
            os.kill(pid, signal.SIGCONT)
        shop.put_endpoints(shop.members[:1])
        wait_until(lambda: endpoints_of(replica) == 1, 20)


class Crowd:
    """The API server has one seat for all accounts of the namespace, and it is taken: 429 with Retry-After for the rest
    (API Priority and Fairness)."""

    def __init__(self, shop: Shop) -> None:
        self._shop, self._token = shop, shop.api.token(shop.namespace, "way")
        self._sitting: http.client.HTTPSConnection | None = None

    def __enter__(self) -> Self:
        api, name = self._shop.api, self._shop.namespace
        limited = {"nominalConcurrencyShares": 0, "borrowingLimitPercent": 0, "limitResponse": {"type": "Reject"}}
        api.put(LEVELS, name, spec={"type": "Limited", "limited": limited})
        account = {"kind": "ServiceAccount", "serviceAccount": {"namespace": name, "name": "*"}}
        everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": True, "namespaces": ["*"]}
        rules = [{"subjects": [account], "resourceRules": [everything]}]
        api.put(
            SCHEMAS, name, spec={"matchingPrecedence": 10, "priorityLevelConfiguration": {"name": name}, "rules": rules}
        )
        return self

    def __exit__(self, *exc: object) -> None:
        self.leave()
        self._shop.api.delete(SCHEMAS, self._shop.namespace)
        self._shop.api.delete(LEVELS, self._shop.namespace)

    def sits(self) -> bool:
        """Take the seat, with a request that does not end; whether the next one is refused."""
        self.leave()
        self._sitting = http.client.HTTPSConnection("127.0.0.1", self._shop.api.cluster.port, context=_trusting())
        self._sitting.putrequest("POST", f"/api/v1/namespaces/{self._shop.namespace}/events")
        head = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json", "Content-Length": "9"}
        for name, value in head.items():
            self._sitting.putheader(name, value)
        self._sitting.endheaders()
        try:
            Client(kubeconfig.load([str(self._shop.folder / "kubeconfig")])).get(
                kinds.SERVICES.path(self._shop.namespace)
            )
        except ApiFault as fault:
            return fault.status == 429 and fault.retry_after_s > 0
        return False

    def leave(self) -> None:
        """The seat."""
        if self._sitting:
            self._sitting.close()


def _trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """The process stands still."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_server_that_asks_to_wait(shop: Shop) -> None:
    """429: what is known stays, and is followed again once there is room."""
    cluster, config = shop.api.cluster, shop.grant()
    with shop.replica(config=config) as replica, served_all_the_while(replica, shop):
        with Crowd(shop) as crowd:
            with stopped(replica.info()["controller_pid"]):
                # Watches that are open would stay so; and a server that has just begun does not know its limits yet.
                cluster.stop("kube-apiserver", signal.SIGKILL)
                cluster.start("kube-apiserver")
                wait_until(crowd.sits, 40, "429")
            wait_until(lambda: "429" in str(replica.info("/config_dump")["kubernetes"]["troubles"]), 40)
            shop.put_endpoints(shop.members[:2])
            stays(lambda: replica.ready() and endpoints_of(replica) == 3, 1.0)
        wait_until(lambda: endpoints_of(replica) == 2, 60)
        wait_until(lambda: not replica.info("/config_dump")["kubernetes"]["troubles"], 60)


def test_exact_rights_and_what_is_said_without_one(shop: Shop) -> None:
    """A waypoint's own account reads what it needs. A right that is taken away is named, and changes nothing."""
    config = shop.grant()
    with shop.replica(config=config) as replica:
        assert replica.info("/config_dump")["kubernetes"]["troubles"] == []
        with served_all_the_while(replica, shop):
            shop.grant_role("endpointslices")
            shop.api.cluster.stop(
                "kube-apiserver", signal.SIGKILL
            )  # an open watch is not ended by a right that is gone
            shop.api.cluster.start("kube-apiserver")
            wait_until(lambda: "endpointslices" in str(replica.info("/config_dump")["kubernetes"]["troubles"]), 40)
            (said,) = [each for each in replica.info("/config_dump")["kubernetes"]["troubles"] if "endpointsl" in each]
            rule = '{apiGroups: ["discovery.k8s.io"], resources: [endpointslices], verbs: [get, list, watch]}'
            assert f"it takes the rule {rule} in a Role of namespace {shop.namespace}" in said
            assert replica.ready() and endpoints_of(replica) == 3
            shop.grant_role()
            shop.put_endpoints(shop.members[:2])
            wait_until(lambda: endpoints_of(replica) == 2, 60)


def test_a_replica_without_a_right_says_which_it_lacks(shop: Shop) -> None:
    config = shop.grant()
    shop.grant_role("pods")
    with shop.replica(config=config, ready=False) as replica:
        wait_until(lambda: "resources: [pods]" in replica.readiness()[1], 15)
        assert replica.readiness()[0] == 503
        shop.grant_role()
        wait_until(replica.ready, 60)


def test_the_token_is_followed(shop: Shop) -> None:
    """An old one is refused: 401, until the file has another."""
    config = shop.grant()
    with shop.replica(config=config) as replica, served_all_the_while(replica, shop):
        (shop.folder / "token").write_text("of no use")
        shop.api.cluster.stop("kube-apiserver", signal.SIGKILL)
        shop.api.cluster.start("kube-apiserver")
        wait_until(lambda: "401" in str(replica.info("/config_dump")["kubernetes"]["troubles"]), 40)
        assert replica.ready()
        (shop.folder / "token").write_text(shop.api.token(shop.namespace, "way"))
        wait_until(lambda: not replica.info("/config_dump")["kubernetes"]["troubles"], 60)
        shop.put_endpoints(shop.members[:2])
        wait_until(lambda: endpoints_of(replica) == 2, 10)


def test_a_namespace_deleted_and_made_again(shop: Shop) -> None:
    api, other = shop.api, f"{shop.namespace}-again"
    bound = {"istio.io/use-waypoint": "way", "istio.io/use-waypoint-namespace": shop.namespace}
    shop.put_gateway("All")
    with shop.replica() as replica, served_all_the_while(replica, shop):
        for _ in range(2):
            api.put(kinds.NAMESPACES, other, labels=bound)
            shop.put_service("ship", other)
            wait_until(lambda: get(replica.port, "/hostname", f"ship.{other}")[0] == 200, 15)
            api.delete(kinds.NAMESPACES, other)
            api.until_gone(kinds.NAMESPACES, other)
            wait_until(lambda: get(replica.port, "/hostname", f"ship.{other}")[0] == 404, 15)
