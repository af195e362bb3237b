"""HTTPS listeners of the Gateway itself: which certificate a client is shown, which hosts it reaches, that who stalls
costs others nothing, and that what is not served is not opened."""

import contextlib
import socket
import ssl
from collections.abc import Iterator

import pytest

from tests.certificates import Authority
from tests.integration.hbone_rig import h2_headers, serve_name
from tests.integration.http_rig import Peer, Wire
from tests.integration.https_rig import CA, NAMES, Https, https, route, secret, to
from tests.rig import get, wait_until


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Https]:
    with https(tmp_path_factory.mktemp("https")) as running:
        yield running


@pytest.mark.parametrize(
    ("sni", "listener"),
    [
        ("second.example", "second"),
        ("SECOND.example", "second"),
        ("a.wild.example", "wild"),
        ("a.b.wild.example", "wild"),
        ("deep.wild.example", "deep"),
        ("wild.example", "any"),
        ("other.example", "any"),
        ("", "any"),
    ],
)
def test_which_certificate_is_shown(sni: str, listener: str, proxy: Https) -> None:
    assert proxy.shown(sni) == listener


@pytest.mark.parametrize(
    ("sni", "host", "answer"),
    [
        ("any.example", "any.example", "v1-0"),
        ("any.example", "any.example:443", "v1-0"),
        ("other.example", "any.example", "v1-0"),
        ("any.example", "second.example", "421"),
        ("any.example", "unknown.example", "404"),
        ("second.example", "second.example", "v2-0"),
        ("second.example", "any.example", "421"),
        ("second.example", "unknown.example", "421"),
        ("a.wild.example", "a.wild.example", "v3-0"),
        ("a.wild.example", "b.wild.example", "v3-0"),
        ("a.wild.example", "deep.wild.example", "421"),
        ("deep.wild.example", "deep.wild.example", "v4-0"),
        ("deep.wild.example", "DEEP.wild.example:8443", "v4-0"),
        ("deep.wild.example", "a.wild.example", "421"),
    ],
)
def test_which_hosts_are_reached(sni: str, host: str, answer: str, proxy: Https) -> None:
    """Of the listener that the connection belongs to (SNI), and no other (421, RFC 9110 15.5.20)."""
    assert proxy.asked(sni, host) == answer


def test_services_are_not_reached(proxy: Https) -> None:
    """By their own names, as on a plain listener."""
    assert get(proxy.proxy.replica.port, "/", "v1.httpbin")[0] == 200
    assert proxy.asked("other.example", "v1.httpbin") == "404"


def test_what_the_endpoint_is_told(proxy: Https) -> None:
    assert proxy.asked("second.example", "second.example") == "v2-0"
    assert proxy.proxy.services["v2"][0].heads[-1]["x-forwarded-proto"] == "https"


def test_a_connection_is_used_again(proxy: Https) -> None:
    with Wire(proxy.connect("second.example")) as client:
        for host, status in (("second.example", 200), ("any.example", 421), ("second.example", 200)):
            client.send(f"GET / HTTP/1.1\r\nhost: {host}\r\n\r\n")
            head = client.head()
            client.body(head)
            assert head.status == status


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (("h2", "http/1.1"), "h2"),
        (("http/1.1", "h2"), "h2"),
        (("http/1.1",), "http/1.1"),
        (("other",), None),
        ((), None),
    ],
)
def test_what_is_spoken(offered: tuple[str, ...], chosen: str | None, proxy: Https) -> None:
    with proxy.connect("second.example", *offered) as client:
        assert client.selected_alpn_protocol() == chosen


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_http2(newest: ssl.TLSVersion, proxy: Https) -> None:
    """Also hosts of several listeners on one connection, as browsers put them there."""
    client = proxy.http2("a.wild.example", newest)
    for host, status in (("a.wild.example", "200"), ("second.example", "421"), ("b.wild.example", "200")):
        stream = client.request(h2_headers("/", host), end=True)
        assert stream.answered()[":status"] == status
    client.close()


def test_only_tls_of_today(proxy: Https) -> None:
    context = {"minimum_version": ssl.TLSVersion.TLSv1_1, "maximum_version": ssl.TLSVersion.TLSv1_1}
    with pytest.raises(OSError), pytest.warns(DeprecationWarning):
        proxy.connect("second.example", **context).close()
    with proxy.connect("second.example", maximum_version=ssl.TLSVersion.TLSv1_2) as client:
        name, _, _ = client.cipher() or ("", "", 0)
        assert name.startswith("ECDHE-") and ("GCM" in name or "CHACHA20" in name)


def test_a_large_answer_and_a_large_request(proxy: Https) -> None:
    size = 4 << 20
    received: list[int] = []

    def serve(peer: Peer) -> None:
        _, body = peer.request()
        received.append(len(body))
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + b"x" * size)

    proxy.proxy.play("v2", serve)
    with Wire(proxy.connect("second.example")) as client:
        client.send(f"POST / HTTP/1.1\r\nhost: second.example\r\ncontent-length: {size}\r\n\r\n")
        client.send(b"y" * size)
        head = client.head()
        assert len(client.body(head)) == size and received == [size]
    proxy.proxy.play("v2", serve_name)


def test_who_stalls_holds_nobody(proxy: Https) -> None:
    """A hundred clients that begin a handshake and do not go on, and some that speak no TLS at all."""
    with contextlib.ExitStack() as stack:
        for number in range(100):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", proxy.port), 5))
            sock.sendall(b"\x16\x03\x01\x02\x00\x01" if number % 2 else b"")
        plain = stack.enter_context(socket.create_connection(("127.0.0.1", proxy.port), 5))
        plain.sendall(b"GET / HTTP/1.1\r\nhost: any.example\r\n\r\n")
        assert proxy.asked("second.example", "second.example") == "v2-0"
        assert get(proxy.proxy.replica.port, "/", "v1.httpbin")[0] == 200
        assert b"HTTP/" not in plain.recv(100), "nothing is answered in clear text"
    wait_until(lambda: "TLS refused to" in proxy.proxy.waypoint.errors(), 5, "it is told")


def test_a_secret_that_changes_is_followed(proxy: Https) -> None:
    """New connections are shown the new one; those there are go on. One that is wrong changes nothing."""
    former = proxy.leaves["second"]
    with Wire(proxy.connect("second.example")) as client:
        proxy.leaves["second"] = CA.leaf("", names=["second.example"])
        proxy.proxy.manifests.put("secret-second", secret("cert-second", proxy.leaves["second"]))
        wait_until(lambda: proxy.shown("second.example") == "second", 10, "the new one")
        client.send("GET / HTTP/1.1\r\nhost: second.example\r\n\r\n")
        assert client.head().status == 200
    broken = secret("cert-second", former)
    broken["data"]["tls.key"] = secret("x", Authority().leaf(""))["data"]["tls.key"]
    proxy.proxy.manifests.put("secret-second", broken)
    errors = proxy.proxy.waypoint.errors
    said = "certificateRefs: httpbin/cert-second: is not the key of the certificate; the last good ones stay in force"
    wait_until(lambda: said in errors(), 10, "the mistake is told")
    assert proxy.shown("second.example") == "second"
    proxy.proxy.manifests.put("secret-second", secret("cert-second", proxy.leaves["second"]))
    wait_until(lambda: "right again" in errors(), 10, "mended")
    shown = proxy.proxy.replica.info("/config_dump")
    assert "PRIVATE" not in str(shown) + errors()
    assert "'hostname': 'second.example', 'credentials': ['certificateRefs=httpbin/cert-second']" in str(shown)


def test_a_listener_without_a_certificate_refuses_and_nobody_takes_its_place(proxy: Https) -> None:
    """A Secret that is not there, one of a namespace that grants nothing, TLS that is to be passed through."""
    gone, far = {"certificateRefs": [{"name": "gone"}]}, {"certificateRefs": [{"name": "far", "namespace": "certs"}]}
    passed = {"certificateRefs": [], "mode": "Passthrough"}
    proxy.proxy.manifests.put("secret-far", secret("far", proxy.leaves["wild"], "certs"))
    listeners = [proxy.listener("any"), proxy.listener("second", **gone), proxy.listener("wild", **far)]
    listeners.append(proxy.listener("deep", **passed) | {"protocol": "TLS"})
    proxy.proxy.replica.serve(lambda: proxy.put_gateway(listeners))
    names = ("any.example", "second.example", "a.wild.example", "deep.wild.example")
    refused = "TLSV1_UNRECOGNIZED_NAME"
    assert [proxy.shown(each) for each in names] == ["any", refused, refused, refused]
    errors = proxy.proxy.waypoint.errors()
    for said in (
        "certificateRefs: httpbin/gone: there is no such Secret, or none that the Gateway's ServiceAccount may get; "
        "no handshake succeeds with it until that is mended",
        "RefNotPermitted: no ReferenceGrant of namespace certs lets Gateways of httpbin refer to it",
        "TLS listeners are not built in this version",
    ):
        assert said in errors
    source = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "namespace": "httpbin"}
    spec = {"from": [source], "to": [{"group": "", "kind": "Secret", "name": "far"}]}
    metadata = {"name": "certs", "namespace": "certs"}
    grant = {"apiVersion": "gateway.networking.k8s.io/v1beta1", "kind": "ReferenceGrant", "metadata": metadata}
    proxy.proxy.replica.serve(lambda: proxy.proxy.manifests.put("grant", grant | {"spec": spec}))
    wait_until(lambda: proxy.shown("a.wild.example") == "wild", 5, "what is granted")
    proxy.proxy.replica.serve(lambda: proxy.put_gateway([proxy.listener(name) for name in NAMES]))
    assert [proxy.shown(each) for each in names] == ["any", "second", "wild", "deep"]


def test_what_is_asked_of_clients_is_never_left_out(proxy: Https) -> None:
    """Client certificates are not verified, so a port that asks for them is not opened."""
    validation = {"validation": {"caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": "cas"}]}}
    port = [{"port": proxy.port, "tls": validation}]
    everything = [proxy.listener(name) for name in NAMES]
    for frontend in ({"default": validation}, {"default": {}, "perPort": port}):
        asked = {"frontend": frontend}
        proxy.proxy.replica.serve(lambda asked=asked: proxy.put_gateway(everything, tls=asked))  # type: ignore[misc]
        with pytest.raises(ConnectionRefusedError):
            proxy.connect("any.example")
        proxy.proxy.replica.serve(lambda: proxy.put_gateway(everything))
    assert "client certificates are not verified by this version" in proxy.proxy.waypoint.errors()
    assert proxy.shown("any.example") == "any"


def test_redirects_lead_back(proxy: Https) -> None:
    """F8: to the scheme and port that the request came to."""
    path = {"type": "ReplaceFullPath", "replaceFullPath": "/b"}
    there = [{"type": "RequestRedirect", "requestRedirect": {"path": path}}]
    body = route("redirect", "second", ["second.example"], {"filters": there})
    proxy.proxy.replica.serve(lambda: proxy.proxy.manifests.put("route-second", body))
    head, _ = proxy.ask("second.example", "second.example", "/a")
    assert (head.status, head["location"]) == (302, f"https://second.example:{proxy.port}/b")
    proxy.proxy.replica.serve(
        lambda: proxy.proxy.manifests.put("route-second", route("second", "second", ["second.example"], to("v2")))
    )
