"""A replica whose certificates istiod signs: when HBONE is opened, renewal, istiod away. It is a gRPC server here."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import rig
from tests.certificates import CLIENT_POD, WAYPOINT, Authority
from tests.integration.tunnels import Tunnels
from tests.istiod_rig import Istiod, mount, token
from tests.manifests import Manifests, gateway
from tests.rig import Endpoint, Replica, Waypoint, free_port, get, wait_until


@pytest.fixture(scope="module")
def members() -> Iterator[list[Endpoint]]:
    with rig.endpoints(1) as made:
        yield made


@pytest.fixture
def hbone(members: list[Endpoint]) -> Iterator[tuple[Manifests, int]]:
    """Manifests with an HBONE listener alone, and its port."""
    with rig.manifests_for(members) as (manifests, _):
        port = free_port()
        manifests.put("gateway", gateway(hbone=port))
        yield manifests, port


@pytest.fixture
def istiod() -> Iterator[Istiod]:
    """Not started yet."""
    made = Istiod()
    yield made
    made.stop()


@contextmanager
def waypoint(directory: Path, manifests: Manifests, istiod: Istiod, *more: str) -> Iterator[tuple[Waypoint, int]]:
    """A replica that may not be ready yet, and its port for readiness."""
    status = free_port()
    made = Waypoint(
        directory,
        *("-w", "1", "--manifests", str(manifests.path), "--bind", "127.0.0.1", "--status", f"127.0.0.1:{status}"),
        *("--admin", "127.0.0.1:0", "--drain-delay", "0", "--drain-time", "1", *options(directory, istiod), *more),
    )
    made.start()
    try:
        yield made, status
    finally:
        assert made.stop() == 0, made.errors()


def options(directory: Path, istiod: Istiod) -> tuple[str, ...]:
    found = [str(directory / name) for name in ("istio-token", "root-cert.pem")]
    return ("--ca", f"istiod://127.0.0.1:{istiod.port}", "--ca-token", found[0], "--ca-root", found[1])


def readiness(port: int) -> tuple[int, str]:
    try:
        return get(port, "/healthz/ready")
    except OSError as fault:
        return 0, str(fault)


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_hbone_is_opened_when_the_first_certificate_comes(
    tmp_path: Path, hbone: tuple[Manifests, int], istiod: Istiod
) -> None:
    manifests, port = hbone
    mount(tmp_path, istiod.ca.pem)
    with waypoint(tmp_path, manifests, istiod) as (made, status):
        reason = "no connection to it: connection refused: does istiod run"
        wait_until(lambda: reason in readiness(status)[1], 15, made.errors())
        assert readiness(status)[0] == 503 and not is_open(port)
        istiod.start()
        wait_until(lambda: readiness(status)[0] == 200, 15, "ready with a certificate")
        with Tunnels(port, istiod.ca.leaf(CLIENT_POD)) as traffic:
            wait_until(lambda: traffic.count > 20 or traffic.failed, 10, "requests")
        assert traffic.failed == []
        assert re.search(f"info controller certificate of {WAYPOINT}, valid until 20", made.errors())


def test_a_start_as_it_should_be_has_no_error_in_its_log(
    tmp_path: Path, hbone: tuple[Manifests, int], istiod: Istiod
) -> None:
    istiod.slow_s = 0.5
    istiod.start()
    mount(tmp_path, istiod.ca.pem)
    with waypoint(tmp_path, hbone[0], istiod) as (made, status):
        wait_until(lambda: readiness(status)[0] == 200, 15, "ready")
        assert f"HBONE needs certificates: istiod://127.0.0.1:{istiod.port}: its answer" in made.errors()
        assert " error " not in made.errors()


@contextmanager
def replica(directory: Path, hbone: tuple[Manifests, int], istiod: Istiod, *more: str) -> Iterator[Replica]:
    mount(directory, istiod.ca.pem)
    with rig.replica(directory, hbone[0], hbone[1], *options(directory, istiod), *more) as made:
        yield made


def test_a_certificate_is_renewed_under_traffic_and_outlives_istiod(
    tmp_path: Path, hbone: tuple[Manifests, int], istiod: Istiod
) -> None:
    istiod.lasts = 12.0
    istiod.start()
    with replica(tmp_path, hbone, istiod) as made, Tunnels(hbone[1], istiod.ca.leaf(CLIENT_POD)) as traffic:
        istiod.lasts = 3600.0
        wait_until(lambda: len(traffic.chains) == 2 or traffic.failed, 25, "the next certificate, at half a life")
        istiod.stop()
        mount(tmp_path, istiod.ca.pem + Authority(name="next").pem)  # a reason to ask
        wait_until(lambda: made.info("/certs")["failures"] > 0 or traffic.failed, 25, "asked in vain")
        count = traffic.count
        wait_until(lambda: traffic.count > count + 20 or traffic.failed, 10, "served on")
        text = made.waypoint.errors()
        assert "no connection to it: connection refused: does istiod run" in text
        assert "keeping the certificate that is valid until" in text
        istiod.start()
        wait_until(lambda: not made.info("/certs")["problems"] or traffic.failed, 30, "renewed")
    assert traffic.failed == []
    assert len(set(asked_keys(istiod))) == len(istiod.asked), "each with a key of its own"


def asked_keys(istiod: Istiod) -> list[int]:
    return [each.csr.public_key().public_numbers().x for each in istiod.asked]  # type: ignore[union-attr]


def test_a_new_controller_goes_on_with_the_certificate_there_is(
    tmp_path: Path, hbone: tuple[Manifests, int], istiod: Istiod
) -> None:
    istiod.start()
    with replica(tmp_path, hbone, istiod) as made:
        before = made.info("/certs")
        istiod.stop()
        os.kill(made.info()["controller_pid"], signal.SIGKILL)
        wait_until(lambda: made.ready() and made.info("/certs")["requests"] == 0, 15, "the next controller")
        after = made.info("/certs")
        assert (after["serial_number"], after["problems"]) == (before["serial_number"], [])
        assert is_open(hbone[1])


def test_what_is_told_and_what_is_not(tmp_path: Path, hbone: tuple[Manifests, int], istiod: Istiod) -> None:
    istiod.start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(15)
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with replica(tmp_path, hbone, istiod, "--statsd", address, "--statsd-interval", "1") as made:
            shown = made.info("/certs")
            text = ""
            while "certificate.seconds_left" not in text:
                text += server.recv(65536).decode() + "\n"
            pages = [made.info(page) for page in ("/certs", "/config_dump", "/server_info")]
            said = made.waypoint.errors() + repr(pages)
    assert (shown["ca"], shown["requests"]) == (f"istiod://127.0.0.1:{istiod.port}", 1)
    assert shown["roots"][0]["subject"] == "O=cluster.local"
    assert "waypointd.certificate.requests:1|c" in text and "certificate.failures" not in text
    assert token().split(".")[1][:20] not in said and "PRIVATE" not in said and "c2lnbmF0dXJl" not in said


def test_check_says_what_is_wrong_with_token_and_root(
    tmp_path: Path, hbone: tuple[Manifests, int], istiod: Istiod
) -> None:
    def check() -> tuple[int, str]:
        command = [sys.executable, str(rig.ROOT / "bin" / "waypointd"), "--check", "--manifests", str(hbone[0].path)]
        done = subprocess.run([*command, *options(tmp_path, istiod)], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    mount(tmp_path, Authority().pem, token("vault"))
    (tmp_path / "root-cert.pem").unlink()
    status, text = check()
    assert status == 1 and "its audience is vault, not istio-ca" in text and "root-cert.pem: no such file" in text
    mount(tmp_path, Authority().pem)
    assert check()[0] == 0, "istiod is not asked"
