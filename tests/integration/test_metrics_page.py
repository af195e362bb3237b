"""The port for Prometheus: forms, what waypointd tells of itself, and that it may be turned off."""

import http.client
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.version import __version__
from tests.integration.metrics_rig import OPENMETRICS, scrape, scraped
from tests.rig import Replica, endpoints, get, manifests_for, replica, wait_until

CLUSTER = "httpbin/in-ambient:8000"
PAGE = "/stats/prometheus"


@pytest.fixture(scope="module")
def collector() -> Iterator[socket.socket]:
    """A statsd server's socket."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(10)
        yield server


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, collector: socket.socket) -> Iterator[Replica]:
    """A replica with an endpoint that is ejected."""
    directory: Path = tmp_path_factory.mktemp("metrics")
    statsd = ("--statsd", f"127.0.0.1:{collector.getsockname()[1]}", "--statsd-format", "dogstatsd")
    with (
        endpoints(2) as members,
        manifests_for(members) as (manifests, port),
        replica(directory, manifests, port, *statsd, "--statsd-interval", "1", workers=2) as it,
    ):
        wait_until(lambda: it.info()["ejections"] == "shared", 10)
        members[0].status = 503
        wait_until(lambda: it.hostname() and it.waypoint.ejections(), 10)
        it.hostnames(4)
        yield it


def test_both_forms_tell_the_same(served: Replica) -> None:
    def steady(accept: str) -> dict[str, float]:
        told = scrape(served, accept)
        names = ("istio_", "waypointd_outlier", "waypointd_cluster", "waypointd_snapshot_number")
        found = (each for each in told if each.name.startswith(names))
        return {f"{each.name} {each.labels}".replace(".0'", "'"): each.value for each in found}

    assert steady("text/plain") == steady(OPENMETRICS)
    assert any(name.startswith("istio_requests_total") for name in steady(OPENMETRICS))


def test_who_takes_gzip_gets_the_same_in_less(served: Replica) -> None:
    head, plain = scraped(served.metrics)
    packed_head, packed = scraped(served.metrics, encoding="gzip")
    assert (head["content-encoding"], packed_head["content-encoding"]) == (None, "gzip")
    assert head["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = [line for line in plain.splitlines() if line.startswith("# TYPE")]
    assert families == [line for line in packed.splitlines() if line.startswith("# TYPE")]


def test_an_ejection_is_told(served: Replica) -> None:
    told = scrape(served)
    ours = {"cluster": CLUSTER, "reason": "consecutive_5xx", "decided": "here"}
    assert told.total("waypointd_outlier_ejections_total", **ours) == 1
    assert told.total("waypointd_outlier_ejections_total") == 1
    assert told.total("waypointd_outlier_ejected_endpoints", cluster=CLUSTER) == 1
    assert told.total("waypointd_endpoints", cluster=CLUSTER) == 2
    assert told.total("waypointd_outlier_policy", destination_rule="httpbin/in-ambient-failover") == 1
    assert told.total("waypointd_redis_reports_total") > 0
    assert told.total("waypointd_redis_report_duration_seconds_count") == told.total("waypointd_redis_reports_total")
    wait_until(lambda: scrape(served).total("waypointd_fleet_shared_state") == 1, 10)
    assert told.total("waypointd_endpoint_connections_opened_total", cluster=CLUSTER) >= 2


def test_the_numbers_of_clusters_workers_and_istio_agree(served: Replica) -> None:
    told = scrape(served)
    requests = told.total("istio_requests_total")
    assert requests >= 7
    assert told.total("waypointd_cluster_requests_total", cluster=CLUSTER) == requests
    assert told.total("waypointd_worker_requests_total") == requests
    assert told.total("waypointd_cluster_request_duration_seconds_count") == requests
    assert told.total("istio_requests_total", response_code="503") == 3
    assert told.total("waypointd_cluster_requests_total", code_class="5xx") == 3


def test_K6_processes_and_configuration_are_told(served: Replica) -> None:
    told = scrape(served)
    assert told.total("istio_build", component="proxy", tag=__version__) == 1
    assert told.total("waypointd_build_info", version=__version__) == 1
    assert told.total("waypointd_workers", state="ready") == 2
    assert told.total("waypointd_ready") == 1
    assert told.total("waypointd_snapshot_number") == served.info()["snapshot"]
    for name in ("worker_cpu_seconds_total", "worker_resident_memory_bytes", "controller_cpu_seconds_total"):
        assert told.total(f"waypointd_{name}") > 0, name
    assert told.total("waypointd_metrics_series") == 2


def test_statsd_is_told_the_same_with_tags(served: Replica, collector: socket.socket) -> None:
    lines: list[str] = []
    while not any(line.startswith("istio_requests_total:") for line in lines):
        lines += collector.recv(65536).decode().splitlines()
    counted, _, tags = next(line for line in lines if line.startswith("istio_requests_total:")).partition("|#")
    assert counted.endswith("|c")
    assert {"reporter:waypoint", "destination_service_name:in-ambient", "response_flags:-"} <= set(tags.split(","))
    assert any(line.startswith("waypointd_workers:") and line.endswith("|g|#state:ready") for line in lines)


def test_K32_only_that_page_is_there(served: Replica) -> None:
    status, text = get(served.metrics, "/config_dump")
    assert (status, text.strip()) == (404, f"no such page; there is {PAGE}")
    connection = http.client.HTTPConnection("127.0.0.1", served.metrics, timeout=5)
    connection.request("HEAD", PAGE)
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, b"")


def test_a_reader_that_does_not_read_keeps_nobody_waiting(served: Replica) -> None:
    held = []
    for _ in range(10):
        sock = socket.create_connection(("127.0.0.1", served.metrics), timeout=5)
        sock.sendall(f"GET {PAGE} HTTP/1.1\r\n\r\n".encode())
        held.append(sock)
    assert served.ready()
    assert scrape(served).total("waypointd_ready") == 1
    for sock in held:
        sock.close()


def test_counting_and_the_page_may_be_turned_off(tmp_path: Path) -> None:
    with (
        endpoints(1) as members,
        manifests_for(members) as (manifests, port),
        replica(tmp_path, manifests, port, "--metrics", "off") as it,
    ):
        it.hostnames(2)
        with pytest.raises(ConnectionRefusedError):
            scraped(it.metrics)
