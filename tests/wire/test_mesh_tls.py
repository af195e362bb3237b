"""TLS of the mesh: real handshakes, whom they let in, and what is said of the others."""

import ssl
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from proxy.wire.tls import mesh as mesh_tls
from proxy.wire.tls.context import TlsContext, TlsEnd
from proxy.wire.tls.mesh import MeshTls, identity_in
from tests.certificates import CLIENT, CLIENT_POD, ENDPOINT_POD, PEM, SERVER, WAYPOINT, Authority, Leaf, self_signed

CA = Authority()
OTHER_CA = Authority(name="another.example")
OURS = CA.leaf()


class Result(NamedTuple):
    """What each side has after a handshake and a byte each way: the end, or the error."""

    server: Any
    client: Any


class Standard:
    """An end of the standard library's, so that it may do what ours does not."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.arriving, self.leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.arriving, self.leaving)

    def hear(self, data: bytes) -> None:
        self.arriving.write(data)

    def say(self) -> bytes:
        return self.leaving.read()

    def shake_hands(self) -> bool:
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def write(self, data: bytes) -> bool:
        return bool(self.tls.write(data))

    def read(self) -> bool:
        try:
            return bool(self.tls.read(1))
        except ssl.SSLWantReadError:
            return False


def meet(server: TlsContext, client: TlsContext | ssl.SSLContext) -> Result:
    one = TlsEnd(server)
    other = Standard(client) if isinstance(client, ssl.SSLContext) else TlsEnd(client)
    met: list[Any] = [None, None]
    for _ in range(4):  # each a flight
        for index, (side, peer) in enumerate([(other, one), (one, other)]):
            if met[index] is None:
                try:
                    done = side.shake_hands() and side.write(b"x")
                    met[index] = side if done and side.read() else None  # a TLS 1.3 client hears of a refusal only here
                except ssl.SSLError as fault:
                    met[index] = fault
                peer.hear(side.say())
    return Result(met[1], met[0])


def of(leaf: Leaf, *trust_domains: str) -> MeshTls:
    return MeshTls(**leaf.tls(*trust_domains))


# -- handshakes that succeed ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "client",
    [
        CA.leaf(CLIENT_POD),
        CA.leaf(CLIENT_POD, kind="rsa"),
        CA.leaf(CLIENT_POD, authority_key=False),
        Authority(parent=Authority(parent=CA)).leaf(CLIENT_POD),
    ],
    ids=["ec", "rsa", "no authority key identifier", "two intermediates"],
)
def test_peers_of_one_mesh_meet_and_know_each_other(client: Leaf) -> None:
    ours, theirs = of(OURS), of(client)
    result = meet(ours.server, theirs.client)
    assert result.server.version() == result.client.version() == "TLSv1.3"
    assert result.server.protocol() == result.client.protocol() == "h2"
    assert identity_in(result.server.peer_uris()) == theirs.identity == CLIENT_POD
    assert identity_in(result.client.peer_uris()) == ours.identity == WAYPOINT
    assert not ours.refusal(CLIENT_POD)


def test_nothing_can_be_resumed(tmp_path: Path) -> None:
    result = meet(of(OURS).server, with_certificate(CA.leaf(CLIENT_POD), tmp_path))
    assert not result.client.tls.session.has_ticket


def test_a_root_may_itself_be_issued_by_another() -> None:
    below = Authority(parent=CA)
    server, client = below.leaf(roots=below.pem), below.leaf(CLIENT_POD, roots=below.pem)
    assert meet(of(server).server, of(client).client).server.peer_uris() == [CLIENT_POD]


def test_several_roots_are_one_bundle() -> None:
    both = CA.pem + OTHER_CA.pem
    ours, theirs = of(CA.leaf(roots=both)), of(OTHER_CA.leaf(CLIENT_POD, roots=both))
    assert meet(ours.server, theirs.client).server.peer_uris() == [CLIENT_POD]


def test_a_leaf_alone_gets_what_the_roots_know_above_it() -> None:
    """The peer has the root only; what is between stands in our bundle of roots."""
    below = Authority(parent=CA)
    leaf = below.leaf(CLIENT_POD, roots=CA.pem + below.pem)
    leaf.chain = leaf.certificate.public_bytes(PEM)
    assert meet(of(OURS).server, of(leaf).client).server.peer_uris() == [CLIENT_POD]


# -- handshakes that fail ---------------------------------------------------------------------------------------------


def without_certificate() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(cadata=CA.pem.decode())
    return context


def with_certificate(leaf: Leaf, directory: Path) -> ssl.SSLContext:
    """A client that is not ours, so that it may do what ours does not."""
    context = without_certificate()
    leaf.write(directory)
    context.load_cert_chain(directory / "cert-chain.pem", directory / "key.pem")
    return context


@pytest.mark.parametrize(
    ("client", "ours", "theirs"),
    [
        (of(CA.leaf(CLIENT_POD, starts=-7200, lasts=-3600)).client, "certificate has expired", "certificate expired"),
        (of(CA.leaf(CLIENT_POD, starts=3600)).client, "certificate is not yet valid", "refused ours: bad certificate"),
        (of(OTHER_CA.leaf(CLIENT_POD, roots=CA.pem)).client, "unable to get local issuer", "unknown CA"),
        (of(CA.leaf(CLIENT_POD, usages=[SERVER])).client, "nsuitable certificate purpose", "refused ours"),
        (without_certificate(), "it sent no certificate", "certificate is required"),
    ],
    ids=["expired", "not yet valid", "another CA", "not for clients", "none"],
)
def test_a_client_is_refused_with_a_reason(client: TlsContext | ssl.SSLContext, ours: str, theirs: str) -> None:
    result = meet(of(OURS).server, client)
    assert ours in mesh_tls.reason_of(result.server)
    assert theirs in mesh_tls.reason_of(result.client)


@pytest.mark.parametrize("leaf_of", [CA, Authority(parent=CA)], ids=["root", "intermediate"])
@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"authority": True}, "certificate refused: it is a CA's (CA:TRUE), not a workload's"),
        (
            {"authority": True, "signs": ["key_cert_sign"]},
            "certificate refused: it is a CA's (CA:TRUE), not a workload's",
        ),
        (
            {"signs": ["key_cert_sign"]},
            "certificate refused: its key usage has keyCertSign, which a workload's may not",
        ),
        ({"signs": ["crl_sign"]}, "certificate refused: its key usage has cRLSign, which a workload's may not"),
    ],
    ids=["CA:TRUE", "CA:TRUE, keyCertSign", "keyCertSign", "cRLSign"],
)
def test_P6_who_may_issue_certificates_is_no_workload(leaf_of: Authority, wrong: Any, reason: str) -> None:
    client = meet(of(OURS).server, of(leaf_of.leaf(CLIENT_POD, **wrong)).client)
    assert mesh_tls.reason_of(client.server) == reason
    endpoint = meet(of(leaf_of.leaf(ENDPOINT_POD, **wrong)).server, of(OURS).client)
    assert mesh_tls.reason_of(endpoint.client) == reason


def test_P6_a_leaf_that_may_sign_nothing_is_refused() -> None:
    """RFC 8446, 4.4.2.2; OpenSSL sees to it for clients only."""
    client = meet(of(OURS).server, of(CA.leaf(CLIENT_POD, lacks=["digital_signature"])).client)
    assert mesh_tls.reason_of(client.server) == "certificate refused: unsuitable certificate purpose"
    endpoint = meet(of(CA.leaf(ENDPOINT_POD, lacks=["digital_signature"])).server, of(OURS).client)
    assert mesh_tls.reason_of(endpoint.client) == "certificate refused: its key usage lacks digitalSignature"


def test_P6_a_leaf_that_says_nothing_of_its_usage_is_a_workloads() -> None:
    leaf = self_signed(CLIENT_POD)
    leaf.roots += CA.pem
    server = CA.leaf(roots=leaf.roots)
    assert meet(of(server).server, of(leaf).client).server.peer_uris() == [CLIENT_POD]


def test_a_self_signed_client_is_refused() -> None:
    leaf = self_signed(CLIENT_POD)
    leaf.roots = CA.pem
    assert "self-signed certificate" in mesh_tls.reason_of(meet(of(OURS).server, of(leaf).client).server)


@pytest.mark.parametrize(
    ("server", "reason"),
    [
        (CA.leaf(ENDPOINT_POD, starts=-7200, lasts=-3600), "certificate has expired"),
        (OTHER_CA.leaf(ENDPOINT_POD, roots=CA.pem), "unable to get local issuer"),
        (CA.leaf(ENDPOINT_POD, usages=[CLIENT]), "nsuitable certificate purpose"),
    ],
    ids=["expired", "another CA", "not for servers"],
)
def test_an_endpoint_is_refused_with_a_reason(server: Leaf, reason: str) -> None:
    assert reason in mesh_tls.reason_of(meet(of(server).server, of(OURS).client).client)


def test_tls_1_2_is_refused() -> None:
    client = without_certificate()
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    assert mesh_tls.reason_of(meet(of(OURS).server, client).server) == "it does not speak TLS 1.3"


@pytest.mark.parametrize("offered", [[], ["http/1.1"]])
def test_another_protocol_is_noticed(tmp_path: Path, offered: list[str]) -> None:
    client = with_certificate(CA.leaf(CLIENT_POD), tmp_path)
    if offered:
        client.set_alpn_protocols(offered)
    result = meet(of(OURS).server, client)
    assert result.server.protocol() is None
    assert "h2" in mesh_tls.refusal_of_protocol(None)
    assert not mesh_tls.refusal_of_protocol("h2")
    assert mesh_tls.refusal_of_protocol("http/1.1") == "ALPN http/1.1 is not h2"


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "it sends plain HTTP, not TLS"),
        (b"\0\0\0\0\0\0\0\0\0\0\0\0", "what it sends is not TLS"),
    ],
)
def test_what_is_not_tls_is_said_to_be_so(sent: bytes, reason: str) -> None:
    ours = TlsEnd(of(OURS).server)
    ours.hear(sent)
    with pytest.raises(ssl.SSLError) as caught:
        ours.shake_hands()
    assert mesh_tls.reason_of(caught.value) == reason


def test_other_errors_say_themselves() -> None:
    assert mesh_tls.reason_of(ConnectionResetError(104, "Connection reset by peer")) == "connection reset by peer"
    assert mesh_tls.reason_of(TimeoutError()) == "timed out"
    assert mesh_tls.reason_of(ssl.SSLEOFError()) == "it closed the connection"


# -- who a peer is ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "uris",
    [
        ("",),
        ("https://cluster.local/ns/httpbin/sa/x",),
        ("spiffe://cluster.local/ns/httpbin/sa/x/y",),
        ("spiffe://cluster.local/ns/httpbin/sa/",),
        ("spiffe:///ns/httpbin/sa/x",),
        ("spiffe://cluster.local/sa/httpbin/ns/x",),
        ("SPIFFE://cluster.local/ns/httpbin/sa/x",),
        ("spiffe://cluster.local/ns/httpbin/sa/x y",),
        ("spiffe://cluster.local/ns/httpbin/sa/x\n",),
        ("spiffe://cluster.local/ns/../sa/x",),
        ("spiffe://cluster.local/ns/httpbin/sa/.",),
        (f"spiffe://{'a' * 256}/ns/httpbin/sa/x",),
        (f"spiffe://cluster.local/ns/httpbin/sa/{'x' * 2012}",),
        (CLIENT_POD, WAYPOINT),
    ],
)
def test_what_is_no_identity(tmp_path: Path, uris: tuple[str, ...]) -> None:
    leaf, ours = CA.leaf(*uris), of(OURS)
    client = with_certificate(leaf, tmp_path)
    assert identity_in(meet(ours.server, client).server.peer_uris()) is None
    assert ours.refusal(None) == "certificate has no SPIFFE URI"
    with pytest.raises(ValueError, match="no SPIFFE URI"):
        of(leaf)


@pytest.mark.parametrize(
    ("uris", "told"),
    [
        ((), "certificate has no SPIFFE URI"),
        (("",), "certificate has no SPIFFE URI"),
        (
            (CLIENT_POD, WAYPOINT),
            f"certificate has 2 URIs, not one: '{CLIENT_POD}', '{WAYPOINT}'",
        ),
        (
            ("spiffe://a/b\r\n\x1b\u2028",),
            "certificate has no SPIFFE URI of the form spiffe://TRUST_DOMAIN/ns/NAMESPACE/sa/ACCOUNT: "
            r"it has 'spiffe://a/b\r\n\x1b\u2028'",
        ),
    ],
    ids=["none", "an empty one", "two", "another form, with what a log must not have"],
)
def test_a_peer_without_an_identity_is_told_what_it_has(uris: tuple[str, ...], told: str) -> None:
    ours = of(OURS)
    assert ours.refusal(None, uris) == ours.refusal_of_endpoint(None, "", uris) == told


def test_what_is_told_of_a_long_uri_is_short() -> None:
    assert len(of(OURS).refusal(None, ["x" * 60_000, "y" * 60_000])) < 300


def test_a_peer_must_be_of_one_of_our_trust_domains() -> None:
    ours = of(OURS, "cluster.local", "old.example")
    assert not ours.refusal("spiffe://old.example/ns/a/sa/b")
    reason = ours.refusal("spiffe://evil.example/ns/httpbin/sa/client-in-ambient")
    assert reason == "trust domain evil.example is not one of cluster.local, old.example"


def test_an_endpoint_must_be_who_it_is_said_to_be() -> None:
    ours = of(OURS, "cluster.local", "old.example")
    assert not ours.refusal_of_endpoint(ENDPOINT_POD, "")
    assert not ours.refusal_of_endpoint(ENDPOINT_POD, "ns/httpbin/sa/in-ambient")
    assert not ours.refusal_of_endpoint("spiffe://old.example/ns/httpbin/sa/in-ambient", "ns/httpbin/sa/in-ambient")
    assert ours.refusal_of_endpoint(CLIENT_POD, "ns/httpbin/sa/in-ambient") == (
        "it is ns/httpbin/sa/client-in-ambient, not ns/httpbin/sa/in-ambient"
    )
    assert "evil.example" in ours.refusal_of_endpoint("spiffe://evil.example/ns/a/sa/b", "ns/a/sa/b")
    assert ours.refusal_of_endpoint(None, "") == "certificate has no SPIFFE URI"


def test_keys_that_are_encrypted_or_not_the_leafs_are_errors() -> None:
    wrong = OURS.tls() | {"key": CA.leaf().key}
    with pytest.raises(ssl.SSLError, match="key values mismatch"):
        MeshTls(**wrong)
