"""What Prometheus is told equals what the access log says, over workers and their deaths."""

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.integration.hbone_rig import HboneBench, Served, echo
from tests.integration.http_rig import Client
from tests.integration.metrics_rig import ANSWER, Logged, Sample, Samples, scrape
from tests.integration.metrics_traffic import WORKERS, counted_bench, kill_worker, traffic
from tests.rig import wait_until

CLIENT = "spiffe://cluster.local/ns/httpbin/sa/client-in-ambient"


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HboneBench]:
    more = Served("alone", port=9000, port_name="tcp"), Served("labelled")
    with counted_bench(tmp_path_factory.mktemp("metrics"), *more) as running:
        running.play("alone", echo)
        yield running


# -- what is told -----------------------------------------------------------------------------------------------------


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


def test_K1_K2_K3_K4_K5_numbers_equal_the_access_logs_over_deaths_of_workers(proxy: HboneBench) -> None:
    compare_over_deaths(proxy, 60, WORKERS)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_numbers_equal_the_access_logs_over_a_hundred_thousand_requests(proxy: HboneBench) -> None:
    compare_over_deaths(proxy, 2000, 5)
    assert len(Logged(proxy.replica).lines) >= 100_000


def test_K5_connections_are_counted_while_they_last_and_closed_with_their_worker(proxy: HboneBench) -> None:
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


def test_K10_K11_K13_K14_K15_K16_K17_K18_K19_the_labels_of_a_request_are_istios(proxy: HboneBench) -> None:
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
