"""Whatever happens to the API server, no request fails because of it, and the state is right in the end."""

from __future__ import annotations

import json
import os
import signal
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from proxy.kubernetes.source import kinds
from tests.cluster.api_rig import Shop, clusters
from tests.rig import Background, Replica, get, stays, wait_until

pytestmark = pytest.mark.api


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


def test_the_server_killed_and_its_history_gone(shop: Shop) -> None:
    """What changed while it was away is known once it is back, and nothing is dropped meanwhile."""
    cluster = shop.api.cluster
    with shop.replica() as replica, served_all_the_while(replica, shop):
        cluster.stop("kube-apiserver", signal.SIGKILL)
        wait_until(lambda: replica.info("/config_dump")["kubernetes"]["troubles"], 10)
        stays(lambda: replica.ready() and endpoints_of(replica) == 3, 1.0)
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
