"""What tests of the whole program are built from: endpoints, manifests, replicas, an HTTP client. All on loopback."""

import contextlib
import http.client
import io
import itertools
import json
import os
import random
import re
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

from tests import patience
from tests.manifests import Manifests, gateway, namespace, rule, service, slice_of

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


def wait_until(condition: Callable[..., Any], seconds: float = 5.0, what: str = "") -> Any:
    """The first true value of `condition()`, whose defaults are the variables of a loop; fails after `seconds`.

    They are those of a quiet machine: when they are over, the machine is measured (tests/patience.py), and given more.
    """
    began, bound = time.monotonic(), seconds
    measured = False
    while not (value := condition()):
        if time.monotonic() > began + bound:
            if measured:
                raise AssertionError(f"not within {seconds:g} s ({bound:.2g} on this machine now): {what or condition}")
            bound, measured = seconds * patience.slowness(), True
        time.sleep(0.01)
    return value


def stays(condition: Callable[[], Any], seconds: float, what: str = "") -> None:
    """The condition holds, and goes on to hold for so long; it is looked at all the time."""
    until = time.monotonic() + seconds
    while True:
        assert condition(), f"it did not stay so: {what or condition}"
        if time.monotonic() > until:
            return
        time.sleep(0.05)


def steady(value: Callable[[], Any], still: float = 0.3, seconds: float = 10.0) -> Any:
    """The value once it has not changed for `still` seconds: whatever was on its way has come as far as it can."""
    seen, since = value(), time.monotonic()

    def stands() -> bool:
        nonlocal seen, since
        if (now := value()) != seen:
            seen, since = now, time.monotonic()
        return time.monotonic() - since >= still

    wait_until(stands, seconds, "it does not come to rest")
    return seen


def search(pattern: str | re.Pattern[str], text: str, flags: int = 0) -> re.Match[str]:
    """Where the pattern is in the text; fails if it is not."""
    found = re.search(pattern, text, flags)
    assert found, f"no {pattern!r} in {text!r}"
    return found


# -- endpoints --------------------------------------------------------------------------------------------------------


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        endpoint = self.server.endpoint
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
        text = endpoint.name if self.path.partition("?")[0] == "/hostname" else json.dumps(dict(self.headers))
        payload = (text + "\n").encode() if status == 200 else b"failing\n"
        # In one write: who is killed has answered, or has not; never by half.
        connection, self.wfile = self.wfile, io.BytesIO()
        self.send_response(status)
        if status >= 200 and status != 204:
            self.send_header("content-length", str(len(payload)))
        self.end_headers()
        if self.command != "HEAD" and status != 204:
            self.wfile.write(payload)
        connection.write(self.wfile.getvalue())
        self.wfile = connection

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def __init__(self, endpoint: "Endpoint") -> None:
        self.endpoint = endpoint
        super().__init__((endpoint.ip, endpoint.port), _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        sock, address = super().get_request()
        self.endpoint.sockets.append(sock)
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
        self._server = _Server(self)
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


# -- replicas ---------------------------------------------------------------------------------------------------------


class Waypoint:
    """One replica, started from this checkout; its standard output and error go to files."""

    def __init__(self, directory: Path, *arguments: str, env: dict[str, str] | None = None) -> None:
        self.directory = directory
        self.out, self.err = directory / "out.log", directory / "err.log"
        self._env = os.environ | (env or {})
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *more: str) -> None:
        command = [sys.executable, str(ROOT / "bin" / "waypointd"), *self._arguments, *more]
        with self.out.open("ab") as out, self.err.open("ab") as err:
            self._process = subprocess.Popen(command, stdout=out, stderr=err, env=self._env, cwd=self.directory)

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "not started"
        return self._process

    @property
    def pid(self) -> int:
        return self.process.pid

    def ended(self, seconds: float) -> int:
        """The exit status, once it has ended by itself."""
        wait_until(lambda: self.process.poll() is not None, seconds, "it ends")
        return self.process.returncode

    def stop(self, seconds: float = 10.0) -> int:
        """As a person at a terminal does, who does not wait for what is kept open between requests."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
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
    metrics: int = 0

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
    status, admin, metrics = free_port(), free_port(), free_port()
    waypoint = Waypoint(
        directory,
        *("-w", str(workers), "--manifests", str(manifests.path), "--bind", bind, "--redis", redis),
        *("--status", f"127.0.0.1:{status}", "--admin", f"127.0.0.1:{admin}", "--drain-delay", "0"),
        *("--metrics", f"127.0.0.1:{metrics}", "--drain-time", "3", *arguments),
        env={"POD_NAME": name},
    )
    made = Replica(waypoint, port, status, admin, metrics)
    waypoint.start()
    try:
        wait_until(made.ready, 15, f"ready\n{waypoint.errors()}")
        yield made
    except BaseException:
        print(waypoint.errors())
        raise
    finally:
        waypoint.stop()


def answer(port: int, host: str = "in-ambient") -> int:
    """The status of one request on a new connection, 0 when there was no answer."""
    try:
        return get(port, "/hostname", host)[0]
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

    def __init__(self, port: int, clients: int = 1, host: str = "in-ambient") -> None:
        super().__init__(*[self._run] * clients)
        self._host = host
        self.failed: list[int] = []
        self.count = 0
        self._port = port

    def _run(self) -> None:
        while not self.stopping.is_set():
            status = answer(self._port, self._host)
            self.count += 1
            if status != 200:
                self.failed.append(status)
