"""TLS to endpoints (`trafficPolicy.tls`): each row of destinationrule.md 1.5, to real TLS servers, past ztunnels and
through them."""

import base64
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

import pytest

from tests.integration.hbone_rig import HboneBench, Served, echo, h2_client, h2_headers, hbone_bench, serve_name
from tests.integration.http_rig import Handler, Peer, unique
from tests.integration.tls_rig import Files, Hello, TlsApp, context, system_roots, tls_rule
from tests.integration.tls_rows import (
    BOTH,
    CA,
    OTHERS,
    OURS,
    REVOKED,
    ROWS,
    SYSTEM,
    Row,
    dripping,
    h2_inside,
    h2_or_name,
    host,
    plain,
    silent,
    with_paths,
)
from tests.rig import ROOT, wait_until

Json = dict[str, Any]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    made = Files(tmp_path_factory.mktemp("credentials"))
    for name, content in (("ca", CA.pem), ("ours", OURS.chain), ("ours-key", OURS.key), ("crl", CA.revoked(REVOKED))):
        made.put(f"{name}.pem", content)
    return made


@pytest.fixture(scope="module")
def proxy(files: Files, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HboneBench]:
    ca = {"mode": "SIMPLE", "caCertificates": files.of("ca.pem"), "subjectAltNames": ["app.example"]}
    served = [
        Served(row.name + suffix, hbone=hbone, rule=tls_rule(row.name + suffix, with_paths(row.tls, files)))
        for row in ROWS
        for suffix, hbone in BOTH
    ]
    for suffix, hbone in BOTH:
        served += [
            Served(f"off{suffix}", hbone=hbone, rule=tls_rule(f"off{suffix}", {"mode": "DISABLE"})),
            Served(f"plain{suffix}", hbone=hbone, rule=tls_rule(f"plain{suffix}", ca)),
            Served(f"silent{suffix}", hbone=hbone, rule=tls_rule(f"silent{suffix}", ca, connect_timeout="300ms")),
            Served(f"bytes{suffix}", port_name="tcp", hbone=hbone, rule=tls_rule(f"bytes{suffix}", ca)),
            Served(f"large{suffix}", hbone=hbone, rule=tls_rule(f"large{suffix}", ca)),
            Served(f"up{suffix}", hbone=hbone, rule=tls_rule(f"up{suffix}", ca, {"h2UpgradePolicy": "UPGRADE"})),
            Served(f"as{suffix}", hbone=hbone, rule=tls_rule(f"as{suffix}", ca, {"useClientProtocol": True})),
        ]
        for name, http in (("one", None), ("one-up", {"h2UpgradePolicy": "UPGRADE"})):
            rule = tls_rule(name + suffix, ca, http, connections=1)
            served.append(Served(name + suffix, hbone=hbone, rule=rule))
        for version in ("V1", "V2"):
            name = f"told-{version.lower()}{suffix}"
            served.append(Served(name, hbone=hbone, rule=tls_rule(name, ca, proxyProtocol={"version": version})))
    served += [
        Served("secret", rule=tls_rule("secret", BY_NAME)),
        Served("istio-mutual", rule=tls_rule("istio-mutual", {"mode": "ISTIO_MUTUAL"})),
        Served("turning", rule=tls_rule("turning", ca | {"caCertificates": files.put("turning.pem", CA.pem)})),
    ]
    with system_roots(SYSTEM.pem), hbone_bench(tmp_path_factory.mktemp("tls"), *served) as running:
        yield running


def app(proxy: HboneBench, name: str, inside: Handler = serve_name, **more: Any) -> TlsApp:
    """The Service's endpoint speaks TLS from now on, as app.example."""
    made = TlsApp(context(CA.leaf("", names=["app.example"]), **more), inside)
    proxy.play(name, made)
    return made


@pytest.mark.parametrize(("suffix", "hbone"), BOTH, ids=["plain TCP", "inside HBONE"])
@pytest.mark.parametrize("row", ROWS, ids=[f"1.5 tls {row.name}" for row in ROWS])
def test_row(row: Row, suffix: str, hbone: bool, proxy: HboneBench) -> None:
    name = row.name + suffix
    served = TlsApp(context(row.leaf(name), row.clients, **row.server), serve_name)
    proxy.play(name, served)
    path = unique(f"/{name}")
    answer = proxy.ask(name, path)[0]
    line = proxy.line(f" {path} ")
    if not row.said:
        assert answer == proxy.services[name][0].name, line
        assert [each.hello for each in served.meetings] == [Hello(row.sni or host(name), ("http/1.1",))]
        assert served.meetings[0].client == (f"{OURS.certificate.serial_number:x}" if row.shows else "")
        return
    assert (answer, line["flags"]) == ("503", "UF")
    assert re.search(row.said, line["transport"]), line
    assert not proxy.services[name][0].heads, "no request came through"
    assert Hello("in clear text", ()) not in served.hellos


@pytest.mark.parametrize("name", ["off", "off-in-hbone", "istio-mutual"], ids=lambda name: f"1.5 tls {name}")
def test_without_tls_of_ours(name: str, proxy: HboneBench) -> None:
    """DISABLE, and ISTIO_MUTUAL, which is what HBONE is."""
    proxy.play(name, serve_name)
    assert proxy.ask(name) == [proxy.services[name][0].name]


@pytest.mark.parametrize("suffix", ["", "-in-hbone"], ids=["plain TCP", "inside HBONE"])
class TestConnections:
    def test_are_used_again(self, suffix: str, proxy: HboneBench) -> None:
        """Tickets, which come behind the handshake, are no answer that nobody asked for."""
        served = app(proxy, f"plain{suffix}")
        with proxy.client(f"plain{suffix}") as client:
            for _ in range(5):
                assert client.ask("any")[0].status == 200
        assert len(served.meetings) == 1

    def test_plain_endpoint(self, suffix: str, proxy: HboneBench) -> None:
        """One that speaks no TLS: nothing but a ClientHello ever reaches it."""
        endpoint = proxy.play(f"plain{suffix}", plain)
        path = unique()
        assert proxy.ask(f"plain{suffix}", path) == ["503"]
        line = proxy.line(f" {path} ")
        assert line["flags"] == "UF"
        assert "TLS_error:_what_it_sends_is_not_TLS" in line["transport"]
        assert [first[:1] for first in endpoint.bodies] == [b"\x16"]

    def test_asked_for_by_its_own_address(self, suffix: str, proxy: HboneBench) -> None:
        """Under no Service's policy, and over no connection that was made under one."""
        served = app(proxy, f"large{suffix}")
        endpoint = proxy.services[f"large{suffix}"][0]
        assert proxy.ask(f"large{suffix}") == [endpoint.name]
        with proxy.client(endpoint.address) as client:
            client.send(b"GET /own HTTP/1.1\r\nhost: a\r\n\r\n")
            assert client.ended() or client.buffer
        assert Hello("in clear text", ()) in served.hellos
        assert proxy.ask(f"large{suffix}") == [endpoint.name]
        assert len(served.meetings) == 1

    @pytest.mark.parametrize(
        ("name", "alpn", "inside"),
        [("one", [], serve_name), ("one-up", ["h2"], h2_inside), ("one-up", ["http/1.1"], serve_name)],
        ids=["HTTP/1.1", "HTTP/2", "HTTP/2 declined"],
    )
    def test_at_most_one(self, name: str, alpn: list[str], inside: Handler, suffix: str, proxy: HboneBench) -> None:
        """maxConnections: a connection that ends makes room for the next, and one whose TLS fails takes none."""
        endpoint = proxy.services[f"{name}{suffix}"][0]
        for _ in range(2):
            proxy.play(f"{name}{suffix}", plain)
            assert proxy.ask(f"{name}{suffix}") == ["503"]
            served = app(proxy, f"{name}{suffix}", inside, alpn=alpn)
            with proxy.client(f"{name}{suffix}") as client, proxy.client(f"{name}{suffix}") as other:
                for each in (client, other) * 3:
                    assert each.ask("any", "/a")[0].status == 200
            assert len(served.meetings) == 1
            assert endpoint.heads or inside is h2_inside

    @pytest.mark.parametrize("handler", [silent, dripping])
    def test_endpoint_that_takes_its_time(self, handler: Handler, suffix: str, proxy: HboneBench) -> None:
        """The handshake ends with the connectTimeout, and it is the endpoint's outcome."""
        proxy.play(f"silent{suffix}", handler)
        before, path = proxy.failures(f"silent{suffix}"), unique()
        assert proxy.ask(f"silent{suffix}", path) == ["503"]
        line = proxy.line(f" {path} ")
        assert (line["flags"], "connection_timeout" in line["details"]) == ("UF", True)
        assert 300 <= int(line["duration"]) < 2000
        assert proxy.failures(f"silent{suffix}") == before + 1

    def test_large_bodies(self, suffix: str, proxy: HboneBench) -> None:
        def back(peer: Peer) -> None:
            _, body = peer.request()
            peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)

        app(proxy, f"large{suffix}", back)
        body = bytes(range(256)) * 16384
        with proxy.client(f"large{suffix}") as client:
            head, found = client.ask("any", method="POST", body=body)
        assert head.status == 200
        assert found == body

    def test_tcp(self, suffix: str, proxy: HboneBench) -> None:
        """Bytes that are no HTTP, both ways to both ends."""
        served = app(proxy, f"bytes{suffix}", echo_once)
        with proxy.client(f"bytes{suffix}") as client:
            client.send(b"hello" * 5000)
            assert client.exactly(25000) == b"hello" * 5000
            client.finish()
            assert client.rest() == b"END"
        assert served.meetings[0].hello == Hello(host(f"bytes{suffix}"), ())


def echo_once(peer: Peer) -> None:
    """As `echo`, with a proper end of TLS."""
    echo(peer)
    peer.sock.unwrap()


@pytest.mark.parametrize("suffix", ["", "-in-hbone"], ids=["plain TCP", "inside HBONE"])
class TestAlpn:
    def test_upgrade_agreed(self, suffix: str, proxy: HboneBench) -> None:
        served = app(proxy, f"up{suffix}", h2_inside, alpn=["h2", "http/1.1"])
        assert proxy.ask(f"up{suffix}", "/path", count=2) == ["/path https", "/path https"]
        assert [each.protocol for each in served.meetings] == ["h2"]
        assert served.hellos == [Hello(host(f"up{suffix}"), ("h2", "http/1.1"))]

    @pytest.mark.parametrize("alpn", [["http/1.1"], []], ids=["http/1.1", "none"])
    def test_upgrade_declined(self, alpn: list[str], suffix: str, proxy: HboneBench) -> None:
        """It is sent HTTP/1.1, on the connection that said so, and is not offered HTTP/2 again for a while."""
        served = app(proxy, f"up{suffix}", alpn=alpn)
        name = proxy.services[f"up{suffix}"][0].name
        assert proxy.ask(f"up{suffix}", count=3) == [name] * 3
        assert len(served.meetings) == 1

    def test_client_protocol(self, suffix: str, proxy: HboneBench) -> None:
        served = app(proxy, f"as{suffix}", h2_or_name, alpn=["h2", "http/1.1"])
        assert proxy.ask(f"as{suffix}") == [proxy.services[f"as{suffix}"][0].name]
        stream = h2_client(proxy.tunnel(f"as{suffix}")).request(h2_headers("/two"), end=True)
        assert stream.recv(1 << 16) == b"/two https"
        assert [each.hello.alpn for each in served.meetings] == [("http/1.1",), ("h2", "http/1.1")]


# -- credentials that change ------------------------------------------------------------------------------------------


def test_files_are_followed_and_the_last_good_ones_kept(proxy: HboneBench, files: Files) -> None:
    first = app(proxy, "turning")
    name = proxy.services["turning"][0].name
    assert proxy.ask("turning") == [name]
    files.put("turning.pem", b"-----BEGIN CERTIFICATE-----\nbroken")
    told = proxy.told("caCertificates", "turning.pem", "holds no certificate", seconds=8)
    assert "DestinationRule httpbin/turning: spec.trafficPolicy.tls.caCertificates" in told
    assert "the last good ones stay in force" in told
    assert proxy.ask("turning") == [name]
    assert len(first.meetings) == 1, "nothing has changed, so the connection is used on"
    files.put("turning.pem", OTHERS.pem)
    wait_until(lambda: proxy.ask("turning") == ["503"], 8, "connections are made with the new CA")
    files.put("turning.pem", OTHERS.pem + CA.pem)
    wait_until(lambda: proxy.ask("turning") == [name], 8, "and with the next")


def test_missing_files_are_told_and_followed(proxy: HboneBench, files: Files) -> None:
    told = proxy.told("none.pem", "no such file", "503")
    assert "DestinationRule httpbin/missing: spec.trafficPolicy.tls.caCertificates" in told
    served = TlsApp(context(CA.leaf("", names=[host("missing")])), serve_name)
    proxy.play("missing", served)
    files.put("none.pem", CA.pem)
    wait_until(lambda: proxy.ask("missing") == [proxy.services["missing"][0].name], 8, "it is there")


def test_check_says_what_is_missing(proxy: HboneBench, files: Files) -> None:
    rule = tls_rule("off", {"mode": "SIMPLE", "caCertificates": files.of("nowhere.pem")})
    check = (sys.executable, str(ROOT / "bin" / "waypointd"), "--check", "-v", "--manifests", str(proxy.manifests.path))
    proxy.replica.serve(lambda: proxy.manifests.put("rule-off", rule))
    said = subprocess.run(check, capture_output=True, text=True, timeout=60, check=False).stdout
    proxy.replica.serve(lambda: proxy.manifests.put("rule-off", tls_rule("off", {"mode": "DISABLE"})))
    assert "DestinationRule httpbin/off: spec.trafficPolicy.tls.caCertificates: " in said
    assert "nowhere.pem: no such file; what needs it gets 503 until that is mended" in said
    assert re.search(r"httpbin/off:8000 \(http\): .*, under TLS \(SIMPLE\)", said)


def test_keys_are_nowhere_to_be_read(proxy: HboneBench) -> None:
    page = str(proxy.replica.info("/config_dump"))
    assert "ours-key.pem" in page
    assert "expiration_time" in page
    for text in (page, proxy.waypoint.errors(), proxy.waypoint.out.read_text()):
        assert "PRIVATE KEY" not in text
        assert OURS.key.splitlines()[1].decode() not in text


def secret(name: str, **data: bytes) -> Json:
    """As `kubectl create secret` makes it; `_` in a key stands for a dot."""
    texts = {key.replace("_", "."): base64.b64encode(value).decode() for key, value in data.items()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": "httpbin"},
        "type": "Opaque",
        "data": texts,
    }


TYPED = {"tls_crt": OURS.chain, "tls_key": OURS.key}
SECRETS = {
    "tls type": [secret("known", **TYPED, ca_crt=CA.pem)],
    "generic": [secret("known", cert=OURS.chain, key=OURS.key, cacert=CA.pem)],
    "-cacert beside": [secret("known", **TYPED, ca_crt=OTHERS.pem), secret("known-cacert", ca_crt=CA.pem)],
}


@pytest.mark.parametrize("secrets", SECRETS.values(), ids=[f"1.5 tls credentialName {name}" for name in SECRETS])
def test_secret_among_the_manifests(secrets: list[Json], proxy: HboneBench) -> None:
    """It is followed as the manifests are; without it, and with a broken one that was never good, requests get 503."""
    served = TlsApp(context(CA.leaf("", names=[host("secret")]), clients=CA.pem), serve_name)
    endpoint = proxy.play("secret", served)
    assert proxy.ask("secret") == ["503"]
    proxy.told("credentialName: known: there is no such Secret")
    for each in secrets:
        proxy.manifests.put(each["metadata"]["name"], each)
    wait_until(lambda: proxy.ask("secret") == [endpoint.name], 8, "the Secret is there")
    assert served.meetings[-1].client == f"{OURS.certificate.serial_number:x}"
    for each in secrets:
        proxy.manifests.remove(each["metadata"]["name"])
    proxy.told("the last good ones stay in force", "there is no such Secret", seconds=8)
    assert proxy.ask("secret") == [endpoint.name]
    proxy.manifests.put("known", secret("known", ca_crt=CA.pem, tls_crt=b"broken", tls_key=b"broken"))
    proxy.told("holds no certificate in PEM form", seconds=8)
    assert proxy.ask("secret") == [endpoint.name]
    # For the next: as if it had never been.
    proxy.manifests.remove("known")
    rule = tls_rule("secret", {"mode": "DISABLE"})
    proxy.replica.serve(lambda: proxy.manifests.put("rule-secret", rule))
    proxy.replica.serve(lambda: proxy.manifests.put("rule-secret", tls_rule("secret", BY_NAME)))


BY_NAME = {"mode": "MUTUAL", "credentialName": "known"}


# -- proxyProtocol ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("suffix", "hbone"), BOTH, ids=["plain TCP", "inside HBONE"])
@pytest.mark.parametrize("version", ["V1", "V2"], ids=lambda each: f"1.5 proxyProtocol {each}")
def test_proxy_protocol(version: str, suffix: str, hbone: bool, proxy: HboneBench) -> None:
    """Each connection begins with whose it is, before TLS; no two requests share one."""
    name = f"told-{version.lower()}{suffix}"
    served = TlsApp(context(CA.leaf("", names=["app.example"])), serve_name)
    said: list[bytes] = []

    def introduced(peer: Peer) -> None:
        first = peer.sock.recv(4096, socket.MSG_PEEK)
        size = first.index(b"\r\n") + 2 if version == "V1" else 16 + int.from_bytes(first[14:16])
        said.append(peer.sock.recv(size))
        served(peer)

    proxy.play(name, introduced)
    with proxy.client(name) as client:
        assert [client.ask("any")[0].status for _ in range(3)] == [200] * 3
    source, target = ip_address(proxy.ztunnel.pod), ip_address(proxy.vips[name][0])
    assert len(said) == 3
    if version == "V1":
        words = said[0].decode().split()
        assert words[:4] == ["PROXY", "TCP4", str(source), str(target)]
        assert words[5] == "8000"
    else:
        assert said[0][:16] == b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"
        assert said[0][16:24] == source.packed + target.packed
        assert said[0][26:] == (8000).to_bytes(2)
