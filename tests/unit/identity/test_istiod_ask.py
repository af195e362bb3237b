"""One request to a real gRPC server over TLS: what is asked, what comes of the answer, what is said of each failure."""

import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import h2.config
import h2.connection
import h2.events
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from proxy.identity import certificates, checking
from proxy.identity.istiod import ask as asking
from proxy.identity.istiod import call as asking_call
from proxy.identity.istiod import signing
from proxy.identity.istiod.ask import NotSigned, ask, faults_of, mounted
from proxy.identity.istiod.authority import Authority as Where
from tests.certificates import WAYPOINT, Authority, new_key, pem_of_key
from tests.istiod_rig import NAME, Istiod, mount, running, signed, token, where
from tests.listening import Listening
from tests.rig import free_port

NOW = 1_700_000_000.0
OTHER = Authority(name="other")


def asked(place: Where, now: float = NOW) -> certificates.Contents:
    return ask(place, mounted(place), now)


def reason(place: Where, now: float | None = None) -> str:
    with pytest.raises(NotSigned) as caught:
        asked(place, now or time.time())
    assert token().split(".")[2] not in str(caught.value), "a token is shown nowhere"
    return str(caught.value)


def pem_of(key: Any) -> bytes:
    return bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


@pytest.fixture
def istiod(tmp_path: Path) -> Iterator[Istiod]:
    with running() as istiod:
        mount(tmp_path, istiod.ca.pem)
        yield istiod


def test_a_certificate_comes_of_it(istiod: Istiod, tmp_path: Path) -> None:
    place = where(istiod.port, tmp_path, seconds=1800)
    contents = asked(place)
    found = checking.check(place.url, contents, time.time())
    assert (found.identity, found.roots) == (WAYPOINT, istiod.ca.pem)
    (request,) = istiod.asked
    assert request.seconds == 1800
    assert request.metadata["authorization"] == f"Bearer {(tmp_path / 'istio-token').read_text()}"
    assert request.metadata["clusterid"] == "Kubernetes"
    names = request.csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [WAYPOINT], "as the token says"
    assert request.csr.is_signature_valid


def test_each_certificate_has_a_key_of_its_own(istiod: Istiod, tmp_path: Path) -> None:
    place = where(istiod.port, tmp_path)
    keys = [load_pem_private_key(asked(place)[certificates.KEY], None) for _ in range(2)]  # type: ignore[arg-type]
    public = [pem_of(key.public_key()) for key in keys]
    assert len(set(public)) == 2
    assert [pem_of(each.csr.public_key()) for each in istiod.asked] == public


def test_intermediates_are_ours_and_the_last_element_has_the_roots(istiod: Istiod, tmp_path: Path) -> None:
    root = istiod.ca
    middle = Authority(root)
    istiod.ca, istiod.server_ca = middle, root
    place = where(istiod.port, tmp_path)
    key = signing.new_key()
    leaf = signed(middle, key.public_key(), [x509.UniformResourceIdentifier(WAYPOINT)], 3600)
    contents = signing.contents_of([leaf, middle.pem, root.pem + OTHER.pem], key)
    found = checking.check(place.url, contents, time.time())
    assert found.chain == leaf + middle.pem
    assert found.roots == root.pem + OTHER.pem, "several, while one is replaced"


def test_whom_peers_are_verified_against_comes_with_the_answer(istiod: Istiod, tmp_path: Path) -> None:
    istiod.roots = istiod.ca.pem + OTHER.pem
    contents = asked(where(istiod.port, tmp_path))
    assert contents[certificates.ROOTS] == istiod.ca.pem + OTHER.pem


# -- what it says when there is none ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (token("https://kubernetes.default.svc"), "its audience is https://kubernetes.default.svc, not istio-ca"),
        (token("vault", lasts=-60), "its audience is vault, not istio-ca"),
    ],
)
def test_a_token_of_another_audience(istiod: Istiod, tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "istio-token").write_text(text)
    found = reason(where(istiod.port, tmp_path))
    assert found.startswith("it refuses our token (UNAUTHENTICATED: request authenticate failure): ")
    assert told in found and found.endswith("mount a projected serviceAccountToken of audience istio-ca there")


def test_a_token_that_is_right_and_yet_refused(istiod: Istiod, tmp_path: Path) -> None:
    istiod.refuses = (grpc.StatusCode.UNAUTHENTICATED, "request authenticate failure")
    found = reason(where(istiod.port, tmp_path, cluster="east"))
    assert "we say that we are of cluster east" in found and "--cluster-id" in found
    (tmp_path / "istio-token").write_text(token(lasts=-60))
    assert "it expired at 20" in reason(where(istiod.port, tmp_path))


@pytest.mark.parametrize(
    ("code", "said", "told"),
    [
        (
            grpc.StatusCode.INVALID_ARGUMENT,
            "CSR signing error (TTL)",
            "(INVALID_ARGUMENT: CSR signing error (TTL)): see --ca-ttl",
        ),
        (grpc.StatusCode.UNIMPLEMENTED, "", "(UNIMPLEMENTED): that is no istiod"),
        (grpc.StatusCode.UNAVAILABLE, "not yet: 50%", "(UNAVAILABLE: not yet: 50%)"),
    ],
)
def test_other_refusals(istiod: Istiod, tmp_path: Path, code: grpc.StatusCode, said: str, told: str) -> None:
    istiod.refuses = (code, said)
    assert told in reason(where(istiod.port, tmp_path))


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        ("istio-token", "istio-token: no such file: mount a projected serviceAccountToken"),
        ("root-cert.pem", "root-cert.pem: no such file: mount the ConfigMap istio-ca-root"),
    ],
)
def test_what_is_not_mounted(istiod: Istiod, tmp_path: Path, missing: str, told: str) -> None:
    (tmp_path / missing).unlink()
    assert told in reason(where(istiod.port, tmp_path))
    (tmp_path / missing).write_bytes(b"\xff nothing\n")
    assert f"{missing}: holds no " in reason(where(istiod.port, tmp_path))
    assert not istiod.asked


def test_another_root_is_mounted(istiod: Istiod, tmp_path: Path) -> None:
    mount(tmp_path, OTHER.pem)
    found = reason(where(istiod.port, tmp_path))
    assert f"TLS: its certificate does not verify against {tmp_path}/root-cert.pem (" in found
    assert found.endswith(
        "that is not the root of its CA: mount the ConfigMap istio-ca-root-cert of this namespace there"
    )
    assert not istiod.asked, "who is not istiod does not get the token"


def test_somebody_else_of_the_same_root(tmp_path: Path) -> None:
    with running(name="web.shop.svc") as other:
        mount(tmp_path, other.ca.pem)
        assert f"TLS: its certificate is not for {NAME}: --ca has to be" in reason(where(other.port, tmp_path))
        assert not other.asked


def test_its_certificate_is_over(tmp_path: Path) -> None:
    with running(server_lasts=-60) as old:
        mount(tmp_path, old.ca.pem)
        found = reason(where(old.port, tmp_path))
        assert "certificate has expired" in found and "is the time here right?" in found


def test_nobody_is_there(istiod: Istiod, tmp_path: Path) -> None:
    istiod.stop()
    assert "no connection to it: connection refused: does istiod run" in reason(where(istiod.port, tmp_path))
    nowhere = replace(where(1, tmp_path), place="istiod.invalid:15012")
    assert "its name is not known: is istiod installed" in reason(nowhere)


# -- who speaks otherwise ---------------------------------------------------------------------------------------------

Serve = Callable[[socket.socket], None]


def plain_http(sock: socket.socket) -> None:
    sock.recv(4096)
    sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def nothing(sock: socket.socket) -> None:
    sock.recv(1)


def silent(sock: socket.socket) -> None:
    while sock.recv(4096):
        pass


def garbage(sock: socket.socket) -> None:
    sock.sendall(b"\0\0\5\4\0\0\0\0\0hello")  # SETTINGS of five octets
    silent(sock)


def answered(frames: list[tuple[list[tuple[str, str]], bytes]]) -> Serve:
    """HTTP/2 with this answer: heads (the first, and the trailers) and what follows each."""

    def serve(sock: socket.socket) -> None:
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        connection.initiate_connection()
        while data := sock.recv(65536):
            for event in connection.receive_data(data):
                if isinstance(event, h2.events.StreamEnded):
                    for number, (head, body) in enumerate(frames, 1):
                        last = number == len(frames)
                        connection.send_headers(1, head, end_stream=last and not body)
                        if body:
                            connection.send_data(1, body, end_stream=last)
            sock.sendall(connection.data_to_send())

    return serve


@contextmanager
def peer(serve: Serve, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """One that is spoken to by each connection's thread; over TLS with a context."""

    def accepted(sock: socket.socket) -> None:
        sock.settimeout(10)
        with contextlib.suppress(OSError), tls.wrap_socket(sock, server_side=True) if tls else sock as spoken:
            serve(spoken)

    port = free_port()
    server = Listening("127.0.0.1", port, accepted)
    server.start()
    try:
        yield port
    finally:
        server.stop()


@pytest.fixture
def impostor(tmp_path: Path) -> ssl.SSLContext:
    """TLS with the name of istiod, by a CA whose root is mounted."""
    ca, key = Authority(), new_key()
    mount(tmp_path, ca.pem)
    (tmp_path / "chain").write_bytes(signed(ca, key.public_key(), [x509.DNSName(NAME)], 3600))
    (tmp_path / "key").write_bytes(pem_of_key(key))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "chain", tmp_path / "key")
    context.set_alpn_protocols(["h2"])
    return context


@pytest.mark.parametrize(
    ("serve", "told"),
    [(plain_http, "TLS: what it sends is not TLS: istiod's port for this is 15012"), (nothing, "TLS: ")],
)
def test_it_does_not_speak_tls(tmp_path: Path, serve: Serve, told: str) -> None:
    mount(tmp_path, OTHER.pem)
    with peer(serve) as port:
        assert told in reason(where(port, tmp_path))


def test_it_does_not_speak_http2(tmp_path: Path, impostor: ssl.SSLContext) -> None:
    impostor.set_alpn_protocols(["http/1.1"])
    with peer(nothing, impostor) as port:
        assert "no ALPN: it does not offer h2: istiod's port" in reason(where(port, tmp_path))


GRPC = [(":status", "200"), ("content-type", "application/grpc")]
OK = [("grpc-status", "0")]


@pytest.mark.parametrize(
    ("serve", "told"),
    [
        (nothing, "no answer: "),
        (garbage, "no answer: what it sends is not HTTP/2"),
        (answered([([(":status", "404")], b"")]), "HTTP status 404 without a gRPC status: that is no gRPC server"),
        (answered([(GRPC, b""), ([("grpc-status", "99")], b"")]), "(status 99)"),
        (answered([(GRPC, b""), ([("grpc-status", "x")], b"")]), "(status x)"),
        (answered([(GRPC, b""), (OK, b"")]), "it has no message"),
        (answered([(GRPC, b"\1\0\0\0\0"), (OK, b"")]), "its message is compressed"),
        (answered([(GRPC, b"\0\0\0\0\7abc"), (OK, b"")]), "its message is compressed, cut short"),
        (answered([(GRPC, b"\0\0\0\0\1\xff"), (OK, b"")]), "a number is cut short"),
        (answered([(GRPC, b"\0\0\0\0\0"), (OK, b"")]), "it has no certificate and its roots"),
        (answered([(GRPC, b"x" * 16384)]), "a gRPC status"),
    ],
)
def test_it_does_not_answer_as_istiod_does(tmp_path: Path, impostor: ssl.SSLContext, serve: Serve, told: str) -> None:
    with peer(serve, impostor) as port:
        assert told in reason(where(port, tmp_path))


def test_a_refusal_in_the_head_is_one(tmp_path: Path, impostor: ssl.SSLContext) -> None:
    head = [*GRPC, ("grpc-status", "14"), ("grpc-message", "not%20yet")]
    with peer(answered([(head, b"")]), impostor) as port:
        assert "it signs nothing (UNAVAILABLE: not yet)" in reason(where(port, tmp_path))


def test_an_answer_without_end_is_left(istiod: Istiod, tmp_path: Path) -> None:
    istiod.answer = b"\0" * (asking_call.LARGEST_MESSAGE + 1)
    assert "it is larger than 1024 KiB" in reason(where(istiod.port, tmp_path))


@pytest.mark.parametrize("serve", [silent])
def test_patience_ends(tmp_path: Path, impostor: ssl.SSLContext, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "PATIENCE_S", 0.5)
    with peer(serve, impostor) as port:
        assert reason(where(port, tmp_path)) == "no answer: timed out"
    with peer(silent) as port:
        assert reason(where(port, tmp_path)) == "TLS: timed out"


# -- what may be asked of it ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("istiod-1-28.istio-system.svc:15012", "istiod-1-28.istio-system.svc"),
        ("10.96.0.9:15012", NAME),
        ("[fd00::9]:15012", NAME),
        ("localhost:15012", NAME),
    ],
)
def test_whom_its_certificate_has_to_be_for(place: str, name: str) -> None:
    assert Where(place, "t", "r", "c", "d", 1).server_name == name


def test_check_says_what_is_wrong_without_asking(tmp_path: Path) -> None:
    place = where(1, tmp_path / "none")
    missing = faults_of(mounted(place), place, NOW)
    assert [each.split(": no such file")[0].rpartition("/")[2] for each in missing] == ["istio-token", "root-cert.pem"]
    mount(tmp_path, OTHER.pem, token("vault"))
    place = where(1, tmp_path)
    (only,) = faults_of(mounted(place), place, NOW)
    assert "its audience is vault, not istio-ca: mount a projected" in only
    mount(tmp_path, OTHER.pem)
    assert faults_of(mounted(place), place, NOW) == []
