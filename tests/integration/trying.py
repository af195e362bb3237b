"""A worker that serves one cluster, and is told how often and how long a request is tried."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from proxy.arbiter.listening import listen
from proxy.controller.forms import cluster_form
from proxy.ipc.snapshot import ListenerForm, body, pack
from proxy.mesh.model import Cluster, Endpoint
from proxy.mesh.traffic.retries import RetryPolicy
from tests.integration.http_rig import LINE, Client, Handler, Head, Peer, Scripted
from tests.integration.process_rig import Alone, worker_alone
from tests.rig import free_port, wait_until


class Trying:
    """A worker that serves one cluster, whose endpoints do as they are told."""

    def __init__(self, worker: Alone, count: int) -> None:
        self.worker = worker
        self.socket = listen("127.0.0.1:0")
        network = f"127.{free_port() % 190 + 30}.8"
        port = free_port(f"{network}.1")
        self.members = [Scripted(f"pod-{i}", f"{network}.{i + 1}", port) for i in range(count)]
        self.slot = worker.board.clusters.add("web")
        places = tuple(Endpoint(each.ip, port, each.name) for each in self.members)
        self.slots = [worker.board.endpoints.add(self.slot, each.address, each.workload) for each in places]
        self.cluster = Cluster("web", "web", "web", places)
        self.number = 0

    def under(self, policy: RetryPolicy, *handlers: Handler) -> None:
        """From here on; as many of the endpoints are there as there are handlers."""
        for member, handler in zip(self.members, handlers, strict=True):
            member.play(handler)
        first, self.number = not self.number, self.number + 1
        address = f"127.0.0.1:{self.socket.getsockname()[1]}"
        listener = ListenerForm(
            name="http", address=address, protocol="HTTP", full=True, services={"ns/web": {"web": [b"web"]}}, removed=[]
        )
        form = cluster_form(replace(self.cluster, retries=policy), self.slot, self.slots)
        packed = pack(body(self.number, True, [form], [], [listener]))
        self.worker.apply(self.number, packed, {address: self.socket.fileno()} if first else {})

    def ask(self, *fields: str, method: str = "GET", path: str = "/", text: bytes = b"") -> tuple[Head, bytes]:
        with Client(self.socket.getsockname()[1], 20) as client:
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
        return sum(self.worker.board.endpoints.row(slot).failed for slot in self.slots)

    def attempts(self) -> int:
        return sum(len(each.heads) for each in self.members)


@contextlib.contextmanager
def trying_with(directory: Path, count: int) -> Iterator[Trying]:
    """A worker, and so many endpoints."""
    with worker_alone(directory) as worker, contextlib.ExitStack() as stack:
        made = Trying(worker, count)
        stack.callback(made.socket.close)
        for member in made.members:
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
