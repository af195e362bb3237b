"""CONNECT: which authorities are served, what the others are answered, who may connect, and what the log says of it."""

import contextlib
import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hbone.destination import Destination
from tests.hbone.identities import Authority, Leaf, context, self_signed, spiffe
from tests.hbone.ztunnel import Refused, Ztunnel
from tests.integration.hbone_rig import (
    CONNECT_LINE,
    HboneBench,
    Served,
    fields,
    h2_headers,
    hbone_bench,
    serve_name,
    service,
)
from tests.integration.http_rig import Scripted, unique
from tests.manifests import pod
from tests.rig import free_port, wait_until


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HboneBench]:
    served = [
        Served("web", count=2),
        Served("plain", hbone=False),
        Served("raw", port=9000, port_name="tcp"),
        Served("empty", count=0),
    ]
    with hbone_bench(tmp_path_factory.mktemp("connect"), *served) as running:
        for name in ("web", "plain", "raw"):
            running.play(name, serve_name)
        yield running


def status_of(proxy: HboneBench, authority: str) -> int:
    with pytest.raises(Refused) as refused:
        proxy.ztunnel.tunnel(authority)
    return refused.value.status


# -- authorities ------------------------------------------------------------------------------------------------------


def test_a_vip_reaches_its_service(proxy: HboneBench) -> None:
    assert sorted(proxy.ask("web", count=2)) == ["web-1", "web-2"]
    assert proxy.ask("plain") == ["plain-1"]
    assert sorted({proxy.ask(proxy.authority("web", 6))[0] for _ in range(2)}) == ["web-1", "web-2"], "IPv6"


@pytest.mark.parametrize(
    "name", ["plain.httpbin.svc.cluster.local", "plain.httpbin.svc", "plain.httpbin", "PLAIN.httpbin.SVC"]
)
def test_a_hostname_reaches_its_service(proxy: HboneBench, name: str) -> None:
    assert proxy.ask(f"{name}:8000") == ["plain-1"]


def test_a_pod_address_reaches_that_pod_alone(proxy: HboneBench) -> None:
    second = proxy.services["web"][1]
    assert proxy.ask(second.address, count=4) == ["web-2"] * 4
    path = unique()
    proxy.ask(second.address, path)
    line = proxy.line(path)
    assert (line["downstream"], line["host"]) == (second.address, second.address)


@pytest.mark.parametrize(
    ("authority", "status"),
    [
        ("10.96.0.99:8000", 404),
        ("10.96.0.1:8001", 404),
        ("[fd00:96::99]:8000", 404),
        ("nobody.httpbin.svc.cluster.local:8000", 404),
        ("127.0.0.1:22", 404),
        ("10.96.0.4:8000", 503),
        ("10.96.0.1", 400),
        ("10.96.0.1:", 400),
        ("10.96.0.1:99999", 400),
        ("10.96.0.1:80a", 400),
        ("[fd00:96::1]", 400),
        ("fd00:96::1:8000", 400),
    ],
)
def test_B7_other_targets_are_refused_and_logged(proxy: HboneBench, authority: str, status: int) -> None:
    before = len(proxy.waypoint.lines('"CONNECT '))
    assert status_of(proxy, authority) == status
    lines = wait_until(lambda: proxy.waypoint.lines('"CONNECT ')[before:], 2, "a line")
    assert len(lines) == 1
    line = fields(CONNECT_LINE, lines[0])
    assert (line["method"], line["path"], line["status"]) == ("CONNECT", "-", str(status))
    assert line["remote"].startswith(f"{proxy.ztunnel.pod}:")
    if status != 400:
        assert line["authority"] == authority
    if status == 404:
        assert (line["flags"], line["details"]) == ("NR", "route_not_found")
    if status == 503:
        assert (line["flags"], line["details"]) == ("UH", "no_healthy_upstream")


@pytest.mark.parametrize("authority", ["", "10.96.0.1:8000/path", "a b:8000"])
def test_malformed_authorities_reset_their_stream_alone(proxy: HboneBench, authority: str) -> None:
    with proxy.client("plain") as client, pytest.raises(ConnectionResetError, match="code 1"):
        proxy.ztunnel.tunnel(authority, over=client.stream.connection)
    assert client.stream.connection.goaways == []


def test_an_authority_with_a_user_is_refused(proxy: HboneBench) -> None:
    """By us with 400; a newer nghttp2 (Debian 13 has one) takes it for malformed, and resets the stream by itself."""
    with proxy.client("plain") as client:
        with pytest.raises((Refused, ConnectionResetError)) as refused:
            proxy.ztunnel.tunnel("user@10.96.0.1:8000", over=client.stream.connection)
        assert getattr(refused.value, "status", None) == 400 or "code 1" in str(refused.value)
        assert client.stream.connection.goaways == []
        assert client.ask("any")[1] == b"plain-1"


def test_a_refusal_harms_no_other_tunnel(proxy: HboneBench) -> None:
    with proxy.client("plain") as client:
        assert client.ask("any")[1] == b"plain-1"
        assert status_of(proxy, "10.96.0.99:8000") == 404
        assert client.ask("any")[1] == b"plain-1"
        assert len({id(connection) for connection in proxy.ztunnel.connections if not connection.closed}) == 1


def test_what_is_no_connect_is_not_found(proxy: HboneBench) -> None:
    connection = proxy.ztunnel.connect()
    for fields_of in (h2_headers("/x", proxy.authority("plain")), h2_headers("/", proxy.authority("plain"), "POST")):
        stream = connection.request(fields_of)
        assert stream.answered()[":status"] == "404"
    line = fields(CONNECT_LINE, wait_until(lambda: proxy.waypoint.lines('"GET - HTTP/2"'), 2)[0])
    assert (line["status"], line["flags"], line["details"]) == ("404", "NR", "route_not_found")
    connection.close()


def test_unknown_fields_of_a_connect_are_ignored(proxy: HboneBench) -> None:
    stream = proxy.tunnel("plain", more=[("x-istio-source", "waypoint"), ("x-what", "ever" * 500)])
    assert set(stream.headers) <= {":status", "date", "server", "baggage"}


def test_a_service_that_comes_and_goes(proxy: HboneBench) -> None:
    assert status_of(proxy, "10.96.0.77:8000") == 404
    member = proxy.services["plain"]
    proxy.served["late"], proxy.vips["late"] = Served("late", hbone=False), ["10.96.0.77", "fd00:96::77"]
    proxy.put(proxy.served["late"], member)

    def answer() -> str:
        try:
            return proxy.ask("10.96.0.77:8000")[0]
        except Refused as refused:
            return str(refused.status)
        except OSError:  # a tunnel opened just then is of no use
            return ""

    wait_until(lambda: answer() == "plain-1", 5, "served")
    proxy.manifests.remove("service-late")
    wait_until(lambda: answer() == "404", 5, "gone")
    proxy.manifests.remove("slice-late")


def test_a_closed_service_is_forbidden(proxy: HboneBench) -> None:
    """What an AuthorizationPolicy guards: bytes are refused with their CONNECT, requests one by one."""
    guard = {
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": {"name": "guard", "namespace": "httpbin"},
        "spec": {"targetRefs": [{"group": "", "kind": "Service", "name": name} for name in ("raw", "plain")]},
    }
    proxy.manifests.put("guard", guard)
    try:
        wait_until(lambda: proxy.ask("plain") == ["403"], 5, "closed")
        assert status_of(proxy, proxy.authority("raw")) == 403
        lines = wait_until(lambda: proxy.waypoint.lines('"CONNECT - HTTP/2" 403'), 3, "a line")
        line = fields(CONNECT_LINE, lines[-1])
        assert line["details"].startswith("rbac_access_denied")
    finally:
        proxy.manifests.remove("guard")
    wait_until(lambda: proxy.ask("plain") == ["plain-1"], 5, "open again")
    assert proxy.tunnel("raw").status == 200


def test_a_service_of_another_waypoint_is_not_found(proxy: HboneBench) -> None:
    body = service(proxy.served["raw"], proxy.vips["raw"])
    body["metadata"]["labels"] = {"istio.io/use-waypoint": "another-waypoint"}
    proxy.manifests.put("service-raw", body)
    wait_until(lambda: opened(proxy, "raw") == 404, 5, "another's")
    assert status_of(proxy, proxy.services["raw"][0].address) == 404, "nor its pods"
    proxy.manifests.put("service-raw", service(proxy.served["raw"], proxy.vips["raw"]))
    wait_until(lambda: opened(proxy, "raw") == 200, 5, "ours again")


def opened(proxy: HboneBench, name: str) -> int:
    try:
        return proxy.tunnel(name).status
    except Refused as refused:
        return refused.status


# -- who may connect --------------------------------------------------------------------------------------------------


def refused(proxy: HboneBench, leaf: Leaf | None, pod_ip: str) -> None:
    with (
        Ztunnel([proxy.address], leaf, proxy.mesh.ca.root, pod_ip) as stranger,
        pytest.raises((ConnectionResetError, ssl.SSLError, BrokenPipeError)),
    ):
        stranger.tunnel(proxy.authority("plain"))


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("no certificate", "certificate"),
        ("self-signed", "self-signed"),
        ("another mesh", "certificate"),
        ("expired", "expired"),
        ("another trust domain", "trust domain"),
        ("no SPIFFE name", "SPIFFE"),
    ],
)
def test_strangers_are_refused_by_name_and_reason(proxy: HboneBench, kind: str, reason: str) -> None:
    ca = proxy.mesh.ca
    leaf = {
        "no certificate": None,
        "self-signed": self_signed(spiffe("client")),
        "another mesh": Authority().leaf("client"),
        "expired": ca.leaf("client", hours=-1.0),
        "another trust domain": ca.leaf("client", "httpbin", "evil.example"),
        "no SPIFFE name": ca.leaf_of("https://client.example/"),
    }[kind]
    source = f"{proxy.ztunnel.pod[: proxy.ztunnel.pod.rindex('.')]}.{100 + len(kind)}"
    refused(proxy, leaf, source)
    told = proxy.told(source, reason)
    if kind == "another trust domain":
        assert "evil.example" in told
    assert proxy.ask("plain") == ["plain-1"], "others are served"


def test_tls_1_2_and_other_protocols_are_refused(proxy: HboneBench) -> None:
    made = context(proxy.mesh.client, proxy.mesh.ca.root, server=False)
    made.minimum_version = made.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection(proxy.address) as sock, pytest.raises((ssl.SSLError, OSError)):
        made.wrap_socket(sock)
    made = context(proxy.mesh.client, proxy.mesh.ca.root, server=False)
    made.set_alpn_protocols(["http/1.1"])
    sock = socket.create_connection(proxy.address, 5)
    with contextlib.suppress(OSError), contextlib.closing(sock), made.wrap_socket(sock) as tls:
        tls.sendall(b"GET / HTTP/1.1\r\nhost: plain\r\n\r\n")
        assert not tls.recv(100).startswith(b"HTTP/1.1 2")
    with socket.create_connection(proxy.address, 5) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nhost: plain\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert b"HTTP/1.1 2" not in sock.recv(100)
    assert proxy.ask("plain") == ["plain-1"]


def test_the_replica_shows_its_identity_and_gives_no_tickets(proxy: HboneBench) -> None:
    proxy.ask("plain")
    connection = next(connection for connection in proxy.ztunnel.connections if not connection.closed)
    assert connection.identity == "spiffe://cluster.local/ns/httpbin/sa/httpbin-waypoint"
    assert connection.tls is not None and connection.tls.selected_alpn_protocol() == "h2"
    assert connection.tls.session is None or not connection.tls.session.has_ticket


def test_chains_with_intermediates_are_accepted(proxy: HboneBench) -> None:
    middle = Authority("middle", above=proxy.mesh.ca)
    with proxy.mesh.ztunnel(proxy.address, leaf=middle.leaf("client")) as ours:
        assert ours.tunnel(proxy.authority("plain")).status == 200


def test_settings_are_as_ztunnel_needs_them(proxy: HboneBench) -> None:
    connection = proxy.ztunnel.connect()
    assert connection.wait_until(lambda one: 3 in one.peer_settings, 2)
    assert connection.peer_settings[3] >= 100
    assert connection.peer_settings[4] >= 256 << 10
    window = connection.h2.outbound_flow_control_window
    assert window >= 16 << 20 and window > connection.peer_settings[4], "one stream cannot take it all"
    connection.close()


def test_json_lines_name_the_peer(tmp_path: Path) -> None:
    with hbone_bench(tmp_path, Served("web"), args=("--access-log-format", "json")) as proxy:
        proxy.play("web", serve_name)
        path = unique()
        proxy.ask("web", path)
        line = json.loads(wait_until(lambda: proxy.waypoint.lines(path), 2)[0])
        assert line["downstream_peer_uri_san"] == spiffe("client-in-ambient")
        assert line["downstream_local_address"] == proxy.authority("web")
        assert status_of(proxy, "10.96.0.99:8000") == 404
        refusal = json.loads(wait_until(lambda: proxy.waypoint.lines("CONNECT"), 2)[0])
        assert refusal["downstream_peer_uri_san"] == spiffe("client-in-ambient")


def test_aliases_of_the_trust_domain(tmp_path: Path) -> None:
    args = ("--trust-domain-aliases", "old.example,older.example")
    with hbone_bench(tmp_path, Served("plain", hbone=False), args=args) as proxy:
        proxy.play("plain", serve_name)
        for domain in ("old.example", "older.example", "cluster.local"):
            with proxy.mesh.ztunnel(proxy.address, leaf=proxy.mesh.ca.leaf("client", "x", domain)) as ours:
                assert ours.tunnel(proxy.authority("plain")).status == 200
        refused(proxy, proxy.mesh.ca.leaf("client", "x", "new.example"), "127.0.0.66")
        proxy.told("new.example", "127.0.0.66")


# -- IPv6 pods --------------------------------------------------------------------------------------------------------


@pytest.fixture
def six() -> Iterator[None]:
    """There is one IPv6 address on loopback; tests that want its port 15008 take turns."""
    wait_until(lambda: not listening("::1", 15008), 30, "[::1]:15008 is free")
    yield


def listening(ip: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((ip, port), 1):
        return True
    return False


@pytest.mark.parametrize("captured", [True, False])
def test_an_ipv6_pod(proxy: HboneBench, six: None, captured: bool) -> None:
    name = f"six-{captured}".lower()
    endpoint = Scripted(f"{name}-1", "::1", free_port())
    endpoint.handler = serve_name
    endpoint.start()
    proxy.served[name] = Served(name, hbone=captured)
    proxy.vips[name] = ["10.96.0.60" if captured else "10.96.0.61", "fd00:96::60" if captured else "fd00:96::61"]
    proxy.put(proxy.served[name], [endpoint])
    with contextlib.ExitStack() as stack:
        far = None
        if captured:
            far = stack.enter_context(Destination("::1", proxy.mesh.endpoint, proxy.mesh.ca.root))

        def asked(authority: str) -> list[str]:
            try:
                return proxy.ask(authority)
            except Refused as refused:
                return [str(refused.status)]

        wait_until(lambda: asked(proxy.authority(name)) == [f"{name}-1"], 5, "served")
        assert proxy.ask(proxy.authority(name, 6)) == [f"{name}-1"]
        assert proxy.ask(f"[::1]:{endpoint.port}") == [f"{name}-1"]
        if far:
            assert {connect.authority for connect in far.connects} == {f"[::1]:{endpoint.port}"}
    endpoint.stop()
    for kind in ("service", "slice"):
        proxy.manifests.remove(f"{kind}-{name}")
    proxy.manifests.put(f"pod-{name}-1", pod(f"{name}-1", "127.0.0.9", captured=False))
