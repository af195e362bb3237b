"""A replica with an HBONE listener between a ztunnel and destinations, all of the test's own loopback network.

Services are given as `Served`; their endpoints are `Scripted` apps, each behind a `Destination` if captured.
"""

import contextlib
import random
import re
import socket
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.hbone.destination import Destination
from tests.hbone.http2 import Connection
from tests.hbone.identities import Authority, Leaf, install
from tests.hbone.stream import Headers, Stream
from tests.hbone.ztunnel import Ztunnel
from tests.integration.http_rig import Bench, Client, Handler, Peer, Scripted, Wire
from tests.manifests import Manifests, gateway, namespace, pod
from tests.rig import free_port, replica, wait_until

Json = dict[str, Any]
H2 = {2: 0, 3: 1000, 4: 1 << 20}
DOMAIN = "httpbin.svc.cluster.local"


@contextlib.contextmanager
def network() -> Iterator[str]:
    """The first three bytes of a loopback network that no other test has now: "127.88.7"."""
    while True:
        prefix = f"127.{random.randrange(30, 250)}.{random.randrange(256)}"
        with contextlib.suppress(OSError), socket.create_server((f"{prefix}.254", 15008)):
            yield prefix
            return


@dataclass(frozen=True)
class Served:
    """A Service with one port. Empty `port_name` and `app_protocol`: its protocol is not declared."""

    name: str
    port: int = 8000
    port_name: str = "http"
    app_protocol: str = ""
    hbone: bool = True
    count: int = 1
    rule: Json | None = None


class TunnelClient(Client):
    """HTTP/1.1 over a tunnel."""

    def __init__(self, stream: Stream) -> None:
        Wire.__init__(self, stream)
        self.stream = stream


@dataclass
class Mesh:
    """The mesh's CA, and the files of the replica's certificate."""

    directory: Path
    ca: Authority = field(default_factory=Authority)
    account: str = "in-ambient"

    def __post_init__(self) -> None:
        self.client = self.ca.leaf("client-in-ambient")
        self.endpoint = self.ca.leaf(self.account)
        self.renew()

    def renew(self, leaf: Leaf | None = None, roots: bytes = b"") -> None:
        """Another certificate for the replica."""
        install(self.directory, leaf or self.ca.leaf("httpbin-waypoint"), roots or self.ca.root)

    def ztunnel(self, *waypoints: tuple[str, int], pod: str = "", leaf: Leaf | None = None) -> Ztunnel:
        return Ztunnel(list(waypoints), leaf or self.client, self.ca.root, pod)


# -- manifests --------------------------------------------------------------------------------------------------------


def service(served: Served, vips: list[str]) -> Json:
    port: Json = {"name": served.port_name or "data", "port": served.port, "targetPort": 8080}
    if served.app_protocol:
        port["appProtocol"] = served.app_protocol
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": served.name, "namespace": "httpbin"},
        "spec": {"clusterIP": vips[0], "clusterIPs": vips, "ports": [port]},
    }


def slice_of(served: Served, members: list[Scripted]) -> Json:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": served.name,
            "namespace": "httpbin",
            "labels": {"kubernetes.io/service-name": served.name},
        },
        "addressType": "IPv6" if members and ":" in members[0].ip else "IPv4",
        "ports": [{"name": served.port_name or "data", "port": members[0].port if members else 8080}],
        "endpoints": [
            {
                "addresses": [member.ip],
                "conditions": {"ready": True},
                "targetRef": {"kind": "Pod", "namespace": "httpbin", "name": member.name},
            }
            for member in members
        ],
    }


def outlier_rule(name: str, **changes: Any) -> Json:
    detection = {"consecutive5xxErrors": 3, "interval": "10s", "baseEjectionTime": "30s", "maxEjectionPercent": 50}
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": {"name": name, "namespace": "httpbin"},
        "spec": {"host": name, "trafficPolicy": {"outlierDetection": detection | changes}},
    }


# -- apps -------------------------------------------------------------------------------------------------------------


def serve_name(peer: Peer) -> None:
    """Answers everything with the endpoint's name."""
    name = peer.endpoint.name.encode()
    while True:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(name), name))


def echo(peer: Peer) -> None:
    """Repeats bytes; says so when they end."""
    while peer.more():
        data, peer.buffer = peer.buffer, b""
        peer.send(data)
    peer.send(b"END")


def h2_client(over: socket.socket | Stream) -> Connection:
    """An HTTP/2 connection with prior knowledge, over a tunnel or a socket."""
    return Connection(over, None, server=False, settings=H2, window=1 << 24)


def h2_headers(path: str, authority: str = "web", method: str = "GET", **more: str) -> Headers:
    fields = [(":method", method), (":scheme", "http"), (":authority", authority), (":path", path)]
    return fields + [(name.replace("_", "-"), value) for name, value in more.items()]


def h2_app(serve: Callable[[Stream], None]) -> Handler:
    """An h2c app: `serve(stream)` runs in a thread for each request."""

    def handler(peer: Peer) -> None:
        made = Connection(peer.sock, None, server=True, settings=H2, window=1 << 24, serve=serve)
        peer.endpoint.connections.append(made)
        made.wait_until(lambda one: one.closed, 120)

    return handler


def h2_name(stream: Stream) -> None:
    """Reads the request, answers with its path."""
    while stream.recv(1 << 18):
        pass
    stream.connection.respond(stream, [(":status", "200"), ("x-protocol", "h2")])
    stream.sendall(stream.headers[":path"].encode())
    stream.finish()


# -- the bench --------------------------------------------------------------------------------------------------------


@dataclass
class HboneBench(Bench):
    """`Bench` over HBONE: clients are tunnels."""

    mesh: Mesh
    served: dict[str, Served]
    vips: dict[str, list[str]]
    destinations: dict[str, Destination]
    ztunnel: Ztunnel
    http: int = 0

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.replica.port

    def authority(self, name: str, family: int = 4) -> str:
        """VIP:port of a Service."""
        port, vips = self.served[name].port, self.vips[name]
        return f"{vips[0]}:{port}" if family == 4 else f"[{vips[1]}]:{port}"

    def host(self, name: str) -> str:
        return f"{name}.{DOMAIN}"

    def tunnel(self, name: str, **more: Any) -> Stream:
        """A tunnel to a Service, or to an authority (whatever has a colon)."""
        return self.ztunnel.tunnel(name if ":" in name else self.authority(name), **more)

    def client(self, name: str = "web", timeout: float = 10.0, **more: Any) -> TunnelClient:  # type: ignore[override]
        made = TunnelClient(self.tunnel(name, **more))
        made.sock.settimeout(timeout)
        return made

    def ask(self, name: str, path: str = "/", count: int = 1) -> list[str]:
        """Requests over tunnels of their own: the bodies of 200s, else the statuses."""
        return [self._ask(name, path) for _ in range(count)]

    def _ask(self, name: str, path: str) -> str:
        with self.client(name) as client:
            head, body = client.ask("any", path)
            return body.decode() if head.status == 200 else str(head.status)

    def destination(self, endpoint: Scripted) -> Destination:
        return self.destinations[endpoint.ip]

    def row(self, service: str) -> list[Json]:
        wanted = f"httpbin/{service}:{self.served[service].port}"
        for cluster in self.replica.info("/clusters"):
            if cluster["name"] == wanted:
                return list(cluster["endpoints"])
        raise AssertionError(wanted)

    def ejected(self, service: str) -> list[str]:
        return [row["address"] for row in self.row(service) if row["ejected_left_ms"] > 0]

    def put(self, served: Served, members: list[Scripted]) -> None:
        """Writes the manifests of a Service."""
        for member in members:
            self.manifests.put(f"pod-{member.name}", pod(member.name, member.ip, captured=served.hbone))
        if served.rule:
            self.manifests.put(f"rule-{served.name}", served.rule)
        self.manifests.put(f"slice-{served.name}", slice_of(served, members))
        self.manifests.put(f"service-{served.name}", service(served, self.vips[served.name]))

    def told(self, *words: str, seconds: float = 3.0) -> str:
        """The first line of the log or of standard error that has all these words."""

        def found() -> str:
            lines = self.waypoint.lines() + self.waypoint.errors().splitlines()
            return next((line for line in lines if all(word in line for word in words)), "")

        return str(wait_until(found, seconds, f"a line with {words}"))


@contextlib.contextmanager
def apps(stack: contextlib.ExitStack, prefix: str, served: list[Served]) -> Iterator[dict[str, list[Scripted]]]:
    made: dict[str, list[Scripted]] = {}
    last = 0
    for one in served:
        port = free_port(f"{prefix}.1")
        made[one.name] = []
        for number in range(one.count):
            last += 1
            endpoint = Scripted(f"{one.name}-{number + 1}", f"{prefix}.{last}", port)
            endpoint.start()
            stack.callback(endpoint.stop)
            made[one.name].append(endpoint)
    yield made


@contextlib.contextmanager
def hbone_bench(
    directory: Path,
    *served: Served,
    workers: int = 1,
    http: bool = False,
    ztunnels: bool = True,
    args: tuple[str, ...] = (),
) -> Iterator[HboneBench]:
    """A ready replica; `http` adds a plain listener to the Gateway; without `ztunnels`, 15008 is free."""
    with contextlib.ExitStack() as stack:
        prefix = stack.enter_context(network())
        mesh = Mesh(directory / "tls")
        path = stack.enter_context(tempfile.TemporaryDirectory())
        manifests = Manifests(Path(path))
        members = stack.enter_context(apps(stack, prefix, list(served)))
        destinations = {}
        for one in served:
            for member in members[one.name] if one.hbone and ztunnels else ():
                made = Destination(member.ip, mesh.endpoint, mesh.ca.root)
                destinations[member.ip] = stack.enter_context(made)
        port, plain = free_port(), free_port() if http else 0
        tunnels = stack.enter_context(mesh.ztunnel(("127.0.0.1", port), pod=f"{prefix}.200"))
        vips = {one.name: [f"10.96.0.{i + 1}", f"fd00:96::{i + 1:x}"] for i, one in enumerate(served)}
        names = {one.name: one for one in served}
        later: Any = None
        bench = HboneBench(later, members, manifests, mesh, names, vips, destinations, tunnels, plain)
        manifests.put("namespace", namespace())
        manifests.put("gateway", gateway(plain, port))
        for one in served:
            bench.put(one, members[one.name])
        options = ("--tls-dir", str(mesh.directory), *args)
        bench.replica = stack.enter_context(replica(directory, manifests, port, *options, workers=workers))
        yield bench
        assert "Traceback" not in bench.waypoint.errors(), bench.waypoint.errors()


TCP_LINE = re.compile(
    r'^\[(?P<time>[^]]+)\] "- - -" 0 (?P<flags>\S+) (?P<details>\S+) (?P<termination>\S+) "(?P<transport>[^"]*)" '
    r'(?P<received>\d+) (?P<sent>\d+) (?P<duration>\d+) - "-" "-" "-" "(?P<authority>[^"]*)" "(?P<host>[^"]*)" '
    r"(?P<cluster>\S+) (?P<local>\S+) (?P<downstream>\S+) (?P<remote>\S+) - (?P<route>\S+)$"
)
CONNECT_LINE = re.compile(
    r'^\[(?P<time>[^]]+)\] "(?P<method>\S+) (?P<path>\S+) HTTP/2" (?P<status>\d+) (?P<flags>\S+) (?P<details>\S+) - '
    r'"(?P<transport>[^"]*)" 0 \d+ \d+ - "-" "(?P<agent>[^"]*)" "(?P<id>[^"]*)" "(?P<authority>[^"]*)" "-" '
    r"(?P<cluster>\S+) (?P<local>\S+) (?P<downstream>\S+) (?P<remote>\S+) - (?P<route>\S+)$"
)


def fields(pattern: re.Pattern[str], line: str) -> dict[str, str]:
    match = pattern.match(line)
    assert match, line
    return match.groupdict()
