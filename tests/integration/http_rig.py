"""Raw HTTP/1.1 on both sides of a replica: endpoints that answer as a test tells them, clients that send any bytes."""

import contextlib
import itertools
import re
import socket
import struct
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.hbone.http2 import Connection
from tests.hbone.stream import Stream
from tests.listening import Listening, connected_to
from tests.manifests import Manifests, gateway, namespace
from tests.rig import Replica, Waypoint, free_port, replica, search, wait_until

MIB = 1 << 20
HALF_OPEN_S = 0.1
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
_paths = itertools.count()


def unique(prefix: str = "/t") -> str:
    """A path no other request has: its line in the log is found by it."""
    return f"{prefix}-{next(_paths)}-"


def send_all(size: int, chunk: bytes = b"x" * MIB) -> Iterator[bytes]:
    for _ in range(size // len(chunk)):
        yield chunk


class Wire:
    """A socket, or a stream that has its methods, with a read buffer; what clients and endpoints have in common."""

    def __init__(self, sock: socket.socket | Stream) -> None:
        self.sock: Any = sock
        self.buffer = b""

    def send(self, data: bytes | str) -> None:
        self.sock.sendall(data.encode("latin-1") if isinstance(data, str) else data)

    def more(self) -> bool:
        """Reads once; False at the end."""
        data = self.sock.recv(262144)
        self.buffer += data
        return bool(data)

    def until(self, mark: bytes) -> bytes:
        """Everything up to and with `mark`; EOFError if the peer ends before."""
        while mark not in self.buffer:
            if not self.more():
                raise EOFError(self.buffer)
        head, _, self.buffer = self.buffer.partition(mark)
        return head + mark

    def exactly(self, count: int) -> bytes:
        while len(self.buffer) < count:
            if not self.more():
                raise EOFError(self.buffer)
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def rest(self) -> bytes:
        """Everything to the end."""
        while self.more():
            pass
        data, self.buffer = self.buffer, b""
        return data

    def head(self) -> "Head":
        return Head(self.until(b"\r\n\r\n"))

    def chunks(self) -> tuple[bytes, bytes]:
        """A chunked body: its data, and the trailers as they came."""
        data = b""
        while True:
            size = int(self.until(b"\r\n").split(b";")[0], 16)
            if size == 0:
                break
            data += self.exactly(size)
            assert self.exactly(2) == b"\r\n"
        trailers = b""
        while (line := self.until(b"\r\n")) != b"\r\n":
            trailers += line
        return data, trailers

    def body(self, head: "Head", bodiless: bool = False) -> bytes:
        if bodiless or re.match(r"HTTP/1.1 (1..|204|304)", head.first):
            return b""
        if head.get("transfer-encoding") == "chunked":
            return self.chunks()[0]
        if "content-length" in head:
            return self.exactly(int(head["content-length"]))
        return self.rest() if head.first.startswith("HTTP/") else b""

    def finish(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.sock.close()

    def reset(self) -> None:
        """Closes with a RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Head(dict[str, str]):
    """A head: `first` line, fields by lower-case name (several joined by commas), `fields` as they came."""

    def __init__(self, raw: bytes) -> None:
        super().__init__()
        self.raw = raw
        lines = raw.decode("latin-1").split("\r\n")
        self.first = lines[0]
        self.fields = [tuple(line.split(":", 1)) for line in lines[1:] if line]
        for name, value in self.fields:
            key = name.lower()
            self[key] = f"{self[key]},{value.strip()}" if key in self else value.strip()

    @property
    def status(self) -> int:
        return int(self.first.split()[1])


class Client(Wire):
    """A raw client."""

    def __init__(self, port: int, timeout: float = 10.0, receive_buffer: int = 0, ip: str = "127.0.0.1") -> None:
        sock = socket.socket()
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(timeout)
        sock.connect((ip, port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().__init__(sock)

    def request(self, service: str, path: str = "/", *fields: str, method: str = "GET", body: bytes = b"") -> None:
        lines = [f"{method} {path} HTTP/1.1", f"host: {service}", *fields]
        if body:
            lines.append(f"content-length: {len(body)}")
        self.send("\r\n".join([*lines, "", ""]).encode("latin-1") + body)

    def answer(self, bodiless: bool = False) -> tuple[Head, bytes]:
        head = self.head()
        return head, self.body(head, bodiless)

    def ask(
        self, service: str, path: str = "/", *fields: str, method: str = "GET", body: bytes = b""
    ) -> tuple[Head, bytes]:
        self.request(service, path, *fields, method=method, body=body)
        return self.answer(method == "HEAD")

    def ended(self) -> bool:
        """Whether the peer has sent everything: FIN or RST."""
        try:
            return not self.more()
        except ConnectionResetError:
            return True


Handler = Callable[["Peer"], None]


class Peer(Wire):
    """One connection to an endpoint."""

    def __init__(self, sock: socket.socket, endpoint: "Scripted") -> None:
        super().__init__(sock)
        self.endpoint = endpoint

    def request(self) -> tuple[Head, bytes]:
        """The next request, whole; noted at the endpoint."""
        head = self.head()
        self.endpoint.heads.append(head)
        body = self.body(head)
        self.endpoint.bodies.append(body)
        return head, body


def serve_ok(peer: Peer) -> None:
    while True:
        peer.request()
        peer.send(OK)


def answering(*answers: bytes) -> Handler:
    """Answers each request of a connection with the next of these bytes, the last one for ever."""

    def handler(peer: Peer) -> None:
        for answer in itertools.chain(answers, itertools.repeat(answers[-1])):
            peer.request()
            peer.send(answer)

    return handler


class Scripted:
    """An endpoint whose connections are handled by `handler`, in a thread each; those that speak HTTP/2 are in
    `connections`."""

    def __init__(self, name: str, ip: str, port: int) -> None:
        self.name, self.ip, self.port = name, ip, port
        self.handler: Handler = serve_ok
        self.heads: list[Head] = []
        self.bodies: list[bytes] = []
        self.peers: list[Peer] = []
        self.connections: list[Connection] = []
        self._listening = Listening(ip, port, self._handle)

    @property
    def address(self) -> str:
        return f"{self.ip}:{self.port}"

    def start(self) -> None:
        self._listening.start()

    def stop(self) -> None:
        self._listening.stop()
        self.drop()

    def drop(self) -> None:
        """Closes all connections and waits until the replica has noticed; not for tunnels, which may stay half open."""
        for peer in self.peers:
            with contextlib.suppress(OSError):
                peer.sock.shutdown(socket.SHUT_RDWR)
        if self.peers:
            self.peers.clear()
            with contextlib.suppress(AssertionError):
                wait_until(lambda: not connected_to(self.ip, self.port), HALF_OPEN_S)

    def play(self, handler: Handler) -> None:
        """From here on connections are new ones, and handled like this."""
        self.handler = handler
        self.drop()
        self.heads.clear()
        self.bodies.clear()

    def _handle(self, sock: socket.socket) -> None:
        peer = Peer(sock, self)
        self.peers.append(peer)
        with contextlib.suppress(EOFError, OSError):
            self.handler(peer)
        with contextlib.suppress(OSError):
            peer.close()


def service(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "httpbin"},
        "spec": {"clusterIP": "None", "ports": [{"name": "http", "port": 8000, "targetPort": 8080}]},
    }


def slice_of(name: str, members: list[Scripted]) -> dict[str, Any]:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "namespace": "httpbin", "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": members[0].port, "protocol": "TCP"}],
        "endpoints": [
            {"addresses": [m.ip], "conditions": {"ready": True}, "targetRef": {"kind": "Pod", "name": m.name}}
            for m in members
        ],
    }


def outlier_rule(name: str, connect_timeout: str = "", annotations: dict[str, str] | None = None) -> dict[str, Any]:
    """Counts failures but hardly ever ejects, so that tests can look at the counts."""
    policy: dict[str, Any] = {"outlierDetection": {"consecutive5xxErrors": 1000}}
    if connect_timeout:
        policy["connectionPool"] = {"tcp": {"connectTimeout": connect_timeout}}
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": {"name": name, "namespace": "httpbin", "annotations": annotations or {}},
        "spec": {"host": name, "trafficPolicy": policy},
    }


LINE = re.compile(
    r'^\[(?P<time>[^]]+)\] "(?P<method>\S+) (?P<path>\S+) (?P<protocol>\S+)" (?P<status>\d+) '
    r'(?P<flags>\S+) (?P<details>\S+) - "(?P<transport>[^"]*)" (?P<received>\d+) (?P<sent>\d+) (?P<duration>\d+) '
    r'(?P<service>\S+) "(?P<xff>[^"]*)" '
    r'"(?P<agent>[^"]*)" "(?P<id>[^"]*)" "(?P<authority>[^"]*)" "(?P<host>[^"]*)" (?P<cluster>\S+) (?P<local>\S+) '
    r"(?P<downstream>\S+) (?P<remote>\S+) - (?P<route>.+)$"
)


@dataclass
class Bench:
    """A replica, the endpoints of its services, and what it has logged and counted."""

    replica: Replica
    services: dict[str, list[Scripted]]
    manifests: Manifests

    @property
    def waypoint(self) -> Waypoint:
        return self.replica.waypoint

    def client(self, timeout: float = 10.0, receive_buffer: int = 0) -> Client:
        return Client(self.replica.port, timeout, receive_buffer)

    def play(self, service: str, handler: Handler) -> Scripted:
        """All endpoints of a service handle connections like this; the first one is returned."""
        for endpoint in self.services[service]:
            endpoint.play(handler)
        return self.services[service][0]

    def line(self, containing: str, seconds: float = 3.0) -> dict[str, str]:
        """The fields of the one log line with this in it."""
        lines = wait_until(lambda: self.waypoint.lines(containing), seconds, f"a log line with {containing}")
        assert len(lines) == 1, lines
        match = LINE.match(lines[0])
        assert match, lines[0]
        return match.groupdict()

    def no_line(self, containing: str) -> None:
        assert not self.waypoint.lines(containing)

    def row(self, service: str) -> list[dict[str, Any]]:
        """The endpoints of a service as the scoreboard has them."""
        for cluster in self.replica.info("/clusters"):
            if cluster["name"] == f"httpbin/{service}:8000":
                return list(cluster["endpoints"])
        raise AssertionError(service)

    def failures(self, service: str) -> int:
        return sum(row["failed"] for row in self.row(service))

    def settled(self) -> None:
        """Nothing in flight anywhere."""
        names = self.services
        wait_until(
            lambda: all(row["in_flight"] == 0 for name in names for row in self.row(name)), 5, "nothing in flight"
        )

    def worker_pid(self) -> int:
        return int(self.replica.worker_pids()[0])


def memory_kib(pid: int) -> int:
    """Resident memory of a process."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(search(r"VmRSS:\s+(\d+)", text)[1])


@contextlib.contextmanager
def bench(
    directory: Path, *arguments: str, services: dict[str, int], rules: list[dict[str, Any]] | None = None
) -> Iterator[Bench]:
    """A replica with one worker and these services (name -> number of endpoints)."""
    network = f"127.{free_port() % 190 + 30}"
    made: dict[str, list[Scripted]] = {}
    for position, (name, count) in enumerate(services.items()):
        port = free_port(f"{network}.{position}.1")
        made[name] = [Scripted(f"{name}-{i}", f"{network}.{position}.{i + 1}", port) for i in range(count)]
        for endpoint in made[name]:
            endpoint.start()
    with tempfile.TemporaryDirectory() as path:
        port = free_port()
        manifests = Manifests(Path(path))
        manifests.put("namespace", namespace())
        manifests.put("gateway", gateway(port))
        for name, members in made.items():
            manifests.put(f"service-{name}", service(name))
            manifests.put(f"slice-{name}", slice_of(name, members))
        for rule in rules or []:
            manifests.put(f"rule-{rule['metadata']['name']}", rule)
        try:
            with replica(directory, manifests, port, *arguments) as running:
                yield Bench(running, made, manifests)
        finally:
            for members in made.values():
                for endpoint in members:
                    endpoint.stop()
