"""A worker alone whose frontend `web` is told where its requests go; its own endpoint is one among the backends."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from proxy.arbiter.listening import listen
from proxy.controller.forms import cluster_form
from proxy.ipc.snapshot import ListenerForm, body, pack
from proxy.mesh.model import Cluster, Endpoint
from proxy.mesh.traffic.access import AccessPolicy
from proxy.mesh.traffic.routing import Backend, Condition, Op, Part, RouteMatch, RouteRule, Routing
from tests.hbone.stream import Stream
from tests.integration.hbone_rig import h2_app
from tests.integration.http_rig import Client, Head, Peer, Scripted
from tests.integration.process_rig import Alone, worker_alone
from tests.rig import free_port

NAMES = ("web", "v1", "v2", "h2")


def under(prefix: str, rule: RouteRule) -> tuple[Condition, RouteRule]:
    """The rule is for what is below that path."""
    return Condition(Part.PATH, Op.SEGMENTS, prefix), rule


def to(*backends: Backend | str, **fields: Any) -> RouteRule:
    """A rule that sends requests there."""
    made = tuple(each if isinstance(each, Backend) else Backend(each) for each in backends)
    return RouteRule("HTTPRoute shop/web rule 0", made, **fields)


def named(peer: Peer) -> None:
    """Says who it is."""
    while True:
        peer.request()
        text = peer.endpoint.name.encode()
        peer.send(b"HTTP/1.1 200 OK\r\nX-Old: 1\r\ncontent-length: %d\r\n\r\n%s" % (len(text), text))


def named_over_h2(stream: Stream) -> None:
    """Says what it was asked."""
    while stream.recv(1 << 18):
        pass
    stream.connection.respond(stream, [(":status", "200"), ("x-old", "1")])
    stream.sendall(repr(sorted(stream.headers.items())).encode())
    stream.finish()


class Routed:
    """The worker, a listener, and a cluster of one endpoint for each name, of which `h2` speaks HTTP/2."""

    def __init__(self, worker: Alone) -> None:
        self.worker = worker
        self.socket = listen("127.0.0.1:0")
        network = f"127.{free_port() % 190 + 30}.9"
        port = free_port(f"{network}.1")
        self.endpoints = {name: Scripted(name, f"{network}.{at + 1}", port) for at, name in enumerate(NAMES)}
        self.slots = {name: worker.board.clusters.add(name) for name in NAMES}
        self.places = {name: Endpoint(each.ip, port, name) for name, each in self.endpoints.items()}
        self.rows = {
            name: worker.board.endpoints.add(self.slots[name], each.address, name) for name, each in self.places.items()
        }
        self.number = 0

    @property
    def port(self) -> int:
        return int(self.socket.getsockname()[1])

    def obey(self, *rules: tuple[Condition, RouteRule], access: tuple[AccessPolicy, ...] = ()) -> None:
        """From here on; `access`: who gets in to `web`."""
        matches = tuple(RouteMatch(at, (condition,)) for at, (condition, _) in enumerate(rules))
        routing = Routing(matches, tuple(rule for _, rule in rules))
        first, self.number = not self.number, self.number + 1
        address = f"127.0.0.1:{self.port}"
        names = {name: [name.encode()] for name in NAMES}
        listener = ListenerForm(
            name="http", address=address, protocol="HTTP", full=True, services={"ns/web": names}, removed=[]
        )
        forms = []
        for name in NAMES:
            plan, protocol = routing if name == "web" else None, "http2" if name == "h2" else "http"
            mine = access if name == "web" else ()
            made = Cluster(name, name, f"{name}:80", (self.places[name],), protocol=protocol, routing=plan, access=mine)
            forms.append(cluster_form(made, self.slots[name], [self.rows[name]]))
        packed = pack(body(self.number, True, forms, [], [listener]))
        self.worker.apply(self.number, packed, {address: self.socket.fileno()} if first else {})

    def ask(self, path: str, *fields: str, method: str = "GET", host: str = "web") -> tuple[Head, bytes]:
        with Client(self.port, 20) as client:
            return client.ask(host, path, *fields, method=method)

    def seen(self, name: str) -> Head:
        """The head that the endpoint got last."""
        return self.endpoints[name].heads[-1]


@contextlib.contextmanager
def routed(directory: Path) -> Iterator[Routed]:
    """All endpoints are there, and say who they are."""
    with worker_alone(directory) as worker, contextlib.ExitStack() as stack:
        made = Routed(worker)
        stack.callback(made.socket.close)
        for each in made.endpoints.values():
            each.start()
            each.play(h2_app(named_over_h2) if each.name == "h2" else named)
            stack.callback(each.stop)
        yield made
