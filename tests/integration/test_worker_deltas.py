"""What a worker makes of snapshots that say only what changed, seen by a client: where its requests go."""

import http.client
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.arbiter.listening import listen
from proxy.controller.forms import cluster_form
from proxy.ipc.snapshot import ClusterForm, ListenerForm, RoutesForm, body, pack
from proxy.mesh.model import Cluster
from tests.integration.process_rig import Alone, worker_alone

OPEN, CLOSED, NOWHERE = 503, 403, 404  # a cluster without endpoints, one that is closed, none


class Serving:
    """A worker with one listener, sent one snapshot after the other."""

    def __init__(self, worker: Alone) -> None:
        self.worker = worker
        self.socket = listen("127.0.0.1:0")
        self.port = int(self.socket.getsockname()[1])
        self.address = f"127.0.0.1:{self.port}"
        self.slots = {name: worker.board.clusters.add(name) for name in ("a", "b")}
        self.number = 0

    def cluster(self, name: str, closed: str = "") -> ClusterForm:
        return cluster_form(Cluster(name, name, name, (), closed=closed), self.slots[name], [])

    def listener(
        self, services: dict[str, RoutesForm], removed: tuple[str, ...] = (), full: bool = False, protocol: str = "HTTP"
    ) -> list[ListenerForm]:
        return [
            ListenerForm(
                name="http",
                address=self.address,
                protocol=protocol,
                full=full,
                services=services,
                removed=list(removed),
            )
        ]

    def apply(
        self,
        listeners: list[ListenerForm],
        clusters: tuple[ClusterForm, ...] = (),
        removed: tuple[str, ...] = (),
    ) -> None:
        first, self.number = not self.number, self.number + 1
        sockets = {self.address: self.socket.fileno()} if first else {}
        self.worker.apply(self.number, pack(body(self.number, first, clusters, removed, listeners)), sockets)

    def ask(self, *hosts: str) -> list[int]:
        """The status of a request for each."""
        return [self._ask(host) for host in hosts]

    def _ask(self, host: str) -> int:
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            client.request("GET", "/", headers={"host": host})
            return client.getresponse().status
        finally:
            client.close()


@pytest.fixture
def serving(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Serving]:
    with worker_alone(tmp_path) as worker:
        made = Serving(worker)
        request.addfinalizer(made.socket.close)
        services = {"ns/a": {"a": [b"a", b"a:80"]}, "ns/b": {"b": [b"b", b"shared"]}}
        made.apply(made.listener(services, full=True), (made.cluster("a"), made.cluster("b", "why")))
        assert made.ask("a", "A:80", "b", "shared", "c") == [OPEN, OPEN, CLOSED, CLOSED, NOWHERE]
        yield made


def test_a_cluster_that_changes_takes_its_routes_along(serving: Serving) -> None:
    serving.apply(serving.listener({}), (serving.cluster("a", "why"),))
    assert serving.ask("a", "a:80", "b") == [CLOSED, CLOSED, CLOSED]
    serving.apply(serving.listener({}), (serving.cluster("b"),))
    assert serving.ask("a", "b", "shared") == [CLOSED, OPEN, OPEN]


def test_a_name_moves_from_one_service_to_another(serving: Serving) -> None:
    for order in (("ns/a", "ns/b"), ("ns/b", "ns/a")):
        moved: dict[str, RoutesForm] = {"ns/a": {"a": [b"a", b"shared"]}, "ns/b": {"b": [b"b"]}}
        serving.apply(serving.listener({service: moved[service] for service in order}))
        assert serving.ask("a", "a:80", "shared", "b") == [OPEN, NOWHERE, OPEN, CLOSED]
        back: dict[str, RoutesForm] = {"ns/a": {"a": [b"a"]}, "ns/b": {"b": [b"b", b"shared"]}}
        serving.apply(serving.listener({service: back[service] for service in order}))
        assert serving.ask("shared") == [CLOSED]


def test_a_service_goes_and_comes_back(serving: Serving) -> None:
    serving.apply(serving.listener({}, ("ns/b",)), removed=("b",))
    assert serving.ask("a", "b", "shared") == [OPEN, NOWHERE, NOWHERE]
    serving.apply(serving.listener({"ns/b": {"b": [b"b"]}}), (serving.cluster("b"),))
    assert serving.ask("b", "shared") == [OPEN, NOWHERE]


def test_a_listener_told_whole_has_nothing_else(serving: Serving) -> None:
    serving.apply(serving.listener({"ns/b": {"b": [b"b"]}}, full=True))
    assert serving.ask("a", "b", "shared") == [NOWHERE, CLOSED, NOWHERE]


def test_the_same_again_changes_nothing(serving: Serving) -> None:
    """A snapshot is sent again when its acknowledgement is late."""
    for _ in range(2):
        serving.apply(serving.listener({"ns/b": {"b": [b"b"]}}, ("ns/a",)), (serving.cluster("b"),), ("a",))
        assert serving.ask("a", "b", "shared") == [NOWHERE, OPEN, NOWHERE]


def test_a_listener_that_changes_its_protocol_does_so_on_the_same_socket(serving: Serving) -> None:
    serving.apply(serving.listener({}, full=True, protocol="HBONE"))
    with pytest.raises((http.client.HTTPException, OSError)):
        serving.ask("a")
    serving.apply(serving.listener({"ns/a": {"a": [b"a"]}}, full=True))
    assert serving.ask("a", "b") == [OPEN, NOWHERE]
