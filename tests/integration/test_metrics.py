"""What Prometheus is told equals what the access log says, over workers and their deaths."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.hbone.ztunnel import Refused
from tests.integration.grpc_rig import Echo, RpcError, Stub, served
from tests.integration.hbone_rig import HboneBench, Served, echo, h2_client, h2_headers, hbone_bench
from tests.integration.http_rig import Client
from tests.integration.metrics_rig import Logged, Sample, Samples, scrape
from tests.rig import wait_until

WORKERS = 3
CLIENT = "spiffe://cluster.local/ns/httpbin/sa/client-in-ambient"
SERVED = [
    Served("web", count=2),
    Served("refusing", hbone=False),
    Served("none", count=0),
    Served("echo", port=5000, port_name="grpc", hbone=False),
    Served("raw", port=9000, port_name="tcp"),
    Served("alone", port=9000, port_name="tcp"),
    Served("labelled"),
]


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HboneBench]:
    options = ("--access-log-format", "json")
    with hbone_bench(tmp_path_factory.mktemp("metrics"), *SERVED, workers=WORKERS, http=True, args=options) as running:
        running.services["refusing"][0].stop()
        for name in ("raw", "alone"):
            running.play(name, echo)
        yield running


@pytest.fixture(scope="module")
def app(proxy: HboneBench) -> Iterator[Echo]:
    with served(proxy.services["echo"][0]) as running:
        yield running


# -- traffic ----------------------------------------------------------------------------------------------------------


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


# -- what is told -----------------------------------------------------------------------------------------------------

ANSWER = ("destination_service", "response_code", "response_flags", "source_principal")


def agree(proxy: HboneBench) -> Samples:
    """Waits until all is written that has happened, and holds the numbers against the log's."""

    def same() -> Samples | None:
        logged, told = Logged(proxy.replica), scrape(proxy.replica)
        whole = told.by("istio_requests_total", *ANSWER) == logged.by_answer()
        whole = whole and told.total("istio_tcp_connections_closed_total") == len(logged.connections)
        return told if whole else None

    try:
        told = wait_until(same, 10)
    except AssertionError:
        raise AssertionError(difference(proxy)) from None
    assert isinstance(told, Samples)
    logged = Logged(proxy.replica)
    for name in ("istio_request_duration_milliseconds", "istio_request_bytes", "istio_response_bytes"):
        assert told.by(f"{name}_count", *ANSWER) == logged.by_answer(), name
    assert told.total("istio_request_duration_milliseconds_sum") == logged.durations()
    assert told.total("istio_tcp_connections_opened_total") == len(logged.connections)
    service = "destination_service"
    assert told.by("istio_tcp_received_bytes_total", service) == logged.bytes_by_service("bytes_received")
    assert told.by("istio_tcp_sent_bytes_total", service) == logged.bytes_by_service("bytes_sent")
    assert told.total("waypointd_metrics_overflowed_total") == 0
    return told


def difference(proxy: HboneBench) -> str:
    told, logged = scrape(proxy.replica).by("istio_requests_total", *ANSWER), Logged(proxy.replica).by_answer()
    return f"told but not logged: {told - logged}, logged but not told: {logged - told}"


def numbers(proxy: HboneBench) -> tuple[float, int]:
    """Requests that are told, and logged."""
    return scrape(proxy.replica).total("istio_requests_total"), len(Logged(proxy.replica).requests)


def kill_worker(proxy: HboneBench, number: int) -> None:
    """It is followed by another."""
    pid = proxy.replica.worker_pids()[number % WORKERS]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: pid not in (now := proxy.replica.worker_pids()) and len(now) == WORKERS, 15)
    wait_until(proxy.replica.ready, 15)


def compare_over_deaths(proxy: HboneBench, count: int, rounds: int) -> None:
    began = agree(proxy)
    before = began.total("istio_requests_total")
    for number in range(rounds):
        traffic(proxy, count)
        told = agree(proxy)
        assert told.total("istio_requests_total") > before
        before = told.total("istio_requests_total")
        kill_worker(proxy, number)
        assert agree(proxy).total("istio_requests_total") == before

    def grown(name: str, **labels: str) -> float:
        return scrape(proxy.replica).total(name, **labels) - began.total(name, **labels)

    assert grown("istio_request_messages_total") == (count + 1 + 3 + 1) * rounds
    assert grown("istio_response_messages_total") == (count + 7 + 1) * rounds
    assert grown("istio_requests_total", grpc_response_status="9", request_protocol="grpc") == rounds
    assert grown("waypointd_worker_restarts_total") == rounds


def test_numbers_equal_the_access_logs_over_deaths_of_workers(proxy: HboneBench, app: Echo) -> None:
    compare_over_deaths(proxy, 60, WORKERS)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_numbers_equal_the_access_logs_over_a_hundred_thousand_requests(proxy: HboneBench, app: Echo) -> None:
    compare_over_deaths(proxy, 2000, 5)
    assert len(Logged(proxy.replica).lines) >= 100_000


def test_connections_are_counted_while_they_last_and_closed_with_their_worker(proxy: HboneBench) -> None:
    client = proxy.client("alone")
    client.send(b"x" * 100)
    assert client.exactly(100) == b"x" * 100
    ours = {"destination_service_name": "alone", "source_principal": CLIENT}
    told = scrape(proxy.replica)
    assert told.total("istio_tcp_connections_opened_total", **ours) == 1
    assert told.total("istio_tcp_connections_closed_total", **ours) == 0
    assert told.total("istio_tcp_received_bytes_total", **ours) == 100
    assert told.total("istio_tcp_sent_bytes_total", **ours) == 100
    for number in range(WORKERS):
        kill_worker(proxy, number)
    told = scrape(proxy.replica)
    assert told.total("istio_tcp_connections_opened_total", **ours) == 1
    assert told.total("istio_tcp_connections_closed_total", **ours) == 1


def test_the_labels_of_a_request_are_istios(proxy: HboneBench) -> None:
    with proxy.client("labelled") as client:
        client.ask("labelled")

    def found() -> list[Sample]:
        told = (each for each in scrape(proxy.replica) if each.name == "istio_requests_total")
        return [each for each in told if each.labels["destination_service_name"] == "labelled"]

    (sample,) = wait_until(found, 5)
    assert sample.value == 1
    name = proxy.services["labelled"][0].name
    assert list(sample.labels.items()) == [
        ("reporter", "waypoint"),
        ("source_workload", "client-in-ambient"),
        ("source_canonical_service", "client-in-ambient"),
        ("source_canonical_revision", "latest"),
        ("source_workload_namespace", "httpbin"),
        ("source_principal", CLIENT),
        ("source_app", "client-in-ambient"),
        ("source_version", "latest"),
        ("source_cluster", "Kubernetes"),
        ("destination_workload", name),
        ("destination_workload_namespace", "httpbin"),
        ("destination_principal", "spiffe://cluster.local/ns/httpbin/sa/in-ambient"),
        ("destination_app", "unknown"),
        ("destination_version", "unknown"),
        ("destination_service", "labelled.httpbin.svc.cluster.local"),
        ("destination_canonical_service", name),
        ("destination_canonical_revision", "latest"),
        ("destination_service_name", "labelled"),
        ("destination_service_namespace", "httpbin"),
        ("destination_cluster", "Kubernetes"),
        ("request_protocol", "http"),
        ("response_code", "200"),
        ("grpc_response_status", ""),
        ("response_flags", "-"),
        ("connection_security_policy", "mutual_tls"),
    ]


def test_workers_killed_at_work_take_no_more_than_they_had_in_hand(proxy: HboneBench) -> None:
    """What was counted stays: the log's last lines may be in a worker's buffer, and an answer on its way."""
    clients, stop = 6, threading.Event()
    began, began_lines = numbers(proxy)
    answered: list[int] = [0] * clients

    def ask(number: int) -> None:
        while not stop.is_set():
            with contextlib.suppress(OSError, EOFError), Client(proxy.http) as client:
                while not stop.is_set():
                    client.ask("web.httpbin", "/")
                    answered[number] += 1

    deaths, seen = 2, 0.0
    with ThreadPoolExecutor(clients) as pool:
        running = [pool.submit(ask, number) for number in range(clients)]
        try:
            for number in range(deaths):
                enough = sum(answered) + 100
                wait_until(lambda enough=enough: sum(answered) > enough, 20)
                kill_worker(proxy, number)
                told = scrape(proxy.replica).total("istio_requests_total")
                assert told >= seen
                seen = told
        finally:
            stop.set()
        for each in running:
            each.result()
    in_hand = deaths * clients

    def settled() -> bool:
        told, lines = numbers(proxy)
        grown = told - began
        return abs(grown - sum(answered)) <= in_hand and 0 <= grown - (lines - began_lines) <= in_hand

    wait_until(settled, 10)
