"""Certificates that change while a replica runs, are missing, are wrong, or come to their end."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hbone.identities import Authority, Leaf, spiffe
from tests.hbone.ztunnel import Ztunnel
from tests.integration.hbone_rig import HboneBench, Mesh, Served, TunnelClient, hbone_bench, serve_name
from tests.integration.http_rig import Peer
from tests.manifests import Manifests, gateway, namespace
from tests.rig import Background, Waypoint, endpoints, free_port, get, manifests_for, replica, wait_until


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HboneBench]:
    with hbone_bench(tmp_path_factory.mktemp("certificates"), Served("web"), Served("plain", hbone=False)) as running:
        for name in ("web", "plain"):
            running.play(name, serve_name)
        yield running


def serial(proxy: HboneBench, account: str = "httpbin-waypoint") -> str:
    """Of the certificate that new connections see; "" if it is not this account's."""
    with Ztunnel([proxy.address], proxy.mesh.client, proxy.mesh.ca.root, waypoint=spiffe(account)) as ztunnel:
        try:
            connection = ztunnel.connect()
        except ConnectionError:
            return ""
        assert connection.tls is not None
        return str((connection.tls.getpeercert() or {})["serialNumber"])


class Load(Background):
    """Requests from some clients at a time, each over tunnels and, now and then, connections of its own."""

    def __init__(self, proxy: HboneBench, name: str, clients: int = 3) -> None:
        super().__init__(*[self._run] * clients)
        self._proxy, self._name = proxy, name
        self.answers: list[str] = []

    def _run(self) -> None:
        try:
            while not self.stopping.is_set():
                with self._proxy.mesh.ztunnel(self._proxy.address) as ztunnel:
                    for _ in range(5):
                        client = TunnelClient(ztunnel.tunnel(self._proxy.authority(self._name)))
                        for _ in range(3):
                            self.answers.append(client.ask("any")[1].decode())
        except (OSError, EOFError) as error:
            self.answers.append(repr(error))


def test_rotation_under_load_fails_nothing(proxy: HboneBench) -> None:
    with proxy.client("web") as old, Load(proxy, "web") as load:
        seen = {serial(proxy)}
        for _ in range(3):
            proxy.mesh.renew()
            wait_until(lambda: serial(proxy) not in seen, 5, "the new certificate")
            seen.add(serial(proxy))
            assert old.ask("any")[1] == b"web-1", "a tunnel of before"
    assert set(load.answers) == {"web-1"}
    assert len(load.answers) > 30


def test_new_connections_to_endpoints_use_the_new_certificate(proxy: HboneBench) -> None:
    endpoint = proxy.services["web"][0]
    destination = proxy.destination(endpoint)
    assert proxy.ask("web") == ["web-1"]
    assert destination.connects[-1].identity.endswith("/sa/httpbin-waypoint")
    proxy.mesh.renew(proxy.mesh.ca.leaf("another-waypoint"))
    wait_until(lambda: serial(proxy, "another-waypoint"), 5, "the new certificate")
    endpoint.drop()
    assert proxy.ask("web") == ["web-1"], "over a connection of before"
    assert destination.connects[-1].identity.endswith("/sa/another-waypoint")
    proxy.mesh.renew()
    wait_until(lambda: serial(proxy), 5, "the old identity")


@pytest.mark.parametrize("wrong", ["key of another", "missing"])
def test_files_that_cannot_be_used_keep_the_old_certificate(proxy: HboneBench, wrong: str) -> None:
    before = serial(proxy)
    leaf, directory = proxy.mesh.ca.leaf("httpbin-waypoint"), proxy.mesh.directory
    if wrong == "key of another":
        proxy.mesh.renew(Leaf(leaf.chain, proxy.mesh.client.key, ""))
    else:
        os.unlink(directory / "key.pem")
    proxy.told(str(directory), seconds=5)
    assert serial(proxy) == before
    assert proxy.ask("plain") == ["plain-1"]
    proxy.mesh.renew()
    wait_until(lambda: serial(proxy) != before, 5, "mended")


def test_other_roots(proxy: HboneBench) -> None:
    """Who leaves the roots is refused from then on; who comes is accepted."""
    other = Authority("other")
    theirs = other.leaf("client")

    def accepted(leaf: Leaf) -> bool:
        with proxy.mesh.ztunnel(proxy.address, leaf=leaf) as ztunnel:
            try:
                return ztunnel.tunnel(proxy.authority("plain")).status == 200
            except OSError:
                return False

    assert not accepted(theirs)
    proxy.mesh.renew(roots=proxy.mesh.ca.root + other.root)
    wait_until(lambda: accepted(theirs), 5, "accepted")
    assert accepted(proxy.mesh.client)
    proxy.mesh.renew(roots=proxy.mesh.ca.root)
    wait_until(lambda: not accepted(theirs), 5, "refused")
    assert accepted(proxy.mesh.client)


def test_an_hbone_listener_without_certificates_is_a_fault_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "manifests").mkdir()
    manifests = Manifests(tmp_path / "manifests")
    manifests.put("namespace", namespace())
    manifests.put("gateway", gateway(hbone=free_port()))
    for options, words in (
        ((), "--tls-dir"),
        (("--tls-dir", str(tmp_path / "nowhere")), str(tmp_path / "nowhere")),
    ):
        made = tmp_path / f"run{len(options)}"
        made.mkdir()
        waypoint = Waypoint(made, "--check", "--manifests", str(manifests.path), *options)
        waypoint.start()
        assert waypoint.ended(20) == 1
        assert words in waypoint.errors() + waypoint.out.read_text()


def test_a_plain_listener_serves_while_the_hbone_listener_waits_for_certificates(tmp_path: Path) -> None:
    mesh = Mesh(tmp_path / "tls")
    os.unlink(mesh.directory / "key.pem")
    with endpoints(1) as members, manifests_for(members) as (manifests, port):
        hbone = free_port()
        manifests.put("gateway", gateway(port, hbone))
        with replica(tmp_path, manifests, port, "--tls-dir", str(mesh.directory)) as running:
            assert get(port, "/hostname", "in-ambient")[0] == 200
            assert "key.pem" in running.waypoint.errors()
            mesh.renew()

            def served() -> bool:
                try:
                    with mesh.ztunnel(("127.0.0.1", hbone)) as ztunnel:
                        return ztunnel.tunnel("10.96.45.123:8000").status == 200
                except OSError:
                    return False

            wait_until(served, 8, "the HBONE listener")
            assert get(port, "/hostname", "in-ambient")[0] == 200


def test_long_requests_live_through_a_rotation(proxy: HboneBench) -> None:
    release = threading.Event()

    def slow(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nslow")
        release.wait(10)
        peer.send(b"slow")

    proxy.play("web", slow)
    with proxy.client("web") as client:
        client.request("any")
        client.head()
        before = serial(proxy)
        proxy.mesh.renew()
        wait_until(lambda: serial(proxy) != before, 5, "the new certificate")
        time.sleep(0.2)
        release.set()
        assert client.exactly(8) == b"slowslow"
