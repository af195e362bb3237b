"""What Istio's metrics say before a request is over, and of whom nothing but the address is known."""

import queue
import socket
from collections.abc import Iterator

import pytest

from tests.integration.grpc_rig import Stub
from tests.integration.hbone_rig import HboneBench
from tests.integration.http_rig import Wire
from tests.integration.metrics_rig import Sample, scrape
from tests.integration.metrics_traffic import counted_bench
from tests.rig import wait_until


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HboneBench]:
    with counted_bench(tmp_path_factory.mktemp("metrics")) as running:
        yield running


def messages(proxy: HboneBench) -> tuple[float, float]:
    """Of all streams, that were sent to endpoints and came from them."""
    told = scrape(proxy.replica)
    request, response = (told.total(f"istio_{each}_messages_total") for each in ("request", "response"))
    return request, response


def test_messages_are_counted_while_their_stream_is_open(proxy: HboneBench) -> None:
    """Every five seconds, and at the end the rest of them, none twice."""
    sent: queue.Queue[bytes | None] = queue.Queue()
    stub = Stub(proxy.http, "echo.httpbin:5000")
    answers = stub.talk(iter(sent.get, None), timeout=60)
    for count in (3, 2):
        before = messages(proxy)
        for _ in range(count):
            sent.put(b"ab")
            assert next(answers) == b"ba"
        after = (before[0] + count, before[1] + count)
        wait_until(lambda after=after: messages(proxy) == after, 12, "the open stream's messages")
    before = messages(proxy)
    sent.put(b"cd")
    assert next(answers) == b"dc"
    sent.put(None)
    assert not list(answers)
    wait_until(lambda: messages(proxy) == (before[0] + 1, before[1] + 1), 5, "the last one")
    stub.channel.close()
    assert messages(proxy) == (6, 6)


def asked_from(proxy: HboneBench, ip: str) -> list[Sample]:
    """The series of requests from this address, to a Service that gets no others."""
    before = {tuple(each.labels.items()): each.value for each in requests(proxy)}
    with Wire(socket.create_connection(("127.0.0.1", proxy.http), 10, source_address=(ip, 0))) as client:
        client.send("GET / HTTP/1.1\r\nhost: none.httpbin\r\nconnection: close\r\n\r\n")
        assert client.head().status == 503

    def grown() -> list[Sample]:
        return [each for each in requests(proxy) if each.value > before.get(tuple(each.labels.items()), 0)]

    return list(wait_until(grown, 5))


def requests(proxy: HboneBench) -> list[Sample]:
    return [each for each in scrape(proxy.replica) if each.name == "istio_requests_total"]


def test_k11_a_client_without_certificate_and_baggage_is_known_by_its_address(proxy: HboneBench) -> None:
    """If it is an endpoint's of what is served; else it is unknown."""
    web = proxy.services["web"][0]
    (known,) = asked_from(proxy, web.ip)
    source = {name: value for name, value in known.labels.items() if name.startswith("source_")}
    assert source == {
        "source_workload": web.name,
        "source_canonical_service": web.name,
        "source_canonical_revision": "latest",
        "source_workload_namespace": "httpbin",
        "source_principal": "unknown",
        "source_app": "unknown",
        "source_version": "unknown",
        "source_cluster": "Kubernetes",
    }
    assert known.labels["connection_security_policy"] == "none"
    (stranger,) = asked_from(proxy, "127.0.0.1")
    assert stranger.labels["source_workload"] == stranger.labels["source_workload_namespace"] == "unknown"
