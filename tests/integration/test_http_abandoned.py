"""Clients that give up on a request without an answer: what is logged, and when it counts against the endpoint."""

import contextlib
import time
from collections.abc import Iterator

import pytest

from tests.integration.http_rig import OK, Bench, Peer, bench, outlier_rule, unique
from tests.rig import wait_until

SWITCHED_OFF = {"waypointd.io/abandoned-request-timeout": "off"}


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    rules = [outlier_rule("solo"), outlier_rule("pair"), outlier_rule("patient", annotations=SWITCHED_OFF)]
    services = {"solo": 1, "pair": 2, "patient": 1}
    with bench(tmp_path_factory.mktemp("abandoned"), services=services, rules=rules) as running:
        yield running


def hang(peer: Peer) -> None:
    peer.request()
    with contextlib.suppress(ConnectionError):
        peer.more()


def abandon(proxy: Bench, service: str, path: str, seconds: float, leave: str, *fields: str) -> int:
    """A request given up after so long: how many failures that made."""
    before = proxy.failures(service)
    with proxy.client() as client:
        client.request(service, path, *fields)
        time.sleep(seconds)
        getattr(client, leave)()
    line = proxy.line(path)
    assert (line["status"], line["flags"], line["details"]) == ("0", "DC", "downstream_remote_disconnect")
    assert line["service"] == "-"
    proxy.settled()
    return proxy.failures(service) - before


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_an_abandoned_request_counts(proxy: Bench, leave: str) -> None:
    proxy.play("solo", hang)
    assert abandon(proxy, "solo", unique(), 1.1, leave) == 1


def test_the_rule_may_be_switched_off(proxy: Bench) -> None:
    proxy.play("patient", hang)
    assert abandon(proxy, "patient", unique(), 1.1, "close") == 0


def test_a_reset_before_a_second_does_not_count(proxy: Bench) -> None:
    proxy.play("solo", hang)
    assert abandon(proxy, "solo", unique(), 0.1, "reset") == 0


def test_grpc_upgrades_and_living_endpoints_are_exempt(proxy: Bench) -> None:
    def handler(peer: Peer) -> None:
        head, _ = peer.request()
        if "quick" in head.first:
            peer.send(OK)
        peer.more()

    endpoint = proxy.play("solo", handler)
    proxy.play("pair", hang)
    counts = {}

    def run(key: str, service: str, *fields: str) -> None:
        counts[key] = abandon(proxy, service, unique(f"/{key}"), 1.2, "close", *fields)

    run("grpc", "pair", "content-type: application/grpc+proto")
    run("upgrade", "pair", "connection: upgrade", "upgrade: websocket")
    with proxy.client() as client:
        path = unique()
        client.request("solo", path)
        wait_until(lambda: any(path in head.first for head in endpoint.heads), 5, "it is with the endpoint")
        with proxy.client() as another:
            assert another.ask("solo", "/quick")[1] == b"ok"
        before = proxy.failures("solo")
        time.sleep(1)
        client.close()
        assert proxy.line(path)["flags"] == "DC"
        proxy.settled()
        counts["alive"] = proxy.failures("solo") - before
    assert counts == {"grpc": 0, "upgrade": 0, "alive": 0}


def test_a_client_that_leaves_early_by_fin_is_answered_or_forgotten(proxy: Bench) -> None:
    """Its FIN is a half close: the request goes on, and its answer goes nowhere without harm."""

    def handler(peer: Peer) -> None:
        peer.request()
        time.sleep(0.3)
        peer.send(OK)

    endpoint = proxy.play("solo", handler)
    path = unique()
    with proxy.client() as client:
        client.request("solo", path)
    assert proxy.line(path)["status"] == "200"
    assert len(endpoint.heads) == 1
    wait_until(lambda: proxy.row("solo")[0]["in_flight"] == 0, 2)
