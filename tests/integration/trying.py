"""A worker that serves one cluster, and is told how its requests are tried, and what a route does with them."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from proxy.arbiter.listening import listen
from proxy.controller.forms import cluster_form
from proxy.ipc.snapshot import ListenerForm, body, pack
from proxy.mesh.model import Cluster, Endpoint
from proxy.mesh.traffic.retries import RetryPolicy
from proxy.mesh.traffic.routing import Backend, Condition, RouteMatch, RouteRule, Routing
from tests.integration.http_rig import LINE, Client, Handler, Head, Peer, Scripted
from tests.integration.process_rig import Alone, worker_alone
from tests.rig import free_port, wait_until


@dataclass
class Served:
    """A cluster, and its endpoints."""

    cluster: Cluster
    slot: int
    slots: list[int]
    members: list[Scripted]


class Trying:
    """A worker that serves one cluster, whose endpoints do as they are told; and another one, `shadow`, that routes may
    name."""

    def __init__(self, worker: Alone, count: int, shadows: int) -> None:
        self.worker = worker
        self.socket = listen("127.0.0.1:0")
        network = f"127.{free_port() % 190 + 30}"
        self.web, self.shadow = (
            self._serve("web", f"{network}.8", count),
            self._serve("shadow", f"{network}.9", shadows),
        )
        self.members = self.web.members
        self.number = 0

    def _serve(self, name: str, network: str, count: int) -> Served:
        port = free_port(f"{network}.1")
        members = [Scripted(f"{name}-{i}", f"{network}.{i + 1}", port) for i in range(count)]
        places = tuple(Endpoint(each.ip, port, each.name) for each in members)
        slot = self.worker.board.clusters.add(name)
        slots = [self.worker.board.endpoints.add(slot, each.address, each.workload) for each in places]
        return Served(Cluster(name, name, name, places), slot, slots, members)

    def under(self, policy: RetryPolicy, *handlers: Handler) -> None:
        """From here on; as many of the endpoints are there as there are handlers."""
        self._apply(replace(self.web.cluster, retries=policy), *handlers)

    def route(self, rule: RouteRule, *handlers: Handler, conditions: tuple[Condition, ...] = ()) -> None:
        """From here on all requests that meet these conditions are for this rule, and go to the cluster."""
        routing = Routing((RouteMatch(0, conditions),), (replace(rule, backends=(Backend("web"),)),))
        self._apply(replace(self.web.cluster, routing=routing), *handlers)

    def _apply(self, cluster: Cluster, *handlers: Handler) -> None:
        for member, handler in zip(self.members, handlers, strict=True):
            member.play(handler)
        first, self.number = not self.number, self.number + 1
        address = f"127.0.0.1:{self.socket.getsockname()[1]}"
        listener = ListenerForm(
            name="http",
            address=address,
            protocol="HTTP",
            full=True,
            services={"ns/web": {"web": [b"web", b"web:8000"]}},
            removed=[],
        )
        forms = [cluster_form(made, each.slot, each.slots) for made, each in self._made(cluster)]
        packed = pack(body(self.number, True, forms, [], [listener]))
        self.worker.apply(self.number, packed, {address: self.socket.fileno()} if first else {})

    def _made(self, cluster: Cluster) -> list[tuple[Cluster, Served]]:
        return [(cluster, self.web), (self.shadow.cluster, self.shadow)]

    def client(self) -> Client:
        return Client(self.socket.getsockname()[1], 20)

    def ask(self, *fields: str, method: str = "GET", path: str = "/", text: bytes = b"") -> tuple[Head, bytes]:
        with self.client() as client:
            return client.ask("web", path, *fields, method=method, body=text)

    def flags(self, path: str) -> tuple[str, str]:
        """Response flags and details in the line of the one request for it."""
        log = self.worker.access_log
        line = wait_until(lambda: [each for each in log.read_text().splitlines() if f" {path} " in each], 5, path)
        found = LINE.match(line[0])
        assert found, line
        return found["flags"], found["details"]

    def failures(self) -> int:
        """What endpoints were blamed for."""
        return sum(self.worker.board.endpoints.row(slot).failed for slot in self.web.slots)

    def attempts(self) -> int:
        return sum(len(each.heads) for each in self.members)


@contextlib.contextmanager
def trying_with(directory: Path, count: int, shadows: int = 0) -> Iterator[Trying]:
    """A worker, and so many endpoints."""
    with worker_alone(directory) as worker, contextlib.ExitStack() as stack:
        made = Trying(worker, count, shadows)
        stack.callback(made.socket.close)
        for member in [*made.members, *made.shadow.members]:
            member.start()
            stack.callback(member.stop)
        yield made


def closing(peer: Peer) -> None:
    """Takes a request and says nothing."""
    peer.request()


def silent(peer: Peer) -> None:
    peer.request()
    peer.rest()


def unavailable(peer: Peer) -> None:
    peer.request()
    peer.send(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n")
