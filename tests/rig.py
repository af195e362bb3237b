"""What tests of the whole program are built from: endpoints, manifests, replicas, an HTTP client. All on loopback."""

import contextlib
import http.client
import itertools
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parent.parent
SUFFIXES = ("abc12", "def34", "ghi56", "jkl78", "mno90", "pqr12", "stu34", "vwx56", "yza78", "bcd90")
_networks = itertools.count(random.randrange(200))  # tests run in several processes


_given: set[int] = set()


def free_port(ip: str = "127.0.0.1") -> int:
    """A port nobody listens on now, and that was not given out before."""
    while True:
        with socket.socket() as probe:
            probe.bind((ip, 0))
            port = int(probe.getsockname()[1])
        if port not in _given:
            _given.add(port)
            return port


def wait_until(condition: Callable[[], Any], seconds: float = 5.0, what: str = "") -> Any:
    """The first true value of `condition`; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what or condition}")
        time.sleep(0.01)


# -- endpoints --------------------------------------------------------------------------------------------------------


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        endpoint: Endpoint = self.server.endpoint  # type: ignore[attr-defined]
        length = int(self.headers.get("content-length", 0))
        body = self.rfile.read(length)
        endpoint.requests.append((self.command, self.path, dict(self.headers), body))
        if endpoint.delay:
            time.sleep(endpoint.delay)
        self._answer(endpoint.status, endpoint)

    do_POST = do_PUT = do_HEAD = do_DELETE = do_GET

    def _answer(self, status: int, endpoint: "Endpoint") -> None:
        if self.path.startswith("/status/"):
            status = int(self.path.rpartition("/")[2])
        endpoint.answered.append(status)
        text = endpoint.name if self.path == "/hostname" else json.dumps(dict(self.headers))
        payload = (text + "\n").encode() if status == 200 else b"failing\n"
        self.send_response(status)
        if status >= 200 and status != 204:
            self.send_header("content-length", str(len(payload)))
        self.end_headers()
        if self.command != "HEAD" and status != 204:
            self.wfile.write(payload)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def get_request(self) -> tuple[socket.socket, Any]:
        sock, address = super().get_request()
        self.endpoint.sockets.append(sock)  # type: ignore[attr-defined]
        return sock, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


@dataclass
class Endpoint:
    """An HTTP/1.1 server in a thread, named like a pod. `status` is what it answers, to everything."""

    name: str
    ip: str
    port: int
    status: int = 200
    delay: float = 0.0
    requests: list[Any] = field(default_factory=list)
    answered: list[int] = field(default_factory=list)
    sockets: list[socket.socket] = field(default_factory=list)

    def start(self) -> None:
        self._server = _Server((self.ip, self.port), _Handler)
        self._server.endpoint = self  # type: ignore[attr-defined]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def kill(self) -> None:
        """As `stop`, and no connection survives it."""
        self.stop()
        for sock in self.sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    @property
    def address(self) -> str:
        return f"{self.ip}:{self.port}"


@contextlib.contextmanager
def endpoints(count: int = 3) -> Iterator[list[Endpoint]]:
    """Endpoints in a loopback network of their own, all on one port."""
    network = next(_networks) % 200 + 20
    port = free_port(f"127.{network}.0.1")
    made = [Endpoint(f"in-ambient-7d8f9b6c54-{SUFFIXES[i]}", f"127.{network}.0.{i + 1}", port) for i in range(count)]
    for endpoint in made:
        endpoint.start()
    try:
        yield made
    finally:
        for endpoint in made:
            with contextlib.suppress(Exception):
                endpoint.stop()


# -- manifests --------------------------------------------------------------------------------------------------------

RULE = {"consecutive5xxErrors": 3, "interval": "10s", "baseEjectionTime": "30s", "maxEjectionPercent": 50}


def namespace() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "httpbin", "labels": {"istio.io/use-waypoint": "httpbin-waypoint"}},
    }


def gateway(port: int) -> dict[str, Any]:
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "httpbin-waypoint", "namespace": "httpbin"},
        "spec": {
            "gatewayClassName": "istio-waypoint",
            "listeners": [
                {
                    "name": "http",
                    "port": port,
                    "protocol": "HTTP",
                    "allowedRoutes": {"namespaces": {"from": "Same"}},
                }
            ],
        },
    }


def pod(name: str, ip: str, *, captured: bool, account: str = "in-ambient") -> dict[str, Any]:
    """A Pod; `captured`: behind a ztunnel."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "httpbin",
            "annotations": {"ambient.istio.io/redirection": "enabled"} if captured else {},
        },
        "spec": {"serviceAccountName": account},
        "status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}]},
    }


def service() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "in-ambient", "namespace": "httpbin"},
        "spec": {"clusterIP": "10.96.45.123", "ports": [{"name": "http", "port": 8000, "targetPort": 8080}]},
    }


def slice_of(members: list[Endpoint]) -> dict[str, Any]:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "in-ambient-1",
            "namespace": "httpbin",
            "labels": {"kubernetes.io/service-name": "in-ambient"},
        },
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": members[0].port if members else 8080, "protocol": "TCP"}],
        "endpoints": [
            {
                "addresses": [member.ip],
                "conditions": {"ready": True},
                "targetRef": {"kind": "Pod", "namespace": "httpbin", "name": member.name},
            }
            for member in members
        ],
    }


def rule(connect_timeout: str = "", **changes: Any) -> dict[str, Any]:
    policy: dict[str, Any] = {"outlierDetection": RULE | changes}
    if connect_timeout:
        policy["connectionPool"] = {"tcp": {"connectTimeout": connect_timeout}}
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": {"name": "in-ambient-failover", "namespace": "httpbin"},
        "spec": {"host": "in-ambient", "trafficPolicy": policy},
    }


class Manifests:
    """A directory of manifests, one object a file; files are replaced whole."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def put(self, name: str, body: dict[str, Any]) -> None:
        temporary = self.path / f".{name}"
        temporary.write_text(json.dumps(body, indent=1))
        temporary.rename(self.path / f"{name}.json")

    def remove(self, name: str) -> None:
        (self.path / f"{name}.json").unlink()


# -- replicas ---------------------------------------------------------------------------------------------------------


class Waypoint:
    """One replica, started from this checkout; its standard output and error go to files."""

    def __init__(self, directory: Path, *arguments: str, env: dict[str, str] | None = None) -> None:
        self.directory = directory
        self.out, self.err = directory / "out.log", directory / "err.log"
        self._env = os.environ | (env or {})
        self._arguments = arguments
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *more: str) -> None:
        command = [sys.executable, str(ROOT / "bin" / "waypointd"), *self._arguments, *more]
        with self.out.open("ab") as out, self.err.open("ab") as err:
            self.process = subprocess.Popen(command, stdout=out, stderr=err, env=self._env, cwd=self.directory)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def stop(self, seconds: float = 10.0) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def lines(self, containing: str = "") -> list[str]:
        """Lines of the access log's stream."""
        text = self.out.read_text(errors="replace")
        return [line for line in text.splitlines() if containing in line]

    def errors(self) -> str:
        return self.err.read_text(errors="replace")

    def ejections(self) -> list[str]:
        return self.lines("outlier ejecting")


@dataclass
class Replica:
    """A replica with what is needed to talk to it."""

    waypoint: Waypoint
    port: int
    status: int
    admin: int

    def ready(self) -> bool:
        return self.readiness()[0] == 200

    def readiness(self) -> tuple[int, str]:
        try:
            return get(self.status, "/healthz/ready")
        except OSError as error:
            return 0, str(error)

    def info(self, path: str = "/server_info") -> Any:
        return json.loads(get(self.admin, path)[1])

    def serve(self, change: Callable[[], None]) -> None:
        """Makes a change of the manifests, and waits until all workers serve what comes of it."""
        before = self.info()["snapshot"]
        change()
        wait_until(lambda: min(worker["snapshot"] for worker in self.info()["workers"]) > before, 8, "a snapshot")

    def worker_pids(self) -> list[int]:
        return [worker["pid"] for worker in self.info()["workers"]]

    def hostname(self, path: str = "/hostname") -> str:
        """One request on a new connection: the name in the answer, or the status if it is not 200."""
        status, body = get(self.port, path, "in-ambient")
        return body.strip()[-5:] if status == 200 else str(status)

    def hostnames(self, count: int) -> list[str]:
        return [self.hostname() for _ in range(count)]


def get(port: int, path: str = "/", host: str = "", timeout: float = 10.0) -> tuple[int, str]:
    """GET on a new connection to 127.0.0.1."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path, headers={"host": host} if host else {})
        response = connection.getresponse()
        return response.status, response.read().decode(errors="replace")
    finally:
        connection.close()


@contextlib.contextmanager
def manifests_for(members: list[Endpoint], **rule_changes: Any) -> Iterator[tuple[Manifests, int]]:
    """The guide's manifests for these endpoints, and the listener's port."""
    with tempfile.TemporaryDirectory() as path:
        port = free_port()
        made = Manifests(Path(path))
        made.put("namespace", namespace())
        made.put("gateway", gateway(port))
        made.put("service", service())
        made.put("endpointslice", slice_of(members))
        made.put("rule", rule(**rule_changes))
        yield made, port


@contextlib.contextmanager
def replica(
    directory: Path,
    manifests: Manifests,
    port: int,
    *arguments: str,
    redis: str = "embedded",
    workers: int = 1,
    name: str = "replica",
    bind: str = "127.0.0.1",
) -> Iterator[Replica]:
    """A running, ready replica; stopped at the end, and nothing of it left."""
    directory.mkdir(parents=True, exist_ok=True)
    status, admin = free_port(), free_port()
    waypoint = Waypoint(
        directory,
        *("-w", str(workers), "--manifests", str(manifests.path), "--bind", bind, "--redis", redis),
        *("--status", f"127.0.0.1:{status}", "--admin", f"127.0.0.1:{admin}", "--drain-time", "3", *arguments),
        env={"POD_NAME": name},
    )
    made = Replica(waypoint, port, status, admin)
    waypoint.start()
    try:
        wait_until(made.ready, 15, f"ready\n{waypoint.errors()}")
        yield made
    except BaseException:
        print(waypoint.errors())
        raise
    finally:
        waypoint.stop()


def answer(port: int) -> int:
    """The status of one request on a new connection, 0 when there was no answer."""
    try:
        return get(port, "/hostname", "in-ambient")[0]
    except (OSError, http.client.HTTPException):
        return 0


class Background:
    """Threads that run these until the block ends, which they see by `stopping`."""

    def __init__(self, *runs: Callable[[], None]) -> None:
        self.stopping = threading.Event()
        self._threads = [threading.Thread(target=run, daemon=True) for run in runs]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        for thread in self._threads:
            thread.join(15)
            assert not thread.is_alive(), "it does not end"


class Traffic(Background):
    """Requests on new connections, from `clients` at a time, until the end of the block; those not answered 200."""

    def __init__(self, port: int, clients: int = 1) -> None:
        super().__init__(*[self._run] * clients)
        self.failed: list[int] = []
        self.count = 0
        self._port = port

    def _run(self) -> None:
        while not self.stopping.is_set():
            status = answer(self._port)
            self.count += 1
            if status != 200:
                self.failed.append(status)
