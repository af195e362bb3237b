"""Certificates that a real istiod signs for tokens of a real API server: in use, renewed, and what is said without."""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import rig
from tests.certificates import Authority
from tests.cluster.istiod_site import ISTIOD, Site, readiness
from tests.fleet.redis_relay import Relay
from tests.integration.tunnels import Tunnels
from tests.manifests import Manifests, gateway
from tests.rig import Endpoint, Replica, Waypoint, free_port, wait_until

pytestmark = pytest.mark.mesh


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    made = Site("signed")
    made.prepare()
    yield made
    made.leave()


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
def way() -> Iterator[Relay]:
    """The way to istiod, which can be cut: for who comes by it, istiod is away then."""
    way = Relay(ISTIOD[1])
    yield way
    way.close()


def options(mounted: Path, way: Relay, *more: str) -> tuple[str, ...]:
    files = ("--ca-token", str(mounted / "istio-token"), "--ca-root", str(mounted / "root-cert.pem"))
    return ("--ca", f"istiod://127.0.0.1:{way.port}", *files, *more)


@contextmanager
def replica(directory: Path, hbone: tuple[Manifests, int], site: Site, way: Relay, *more: str) -> Iterator[Replica]:
    mounted = site.mount(directory / "mounted")
    with rig.replica(directory, *hbone, *options(mounted, way, *more), workers=2) as made:
        yield made


def test_a_certificate_of_istiods_is_in_use(
    tmp_path: Path, hbone: tuple[Manifests, int], site: Site, way: Relay
) -> None:
    client = site.signed(tmp_path / "client")
    with replica(tmp_path, hbone, site, way) as made:
        with Tunnels(hbone[1], client, waypoint=site.identity) as traffic:
            wait_until(lambda: traffic.count > 50 or traffic.failed, 20, "requests of a client of the same mesh")
        shown = made.info("/certs")
        assert " error " not in made.waypoint.errors()
    assert traffic.failed == []
    assert (shown["identity"], shown["requests"], shown["failures"]) == (site.identity, 1, 0)
    assert 0.99 < shown["days_until_expiration"] <= 1
    assert [each["subject"] for each in shown["roots"]] == ["O=cluster.local"]


def test_it_is_renewed_under_traffic_and_istiod_may_be_away_for_longer_than_half_a_life(
    tmp_path: Path, hbone: tuple[Manifests, int], site: Site, way: Relay
) -> None:
    client = site.signed(tmp_path / "client")
    with (
        replica(tmp_path, hbone, site, way, "--ca-ttl", "40s") as made,
        Tunnels(hbone[1], client, waypoint=site.identity) as traffic,
    ):
        wait_until(lambda: len(traffic.chains) == 2 or traffic.failed, 40, "the next certificate, at half a life")
        way.cut()
        wait_until(lambda: made.info("/certs")["failures"] > 1 or traffic.failed, 40, "asked in vain, at half a life")
        assert traffic.failed == []
        count = traffic.count
        wait_until(lambda: traffic.count > count + 50 or traffic.failed, 10, "served on")
        assert "no connection to it: connection refused: does istiod run" in made.waypoint.errors()
        way.heal()
        wait_until(lambda: not made.info("/certs")["problems"] or traffic.failed, 30, "renewed")
        wait_until(lambda: len(traffic.chains) > 2 or traffic.failed, 10, "the third certificate")
    assert traffic.failed == []
    assert re.search(
        f"certificate of {site.identity}, valid until 20.*Z; trust domains cluster.local", made.waypoint.errors()
    )


@contextmanager
def refused(directory: Path, manifests: Manifests, *more: str) -> Iterator[tuple[Waypoint, int]]:
    """A replica that does not become ready, and its port for readiness."""
    status = free_port()
    made = Waypoint(
        directory,
        *("-w", "1", "--manifests", str(manifests.path), "--bind", "127.0.0.1", "--status", f"127.0.0.1:{status}"),
        *("--admin", "127.0.0.1:0", "--drain-delay", "0", "--drain-time", "1", *more),
    )
    made.start()
    try:
        yield made, status
    finally:
        assert made.stop() == 0, made.errors()


def opened(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize(
    ("audience", "more", "told"),
    [
        ("https://kubernetes.default.svc", (), "its audience is https://kubernetes.default.svc, not istio-ca: mount a"),
        ("istio-ca", ("--cluster-id", "elsewhere"), "we say that we are of cluster elsewhere"),
    ],
    ids=["wrong audience", "wrong cluster"],
)
def test_a_token_that_istiod_refuses(
    tmp_path: Path,
    hbone: tuple[Manifests, int],
    site: Site,
    way: Relay,
    audience: str,
    more: tuple[str, ...],
    told: str,
) -> None:
    mounted = site.mount(tmp_path / "mounted", audience=audience)
    with refused(tmp_path, hbone[0], *options(mounted, way, *more)) as (made, status):
        wait_until(lambda: told in readiness(status), 20, "readiness names the reason")
        said = "it refuses our token (UNAUTHENTICATED: request authenticate failure)"
        assert said in made.errors() and told in made.errors()
        assert not opened(hbone[1])
        site.mount(tmp_path / "mounted")
        if not more:
            wait_until(lambda: opened(hbone[1]), 20, "the right token is mounted, and taken at once")


def test_a_root_that_is_not_istiods(tmp_path: Path, hbone: tuple[Manifests, int], site: Site, way: Relay) -> None:
    mounted = site.mount(tmp_path / "mounted")
    (mounted / "root-cert.pem").write_bytes(Authority().pem)
    told = f"TLS: its certificate does not verify against {mounted}/root-cert.pem"
    with refused(tmp_path, hbone[0], *options(mounted, way)) as (made, status):
        wait_until(lambda: told in readiness(status), 20, "readiness names the reason")
        assert "that is not the root of its CA: mount the ConfigMap istio-ca-root-cert" in made.errors()
        (mounted / "root-cert.pem").write_text(site.root())
        wait_until(lambda: opened(hbone[1]), 20, "the right root is mounted, and taken at once")
