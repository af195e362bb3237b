"""Real servers as endpoints (issue 10: H-A, H-B, H-C, H-D, H-E, H-F): what they say is delivered, and nobody is
ejected.

An answer is right if it has the status that the endpoint has sent, and the body unless that status has none.
"""

import contextlib
import socket
from collections.abc import Iterator

import pytest

from tests.hbone.http2 import Connection
from tests.integration.hbone_rig import H2
from tests.integration.hbone_rig import outlier_rule as ejecting
from tests.integration.http_rig import Bench, Client, Head, bench, unique
from tests.integration.servers import SERVERS, serving

BODILESS = (204, 304)
ODD = {  # path -> servers that have it; what each says is in its program
    "/fold": ("nginx", "lighttpd", "go"),
    "/trailer": ("nginx", "go", "node"),
    "/padding": ("go", "node"),
    "/lf": ("node",),
    "/204": tuple(SERVERS),
    "/stream204": ("aiohttp",),
    "/204plain": ("waitress", "gunicorn"),
    "/304": ("waitress", "gunicorn"),
    "/600": tuple(SERVERS),
    "/stream": ("aiohttp", "waitress", "gunicorn"),
}
CASES = [(name, path) for path, names in ODD.items() for name in names]
RULE = {"consecutive5xxErrors": 3, "maxEjectionPercent": 100, "baseEjectionTime": "600s"}


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    rules = [ejecting(name, **RULE) for name in SERVERS]
    with bench(tmp_path_factory.mktemp("real"), services=dict.fromkeys(SERVERS, 1), rules=rules) as running:
        yield running


@pytest.fixture(scope="module")
def servers(proxy: Bench, tmp_path_factory: pytest.TempPathFactory) -> Iterator["Servers"]:
    with contextlib.ExitStack() as stack:
        yield Servers(proxy, stack, tmp_path_factory)


class Servers:
    """Started when first asked for, in the place of the endpoint of the Service of their name."""

    def __init__(self, proxy: Bench, stack: contextlib.ExitStack, paths: pytest.TempPathFactory) -> None:
        self._proxy, self._stack, self._paths = proxy, stack, paths
        self._started: set[str] = set()

    def need(self, name: str) -> tuple[str, int]:
        endpoint = self._proxy.services[name][0]
        if name not in self._started:
            endpoint.stop()
            self._stack.enter_context(serving(name, self._paths.mktemp(name) / "run", endpoint.ip, endpoint.port))
            self._started.add(name)
        return endpoint.ip, endpoint.port

    def directly(self, name: str, path: str, method: str = "GET") -> int:
        """The status that it sends for that."""
        ip, port = self.need(name)
        with Client(port, ip=ip) as client:
            client.request(name, path, method=method)
            return Head(client.until(b"\n\n" if path == "/lf" else b"\r\n\r\n")).status


def ask(proxy: Bench, name: str, path: str, method: str = "GET") -> tuple[int, bytes]:
    with proxy.client() as client:
        head, body = client.ask(name, path, method=method)
        return head.status, body


def well(proxy: Bench, name: str) -> None:
    assert proxy.row(name)[0]["ejected_left_ms"] <= 0
    assert ask(proxy, name, "/") == (200, b"ok")


@pytest.mark.parametrize(("name", "path"), CASES, ids=[f"{name}{path}" for name, path in CASES])
def test_what_a_server_says_is_delivered(proxy: Bench, servers: Servers, name: str, path: str) -> None:
    status = servers.directly(name, path)
    before = proxy.failures(name)
    for _ in range(5):
        got, body = ask(proxy, name, path)
        assert got == status
        assert body in (b"", b"ok", b"hello") and (body == b"" or status not in BODILESS)
        assert ask(proxy, name, "/") == (200, b"ok")
    assert proxy.failures(name) == before + (5 if status >= 500 else 0)
    well(proxy, name)


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_H_C_whatever_follows_an_answer_without_a_body(proxy: Bench, servers: Servers, name: str, method: str) -> None:
    servers.need(name)
    before = proxy.failures(name)
    paths = [path for path in ("/stream", "/") if name in ODD.get(path, SERVERS)]
    with proxy.client() as client, proxy.client() as other:
        for _ in range(20):
            for path in paths:
                client.request(name, path, method="HEAD")
                assert client.answer(bodiless=True)[0].status == 200
                head, body = other.ask(name, "/", method=method, body=b"x" if method == "POST" else b"")
                if name != "lighttpd" or method == "GET":  # its file system takes no POST
                    assert (head.status, body) == (200, b"ok")
            client.request(name, "/204", method="GET")
            assert client.answer()[0].status == 204
            assert other.ask(name, "/")[1] == b"ok"
    assert proxy.failures(name) == before
    well(proxy, name)


def test_H_A_a_policy_on_many_lines_is_one_field(proxy: Bench, servers: Servers) -> None:
    servers.need("nginx")
    with proxy.client() as client:
        head, _ = client.ask("nginx", "/fold")
    assert " ".join(head["content-security-policy"].split()) == "default-src 'self'; script-src 'self'; img-src *"


@pytest.mark.parametrize("name", ["nginx", "go", "node"])
def test_H_B_trailers_that_may_be_merged_go_on(proxy: Bench, servers: Servers, name: str) -> None:
    servers.need(name)
    with proxy.client() as client:
        client.request(name, "/trailer", "te: trailers")
        client.head()
        body, trailers = client.chunks()
    assert (body, trailers.lower()) == (b"ok", b"x-sum: 1\r\n")


def test_H_D_no_server_misses_a_length(proxy: Bench, servers: Servers) -> None:
    """lighttpd answers 411 to a POST that says nothing."""
    servers.need("lighttpd")
    sock = socket.create_connection(("127.0.0.1", proxy.replica.port))
    with contextlib.closing(Connection(sock, None, server=False, settings=H2, window=1 << 24)) as client:
        fields = [(":method", "POST"), (":scheme", "http"), (":authority", "lighttpd"), (":path", "/post")]
        stream = client.request(fields, end=True)
        assert stream.answered()[":status"] == "200" and stream.recv(10) == b"0"


def test_H_E_600_is_logged_as_it_is(proxy: Bench, servers: Servers) -> None:
    servers.need("go")
    path = unique("/600?")
    assert ask(proxy, "go", path) == (600, b"ok")
    assert proxy.line(path)["status"] == "600"
    well(proxy, "go")
