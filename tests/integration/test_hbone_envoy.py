"""Envoy at both ends at once, as a client's ztunnel and as the destinations', with this waypoint between them."""

import contextlib
import http.client
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.hbone import envoy
from tests.hbone.identities import install
from tests.integration.hbone_rig import (
    TCP_LINE,
    HboneBench,
    Served,
    echo,
    fields,
    hbone_bench,
    outlier_rule,
    serve_name,
)
from tests.integration.http_rig import Client, Peer, answering, unique
from tests.rig import free_port, wait_until

FAILING = answering(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n")
RULED = ("web", "plain", "fails", "down")


@dataclass
class Between:
    """The waypoint and the two Envoys; `ports` has a local port for each authority by name."""

    proxy: HboneBench
    near: envoy.Envoy
    far: envoy.Envoy
    ports: dict[str, int]

    def get(self, name: str, path: str = "/", **headers: str) -> tuple[int, str]:
        """GET on a new connection; status 0 if it was closed without an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[name], timeout=10)
        try:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            return response.status, response.read().decode()
        except (OSError, http.client.HTTPException):
            return 0, ""
        finally:
            connection.close()

    def client(self, name: str) -> Client:
        return Client(self.ports[name])


@pytest.fixture(scope="module")
def between(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Between]:
    path = tmp_path_factory.mktemp("envoy")
    served = [Served(name, count=3, hbone=name != "plain", rule=outlier_rule(name)) for name in RULED]
    served += [
        Served("gone", count=3, rule=outlier_rule("gone")),
        Served("alien", count=3, rule=outlier_rule("alien")),
        Served("raw", port=9000, port_name="tcp"),
        Served("any", port=7000, port_name=""),
        Served("cut"),
    ]
    with hbone_bench(path, *served, ztunnels=False) as proxy, contextlib.ExitStack() as stack:
        for name in proxy.services:
            proxy.play(name, serve_name)
        files = install(path / "client", proxy.mesh.client, proxy.mesh.ca.root)
        inbound = install(path / "dest", proxy.mesh.endpoint, proxy.mesh.ca.root)
        alien = install(path / "alien", proxy.mesh.ca.leaf("in-ambient", "httpbin", "evil.example"), proxy.mesh.ca.root)
        strange = [proxy.services["alien"][0].ip]
        nobody = [proxy.services["gone"][0].ip]
        hbone = [member.ip for one in served if one.hbone for member in proxy.services[one.name]]
        pods = [ip for ip in hbone if ip not in strange + nobody]
        far = stack.enter_context(envoy.running(path, "dest-envoy", envoy.destination(pods, inbound)))
        stack.enter_context(envoy.running(path, "alien-envoy", envoy.destination(strange, alien)))
        targets = {one.name: (proxy.authority(one.name), proxy.host(one.name)) for one in served}
        targets["pod"] = (proxy.services["web"][1].address, "")
        targets["unknown"] = ("10.96.9.9:8000", "")
        targets["unknown port"] = ("10.96.0.1:8001", "")
        targets["hostname"] = (f"{proxy.host('web')}:8000", "")
        targets["six"] = (proxy.authority("web", 6), "")
        ports = {name: free_port() for name in targets}
        outbound = {ports[name]: target for name, target in targets.items()}
        near = stack.enter_context(envoy.running(path, "client-envoy", envoy.client(proxy.address, files, outbound)))
        yield Between(proxy, near, far, ports)


def names(between: Between, name: str, count: int) -> list[str]:
    answers = [between.get(name) for _ in range(count)]
    return [body if status == 200 else str(status) for status, body in answers]


def test_round_robin_and_its_line(between: Between) -> None:
    order = names(between, "web", 6)
    assert order[:3] == order[3:] and set(order) == {"web-1", "web-2", "web-3"}
    path = unique("/hostname")
    assert between.get("web", path)[0] == 200
    proxy = between.proxy
    line = proxy.line(path)
    assert (line["status"], line["flags"], line["details"]) == ("200", "-", "via_upstream")
    assert line["host"] in [member.address for member in proxy.services["web"]]
    assert line["cluster"] == f"inbound-vip|8000|http|{proxy.host('web')}"
    assert line["downstream"] == proxy.authority("web")


def test_plain_endpoints(between: Between) -> None:
    assert sorted(names(between, "plain", 3)) == ["plain-1", "plain-2", "plain-3"]


def test_hostname_pod_and_ipv6_authorities(between: Between) -> None:
    assert sorted(names(between, "hostname", 3)) == ["web-1", "web-2", "web-3"]
    assert sorted(names(between, "six", 3)) == ["web-1", "web-2", "web-3"]
    assert names(between, "pod", 4) == ["web-2"] * 4


@pytest.mark.parametrize("name", ["unknown", "unknown port"])
def test_unknown_targets(between: Between, name: str) -> None:
    told = partial(between.proxy.waypoint.lines, '"CONNECT - HTTP/2" 404 NR route_not_found')
    before = len(told())
    assert between.get(name) == (0, "")
    wait_until(lambda: len(told()) == before + 1, 3, "one line")
    assert between.get("web")[0] == 200


def test_headers(between: Between) -> None:
    endpoint = between.proxy.play("plain", serve_name)
    connection = http.client.HTTPConnection("127.0.0.1", between.ports["plain"], timeout=5)
    for _ in range(3):
        connection.request("GET", "/", headers={"x-envoy-max-retries": "9", "x-forwarded-client-cert": "forged"})
        response = connection.getresponse()
        response.read()
    heads = [head for member in between.proxy.services["plain"] for head in member.heads]
    assert len(heads) == 3 and endpoint.heads
    for head in heads:
        assert head["x-forwarded-proto"] == "http"
        assert re.fullmatch(r"[0-9a-f-]{36}", head["x-request-id"])
        assert not {"x-envoy-max-retries", "x-forwarded-client-cert", "x-forwarded-for"} & set(head)
    assert response.getheader("server") == "waypointd"
    assert response.getheader("x-envoy-upstream-service-time", "").isdigit()
    connection.close()


def test_an_app_down_behind_a_live_ztunnel(between: Between) -> None:
    """Envoy's waypoint answers 503 three times here; this one goes to another endpoint."""
    assert sorted(names(between, "down", 3)) == ["down-1", "down-2", "down-3"]
    victim = between.proxy.services["down"][0]
    victim.stop()
    assert set(names(between, "down", 20)) == {"down-2", "down-3"}
    wait_until(lambda: between.proxy.ejected("down") == [victim.address], 2, "ejected")


def test_nothing_on_15008(between: Between) -> None:
    victim = between.proxy.services["gone"][0]
    assert set(names(between, "gone", 20)) == {"gone-2", "gone-3"}
    wait_until(lambda: between.proxy.ejected("gone") == [victim.address], 2, "ejected")


def test_an_endpoint_of_another_trust_domain(between: Between) -> None:
    victim = between.proxy.services["alien"][0]
    assert set(names(between, "alien", 20)) == {"alien-2", "alien-3"}
    wait_until(lambda: between.proxy.ejected("alien") == [victim.address], 2, "ejected")
    assert not victim.heads


def test_three_failing_answers_eject(between: Between) -> None:
    victim = between.proxy.services["fails"][0]
    victim.play(FAILING)
    answers = names(between, "fails", 20)
    assert answers.count("503") == 3
    assert set(answers[-8:]) == {"fails-2", "fails-3"}
    (line,) = wait_until(lambda: between.proxy.waypoint.lines(f"endpoint={victim.address} "), 2, "the line")
    assert f'workload="{victim.name}"' in line


def test_bytes_and_half_close(between: Between) -> None:
    proxy = between.proxy
    endpoint = proxy.play("raw", echo)
    before = len(proxy.waypoint.lines("|tcp|"))
    with between.client("raw") as client:
        client.send(b"all at once")
        client.finish()
        assert client.rest() == b"all at onceEND"
    line = wait_until(lambda: proxy.waypoint.lines("|tcp|")[before:], 3, "the line")[0]
    told = fields(TCP_LINE, line)
    assert (told["received"], told["sent"], told["host"]) == ("11", "14", endpoint.address)
    wait_until(lambda: between.far.lines(f"dest CONNECT {endpoint.address} 200"), 3, "the destination's line")
    line = between.far.lines(f"dest CONNECT {endpoint.address} 200")[0]
    assert "peer=spiffe://cluster.local/ns/httpbin/sa/httpbin-waypoint tls=TLSv1.3" in line
    assert f";host={proxy.host('raw')}" in line


def test_a_server_that_speaks_and_closes_first(between: Between) -> None:
    def handler(peer: Peer) -> None:
        peer.send(b"hello" * 100_000)

    between.proxy.play("raw", handler)
    with between.client("raw") as client:
        assert client.rest() == b"hello" * 100_000


def test_sniffing(between: Between) -> None:
    between.proxy.play("any", serve_name)
    assert names(between, "any", 2) == ["any-1"] * 2
    between.proxy.play("any", echo)
    with between.client("any") as client:
        client.send(b"\x01\x02")
        assert client.exactly(2) == b"\x01\x02"
        client.finish()
        assert client.rest() == b"END"


def test_local_answers(between: Between) -> None:
    def cut(peer: Peer) -> None:
        peer.request()

    between.proxy.play("cut", cut)
    path = unique()
    with between.client("cut") as client:
        head, body = client.ask("any", path, method="POST", body=b"x")
    assert (head.status, head["content-type"], head["server"]) == (503, "text/plain", "waypointd")
    assert body.startswith(b"upstream connect error or disconnect/reset before headers") and len(body) == 95
    line = between.proxy.line(path)
    assert (line["flags"], line["details"]) == (
        "UC",
        "upstream_reset_before_response_started{connection_termination}",
    )
    with between.client("cut") as client:
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        assert client.head().status == 426
    with between.client("cut") as client:
        client.send(b"no http\r\n\r\n")
        assert client.head().status == 400


def test_large_bodies_and_many_connections(between: Between) -> None:
    size = 8 << 20

    def mirror(peer: Peer) -> None:
        while True:
            _, body = peer.request()
            peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)

    between.proxy.play("cut", mirror)
    with between.client("cut") as client:
        assert client.ask("any", method="POST", body=b"m" * size)[1] == b"m" * size
    clients = [between.client("cut") for _ in range(60)]
    for client in clients:
        client.request("any", method="POST", body=b"abc")
    assert [client.answer()[1] for client in clients] == [b"abc"] * 60
    for client in clients:
        client.close()


def test_a_client_without_or_with_a_wrong_certificate(between: Between, tmp_path: Path) -> None:
    proxy = between.proxy
    target = {free_port(): (proxy.authority("web"), "")}
    wrong = install(tmp_path / "wrong", proxy.mesh.ca.leaf("client", "httpbin", "evil.example"), proxy.mesh.ca.root)
    none = envoy.client(proxy.address, wrong, target)
    del none["static_resources"]["clusters"][0]["transport_socket"]["typed_config"]["common_tls_context"][
        "tls_certificates"
    ]
    for name, configuration in (("wrong", envoy.client(proxy.address, wrong, target)), ("none", none)):
        with envoy.running(tmp_path, name, configuration), Client(next(iter(target))) as client:
            client.request("any")
            with contextlib.suppress(ConnectionResetError):
                assert not client.more()
    proxy.told("evil.example")
