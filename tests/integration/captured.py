"""Endpoints of one Service behind a plain HTTP listener, captured or not: apps, a ztunnel's destination side before
each that is captured, and a replica with a certificate."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.hbone.destination import Destination
from tests.hbone.http2 import Connection
from tests.hbone.identities import Authority, Leaf, install
from tests.hbone.stream import Stream
from tests.integration.hbone_rig import H2, network, outlier_rule, serve_name
from tests.integration.http_rig import LINE, Client, Handler, Peer, Scripted
from tests.manifests import Manifests, gateway, namespace, pod
from tests.rig import Replica, free_port, replica, wait_until

CA = Authority()
WAYPOINT = "httpbin-waypoint"
Json = dict[str, Any]


def h2_app(serve: Callable[[Stream, Scripted], None], settings: dict[int, int] | None = None) -> Handler:
    """An h2c app: `serve` runs in a thread for each request. Its connections are in `endpoint.connections`."""

    def handler(peer: Peer) -> None:
        known = threading.Event()

        def take(stream: Stream) -> None:
            known.wait()  # a request may be here before its connection is known
            serve(stream, peer.endpoint)

        made = Connection(
            peer.sock,
            None,
            server=True,
            settings=H2 | (settings or {}),
            window=1 << 24,
            serve=take,
        )
        peer.endpoint.connections.append(made)
        known.set()
        made.wait_until(lambda one: one.closed, 120)

    return handler


def h2_name(stream: Stream, endpoint: Scripted) -> None:
    """Answers with the endpoint's name, over HTTP/2."""
    while stream.recv(1 << 18):
        pass
    stream.connection.respond(stream, [(":status", "200"), ("x-protocol", "h2")])
    stream.sendall(endpoint.name.encode())
    stream.finish()


# -- manifests --------------------------------------------------------------------------------------------------------


def service(port_name: str) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "httpbin"},
        "spec": {"clusterIP": "10.96.0.1", "ports": [{"name": port_name, "port": 8000, "targetPort": 8080}]},
    }


def slice_of(members: list[Scripted], port_name: str) -> Json:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "web", "namespace": "httpbin", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "ports": [{"name": port_name, "port": members[0].port if members else 8080}],
        "endpoints": [
            {
                "addresses": [member.ip],
                "conditions": {"ready": True},
                "targetRef": {"kind": "Pod", "namespace": "httpbin", "name": member.name},
            }
            for member in members
        ],
    }


def rule(connect_timeout: str, **changes: Any) -> Json:
    made = outlier_rule("web", **changes)
    made["spec"]["trafficPolicy"]["connectionPool"] = {"tcp": {"connectTimeout": connect_timeout}}
    return made


# -- the whole --------------------------------------------------------------------------------------------------------


@dataclass
class Captured:
    """A replica and its endpoints; `doors` are the ztunnels before them, if there are any."""

    replica: Replica
    manifests: Manifests
    tls: Path
    members: list[Scripted]
    doors: list[Destination]
    port_name: str

    def ask(self, path: str = "/", *fields: str, method: str = "GET", body: bytes = b"") -> str:
        """One request on a new connection: the answer's body, or its status if that is not 200."""
        with Client(self.replica.port) as client:
            head, text = client.ask("web", path, *fields, method=method, body=body)
            return text.decode() if head.status == 200 else str(head.status)

    def asked(self, count: int) -> list[str]:
        return [self.ask() for _ in range(count)]

    def connections(self) -> list[Connection]:
        """What the doors have accepted and not lost."""
        return [connection for door in self.doors for connection in door.alive()]

    def line(self, path: str) -> dict[str, str]:
        found = wait_until(lambda: self.replica.waypoint.lines(f" {path} "), 3, f"a line with {path}")[0]
        match = LINE.match(found)
        assert match, found
        return match.groupdict()

    def row(self, member: Scripted) -> Json:
        rows = (row for cluster in self.replica.info("/clusters") for row in cluster["endpoints"])
        return next(row for row in rows if row["address"] == member.address)

    def members_are(self, *members: Scripted) -> None:
        """The Service has these endpoints from now on."""
        self.replica.serve(lambda: self.manifests.put("slice", slice_of(list(members), self.port_name)))

    def renew(self, leaf: Leaf | None = None) -> None:
        """Another certificate for the replica."""
        install(self.tls, leaf or CA.leaf(WAYPOINT), CA.root)


@contextlib.contextmanager
def captured(
    directory: Path,
    count: int = 3,
    *,
    workers: int = 1,
    handler: Handler = serve_name,
    leaf: Leaf | None = None,
    doors: bool = True,
    door: type[Destination] = Destination,
    hbone: bool = True,
    settings: dict[int, int] | None = None,
    account: str = "in-ambient",
    port_name: str = "http",
    connect_timeout: str = "2s",
    own: bool | None = True,
    more: tuple[str, ...] = (),
    pool: Mapping[str, Any] | None = None,
    tcp: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Iterator[Captured]:
    """`leaf`: what the pods' ztunnels present. Without `doors` nothing is on their port 15008; without `hbone` the pods
    are not captured; without `own` the replica has no certificate, with None it is not told of any. `more` are its
    options, `pool` and `tcp` are of the rule's connectionPool, `changes` of the outlierDetection."""
    with contextlib.ExitStack() as stack:
        prefix, listener = stack.enter_context(network()), free_port()
        port = free_port(f"{prefix}.1")
        members = [Scripted(f"web-{i}", f"{prefix}.{i + 1}", port) for i in range(count)]
        directory.mkdir(parents=True, exist_ok=True)
        tls = install(directory / "tls", CA.leaf(WAYPOINT), CA.root)
        (directory / "manifests").mkdir()
        manifests = Manifests(directory / "manifests")
        manifests.put("namespace", namespace())
        manifests.put("gateway", gateway(listener))
        manifests.put("service", service(port_name))
        manifests.put("slice", slice_of(members, port_name))
        governing = rule(connect_timeout, **changes)
        connections = governing["spec"]["trafficPolicy"]["connectionPool"]
        connections["http"], connections["tcp"] = {**(pool or {})}, connections["tcp"] | {**(tcp or {})}
        manifests.put("rule", governing)
        made = []
        for member in members:
            member.handler = handler
            member.start()
            stack.callback(member.stop)
            manifests.put(f"pod-{member.name}", pod(member.name, member.ip, captured=hbone, account=account))
            if doors and hbone:
                ztunnel = door(member.ip, leaf or CA.leaf("in-ambient"), CA.root)
                ztunnel.settings |= settings or {}
                made.append(stack.enter_context(ztunnel))
        for file in tls.iterdir() if own is False else ():
            file.unlink()
        options = (*(() if own is None else ("--tls-dir", str(tls))), *more)
        running = stack.enter_context(replica(directory, manifests, listener, *options, workers=workers))
        yield Captured(running, manifests, tls, members, made, port_name)
