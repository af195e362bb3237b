"""Certificates under a running replica: an HBONE listener without them is a fault, not the end of the others."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import rig
from tests.certificates import CLIENT_POD, WAYPOINT, Authority, Leaf, self_signed
from tests.integration.tunnels import Tunnels
from tests.manifests import Manifests, gateway
from tests.rig import Endpoint, Replica, Waypoint, free_port, get, wait_until

CA = Authority()


@pytest.fixture(scope="module")
def members() -> Iterator[list[Endpoint]]:
    with rig.endpoints(1) as made:
        yield made


@pytest.fixture
def mesh(members: list[Endpoint]) -> Iterator[tuple[Manifests, int, int]]:
    """Manifests with an HTTP and an HBONE listener, and their ports."""
    with rig.manifests_for(members) as (manifests, port):
        hbone = free_port()
        manifests.put("gateway", gateway(port, hbone))
        yield manifests, port, hbone


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def say_check(*arguments: str) -> tuple[int, str]:
    command = [sys.executable, str(rig.ROOT / "bin" / "waypointd"), "--check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stdout


def body_of_key(pem: bytes) -> str:
    return pem.decode().splitlines()[1]


def test_without_certificates_the_other_listeners_serve(tmp_path: Path, mesh: tuple[Manifests, int, int]) -> None:
    manifests, port, hbone = mesh
    fault = f'listener "mesh" port {hbone}: HBONE needs certificates: --tls-dir is not set'
    with rig.replica(tmp_path, manifests, port) as made:
        assert rig.answer(made.port) == 200
        assert not is_open(hbone)
        assert made.waypoint.errors().count(fault) == 1
        assert made.info()["listener_faults"] == [fault]
        assert made.info("/certs") == {"directory": None, "problems": ["--tls-dir is not set"]}


def test_check_tells_what_is_missing(tmp_path: Path, mesh: tuple[Manifests, int, int]) -> None:
    manifests, _, hbone = mesh
    status, text = say_check("--manifests", str(manifests.path))
    assert status == 1
    assert f'fault: listener "mesh" port {hbone}: HBONE needs certificates: --tls-dir is not set\n' in text
    tls = CA.leaf().write(tmp_path / "tls")
    assert say_check("--manifests", str(manifests.path), "--tls-dir", str(tls))[0] == 0
    (tls / "key.pem").unlink()
    status, text = say_check("--manifests", str(manifests.path), "--tls-dir", str(tls))
    assert status == 1
    assert f"HBONE needs certificates: {tls}/key.pem: no such file\n" in text


def test_a_gateway_of_hbone_alone_waits_for_certificates(
    tmp_path: Path, mesh: tuple[Manifests, int, int], members: list[Endpoint]
) -> None:
    manifests, _, hbone = mesh
    manifests.put("gateway", gateway(hbone=hbone))
    status, tls = free_port(), tmp_path / "tls"
    waypoint = Waypoint(
        tmp_path,
        *("-w", "1", "--manifests", str(manifests.path), "--bind", "127.0.0.1", "--status", f"127.0.0.1:{status}"),
        *("--admin", "127.0.0.1:0", "--tls-dir", str(tls), "--drain-time", "1"),
    )
    waypoint.start()
    try:
        reason = f'not ready: listener "mesh" port {hbone}: HBONE needs certificates: {tls}: no such directory\n'
        wait_until(lambda: answered(status) == (503, reason), 10, waypoint.errors())
        CA.leaf().write(tls)
        wait_until(lambda: answered(status)[0] == 200, 5, "ready with certificates")
        assert is_open(hbone)
    finally:
        assert waypoint.stop() == 0


def answered(port: int) -> tuple[int, str]:
    try:
        return get(port, "/healthz/ready")
    except OSError as fault:
        return 0, str(fault)


@pytest.fixture
def certified(tmp_path: Path, mesh: tuple[Manifests, int, int]) -> Iterator[tuple[Replica, Path, int]]:
    manifests, port, hbone = mesh
    tls = CA.leaf().write(tmp_path / "tls")
    with rig.replica(tmp_path, manifests, port, "--tls-dir", str(tls)) as made:
        yield made, tls, hbone


def ask(made: Replica, port: int, client: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One request through a tunnel."""
    command = [sys.executable, str(rig.ROOT / "bin" / "waypointctl"), "hbone-get", f"127.0.0.1:{port}"]
    command += ["in-ambient.httpbin:8000", "/hostname", "--tls-dir", str(client), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_new_connections_get_the_new_chain(certified: tuple[Replica, Path, int], tmp_path: Path) -> None:
    made, tls, hbone = certified
    client = CA.leaf(CLIENT_POD).write(tmp_path / "client")
    wait_until(lambda: is_open(hbone), 5)
    first = ask(made, hbone, client)
    assert first.returncode == 0, first.stderr
    CA.leaf("spiffe://cluster.local/ns/httpbin/sa/renewed").write(tls)
    wait_until(lambda: "/sa/renewed (" in ask(made, hbone, client).stderr, 5, "the new chain")
    assert "/sa/httpbin-waypoint (" in first.stderr


def test_certificates_are_renewed_under_load(certified: tuple[Replica, Path, int]) -> None:
    _, tls, hbone = certified
    wait_until(lambda: is_open(hbone), 5)
    with Tunnels(hbone, CA.leaf(CLIENT_POD)) as traffic:
        wait_until(lambda: traffic.chains, 5)
        for number in range(2, 6):
            CA.leaf(kind="rsa" if number % 2 else "ec").write(tls)
            wait_until(lambda n=number: len(traffic.chains) == n or traffic.failed, 5, "the new chain")
    assert traffic.failed == []
    assert traffic.count > 100


@pytest.mark.parametrize(
    ("leaf", "reason", "told"),
    [
        (CA.leaf(CLIENT_POD, starts=-7200, lasts=-3600), "certificate has expired", "refused ours: certificate exp"),
        (Authority().leaf(CLIENT_POD), "unable to get local issuer certificate", "refused ours: unknown CA"),
        (self_signed(CLIENT_POD), "self-signed certificate", "refused ours: unknown CA"),
        (CA.leaf("spiffe://evil.example/ns/a/sa/b"), "trust domain evil.example is not one of cluster.local", "closed"),
        (CA.leaf(""), "certificate has no SPIFFE URI", "closed"),
        (CA.leaf(CLIENT_POD, WAYPOINT), f"certificate has 2 URIs, not one: '{CLIENT_POD}'", "closed"),
        (CA.leaf("spiffe://cluster.local/a\nwarn"), r"/sa/ACCOUNT: it has 'spiffe://cluster.local/a\nwarn'", "closed"),
    ],
    ids=["expired", "another CA", "self-signed", "another trust domain", "no identity", "two", "another form"],
)
def test_the_log_says_who_is_refused_and_why(
    certified: tuple[Replica, Path, int], tmp_path: Path, leaf: Leaf, reason: str, told: str
) -> None:
    made, _, hbone = certified
    wait_until(lambda: is_open(hbone), 5)
    leaf.roots = CA.pem
    refused = ask(made, hbone, leaf.write(tmp_path / "client"))
    assert refused.returncode == 4 and told in refused.stderr, refused.stderr
    place = re.search(r"from (127\.0\.0\.1:\d+) ", refused.stderr)
    assert place
    wait_until(lambda: any(place[1] in line and reason in line for line in made.waypoint.errors().splitlines()), 2)


def test_new_certificates_become_a_snapshot(certified: tuple[Replica, Path, int]) -> None:
    made, tls, hbone = certified
    wait_until(lambda: is_open(hbone), 5)
    before, number = made.info("/certs"), made.info()["snapshot"]
    assert before["identity"] == WAYPOINT and before["trust_domains"] == ["cluster.local"]
    assert re.search(f"info controller certificate of {WAYPOINT}, valid until 20.*Z", made.waypoint.errors())
    new = CA.leaf()
    new.write(tls)
    wait_until(lambda: made.info("/certs")["serial_number"] != before["serial_number"], 3)
    wait_until(lambda: made.info()["snapshot"] == number + 1, 3)
    wait_until(lambda: {row["snapshot"] for row in made.info()["workers"]} == {number + 1}, 3)


def test_bad_certificates_change_nothing(certified: tuple[Replica, Path, int]) -> None:
    made, tls, hbone = certified
    before, number = made.info("/certs"), made.info()["snapshot"]
    CA.leaf(starts=-7200, lasts=-3600).write(tls)
    wait_until(lambda: f"{tls}/cert-chain.pem: expired at 20" in made.waypoint.errors(), 4)
    assert made.info("/certs")["serial_number"] == before["serial_number"]
    assert made.info()["snapshot"] == number
    assert made.ready() and is_open(hbone)
    os.kill(made.info()["controller_pid"], signal.SIGKILL)
    wait_until(lambda: answered(made.status)[0] == 200, 5, "the next controller")
    assert made.info("/certs")["serial_number"] == before["serial_number"], "kept from the snapshot"
    assert is_open(hbone)


def test_keys_are_shown_nowhere(certified: tuple[Replica, Path, int]) -> None:
    made, tls, _ = certified
    key = body_of_key((tls / "key.pem").read_bytes())
    for page in ("/certs", "/config_dump", "/server_info", "/clusters"):
        shown = json.dumps(made.info(page))
        assert key not in shown and "PRIVATE KEY" not in shown
    assert key not in made.waypoint.errors() and "PRIVATE KEY" not in made.waypoint.errors()


def test_expiry_goes_to_statsd(tmp_path: Path, mesh: tuple[Manifests, int, int]) -> None:
    manifests, port, _ = mesh
    tls = CA.leaf(lasts=3000).write(tmp_path / "tls")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(10)
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with rig.replica(tmp_path, manifests, port, "--tls-dir", str(tls), "--statsd", address):
            text = ""
            while "certificate.days_left" not in text:
                text += server.recv(65536).decode() + "\n"
    found = re.search(r"^waypointd.certificate.seconds_left:(\d+)\|g$", text, re.MULTILINE)
    assert found and 2900 < int(found[1]) <= 3000
    assert "waypointd.certificate.days_left:0.03|g" in text
