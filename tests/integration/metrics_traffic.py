"""Traffic of every kind through a replica that logs JSON, to hold its metrics against; and deaths of its workers."""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.hbone.ztunnel import Refused
from tests.integration.grpc_rig import RpcError, Stub, served
from tests.integration.hbone_rig import HboneBench, Served, echo, h2_client, h2_headers, hbone_bench
from tests.integration.http_rig import Client
from tests.rig import wait_until

WORKERS = 3
PATIENT = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "DestinationRule",
    "metadata": {"name": "raw", "namespace": "httpbin"},
    "spec": {"host": "raw", "trafficPolicy": {"connectionPool": {"tcp": {"connectTimeout": "20s"}}}},
}
"""TCP is not tried again, and on a busy machine the endpoint's ztunnel, a thread here, takes more than a second."""
SERVED = [
    Served("web", count=2),
    Served("refusing", hbone=False),
    Served("none", count=0),
    Served("echo", port=5000, port_name="grpc", hbone=False),
    Served("raw", port=9000, port_name="tcp", rule=PATIENT),
]


@contextlib.contextmanager
def counted_bench(directory: Path, *more: Served) -> Iterator[HboneBench]:
    """A replica that `traffic` goes through; `more` is served besides."""
    options = ("--access-log-format", "json")
    with hbone_bench(directory, *SERVED, *more, workers=WORKERS, http=True, args=options) as running:
        running.services["refusing"][0].stop()
        running.play("raw", echo)
        with served(running.services["echo"][0]):
            yield running


def over_plain(proxy: HboneBench, count: int) -> None:
    for name in ("web", "web", "nowhere", "refusing", "none"):
        with Client(proxy.http) as client:
            for number in range(count):
                client.ask(f"{name}.httpbin", f"/{number}", body=b"x" * (number % 3) * 100)


def malformed(proxy: HboneBench, count: int) -> None:
    for _ in range(count // 5):
        with Client(proxy.http) as client:
            client.send("GET / HTTP/1.1\r\nhost: web.httpbin\r\ncontent-length: x\r\n\r\n")
            client.answer()


def over_tunnels(proxy: HboneBench, count: int) -> None:
    for _ in range(3):
        with proxy.client("web") as client:
            for number in range(count):
                client.ask("web", f"/{number}")


def over_http2(proxy: HboneBench, count: int) -> None:
    connection = h2_client(proxy.tunnel("web"))
    for number in range(count):
        stream = connection.request(h2_headers(f"/{number}"), end=True)
        stream.answered()
        while not stream.ended:
            stream.recv(65536)
    connection.close()


def over_grpc(proxy: HboneBench, count: int) -> None:
    stub = Stub(proxy.http, "echo.httpbin:5000")
    for number in range(count):
        stub.unary(b"x" * number, timeout=20)
    assert len(list(stub.spread(b"7", timeout=20))) == 7
    assert stub.gather(iter([b"a", b"b", b"c"]), timeout=20) == b"abc"
    with contextlib.suppress(RpcError):
        stub.fail(b"9", timeout=20)
    stub.channel.close()


def over_tcp(proxy: HboneBench, count: int) -> None:
    for number in range(count):
        with proxy.client("raw") as client:
            client.send(b"x" * number)
            client.finish()
            assert client.rest() == b"x" * number + b"END"


def refused(proxy: HboneBench, count: int) -> None:
    for _ in range(count // 5):
        with contextlib.suppress(Refused):
            proxy.tunnel("10.1.2.3:4")


WAYS: tuple[Callable[[HboneBench, int], None], ...] = (
    over_plain,
    malformed,
    over_tunnels,
    over_http2,
    over_grpc,
    over_tcp,
    refused,
)


def traffic(proxy: HboneBench, count: int) -> None:
    """On all ways at the same time."""
    with ThreadPoolExecutor(len(WAYS)) as pool:
        for done in [pool.submit(way, proxy, count) for way in WAYS]:
            done.result()


def kill_worker(proxy: HboneBench, number: int) -> None:
    """It is followed by another."""
    pid = proxy.replica.worker_pids()[number % WORKERS]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: pid not in (now := proxy.replica.worker_pids()) and len(now) == WORKERS, 15)
    wait_until(proxy.replica.ready, 15)
