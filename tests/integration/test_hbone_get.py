"""`waypointctl dev-certs` and `hbone-get`, as people run them, against a ztunnel's stand-in."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from proxy.identity import certificates, checking
from proxy.wire.tls.context import TlsEnd, meet
from proxy.wire.tls.mesh import MeshTls
from tests.hbone.destination import Destination
from tests.hbone.http2 import Connection
from tests.hbone.identities import Authority, Leaf, install
from tests.hbone.stream import Stream
from tests.rig import ROOT, Endpoint, free_port

CA = Authority()
CLIENT = CA.leaf("client-in-ambient")


def run(*arguments: str, cwd: Path | None = None) -> tuple[int, str, str]:
    command = [sys.executable, str(ROOT / "bin" / "waypointctl"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=30, check=False)
    return done.returncode, done.stdout, done.stderr


# -- dev-certs --------------------------------------------------------------------------------------------------------


def usable(directory: Path) -> certificates.Certificates:
    return checking.check(str(directory), certificates.read(str(directory)), datetime.now(UTC).timestamp())


def test_dev_certs_makes_what_tls_dir_wants(tmp_path: Path) -> None:
    status, text, errors = run("dev-certs", "certs", cwd=tmp_path)
    assert (status, errors) == (0, "")
    assert text.startswith("made the CA certs/root-cert.pem")
    made = {name: usable(tmp_path / "certs" / name) for name in ("waypoint", "client", "endpoint")}
    assert made["waypoint"].identity == "spiffe://cluster.local/ns/httpbin/sa/httpbin-waypoint"
    assert made["waypoint"].identity in text
    assert made["waypoint"].roots == made["client"].roots == (tmp_path / "certs" / "root-cert.pem").read_bytes()
    for key in tmp_path.rglob("*key.pem"):
        assert key.stat().st_mode & 0o777 == 0o600
    leaf = x509.load_pem_x509_certificate(made["client"].chain)
    assert not leaf.subject.rdns
    assert leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).critical


def test_dev_certs_renews_and_adds(tmp_path: Path) -> None:
    run("dev-certs", str(tmp_path), "--trust-domain", "td.example")
    before = usable(tmp_path / "client")
    assert before.trust_domain == "td.example"
    status, text, _ = run(
        *("dev-certs", str(tmp_path), "--identity", "client=httpbin/client-in-ambient"),
        *("--identity", "shop/web", "--valid-for", "90s"),
    )
    assert status == 0 and text.startswith("used the CA ")
    after, added = usable(tmp_path / "client"), usable(tmp_path / "shop" / "web")
    assert after.serial != before.serial and after.identity == before.identity and after.roots == before.roots
    assert added.identity == "spiffe://td.example/ns/shop/sa/web"
    assert 60 < added.not_after - datetime.now(UTC).timestamp() <= 90
    assert usable(tmp_path / "waypoint").serial


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["--identity", "a"], 2, "'a' must be NAMESPACE/ACCOUNT"),
        (["--identity", "../x=a/b"], 2, "must be NAMESPACE/ACCOUNT"),
        (["--trust-domain", "A/b"], 2, "must be a trust domain"),
        (["--valid-for", "1d"], 2, "must be a time"),
    ],
)
def test_dev_certs_says_what_is_wrong(tmp_path: Path, arguments: list[str], status: int, told: str) -> None:
    found, _, errors = run("dev-certs", str(tmp_path), *arguments)
    assert found == status and told in errors


def test_dev_certs_leaves_a_ca_of_others_alone(tmp_path: Path) -> None:
    install(tmp_path, CLIENT, CA.root)
    status, _, errors = run("dev-certs", str(tmp_path))
    assert status == 1 and "ca-key.pem is not" in errors
    (tmp_path / "ca-key.pem").write_bytes(CLIENT.key)
    status, _, errors = run("dev-certs", str(tmp_path))
    assert status == 1 and "is not the key of" in errors


def test_N20_dev_certs_overwrites_no_certificate_of_another_trust_domain(tmp_path: Path) -> None:
    run("dev-certs", str(tmp_path))
    before = usable(tmp_path / "client").serial
    status, _, errors = run("dev-certs", str(tmp_path), "--trust-domain", "other.example")
    assert status == 1
    assert f"{tmp_path}/waypoint has a certificate of the trust domain cluster.local: for other.example give" in errors
    assert usable(tmp_path / "client").serial == before
    added = ("dev-certs", str(tmp_path), "--trust-domain", "other.example", "--identity", "guest=shop/web")
    assert run(*added)[0] == 0
    assert usable(tmp_path / "guest").identity == "spiffe://other.example/ns/shop/sa/web"


def test_N20_a_reader_that_has_read_enough_is_no_fault(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, str(ROOT / "bin" / "waypointctl"), "dev-certs", str(tmp_path)]
    environ = os.environ | {"PYTHONUNBUFFERED": "1"}
    made = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, env=environ, timeout=30, check=False)
    os.close(writer)
    assert made.stderr == b""


def test_N20_a_path_without_a_slash_is_bad_usage(us: str) -> None:
    status, _, errors = run("hbone-get", "127.0.0.1:1", "in-ambient.httpbin:8000", "hostname", "--tls-dir", us)
    assert status == 2
    assert "'hostname' must begin with a slash: /hostname" in errors


# -- hbone-get --------------------------------------------------------------------------------------------------------


@pytest.fixture
def us(tmp_path: Path) -> str:
    return str(install(tmp_path / "client", CLIENT, CA.root))


@pytest.fixture
def app() -> Iterator[Endpoint]:
    made = Endpoint("in-ambient-1", "127.0.0.1", free_port())
    made.start()
    yield made
    made.stop()


@contextlib.contextmanager
def peer(leaf: Leaf | None = None, **more: Any) -> Iterator[Destination]:
    leaf = leaf or CA.leaf("httpbin-waypoint")
    with Destination("127.0.0.1", leaf, CA.root, port=free_port(), **more) as made:
        yield made


def close(sock: socket.socket) -> None:
    sock.close()


def get(far: Destination, us: str, *arguments: str) -> tuple[int, str, str]:
    return run("hbone-get", f"127.0.0.1:{far.port}", *arguments, "--tls-dir", us)


def test_every_step_is_told(us: str, app: Endpoint) -> None:
    with peer() as far:
        status, text, told = get(far, us, app.address, "/hostname", "-H", "x-a: b")
    assert (status, text) == (0, "in-ambient-1\n")
    lines = [line.partition(" (")[0] for line in told.splitlines()]
    assert lines[0] == "* we are spiffe://cluster.local/ns/httpbin/sa/client-in-ambient"
    assert lines[1].startswith(f"* TCP: connected to 127.0.0.1:{far.port} from 127.0.0.1:")
    assert lines[2].startswith("* TLS: TLSv1.3, TLS_AES_")
    assert lines[3] == "* it is spiffe://cluster.local/ns/httpbin/sa/httpbin-waypoint"
    assert "(issued by O=cluster.local, valid until 20" in told
    assert "max_concurrent_streams 200" in lines[4]
    assert lines[5] == f"> CONNECT {app.address}"
    assert lines[6].startswith('> forwarded: for="127.0.0.1:')
    assert lines[7] == "< CONNECT answered 200"
    assert [*lines[8:11]] == ["> GET /hostname HTTP/1.1", f"> host: {app.address}", "> x-a: b"]
    assert lines[11] == "< HTTP/1.1 200 OK"
    assert lines[-2] == "* 13 bytes of body"
    assert lines[-1].startswith("* done in ")
    assert app.requests[0][2]["x-a"] == "b"


def test_methods_bodies_hosts_and_files(us: str, app: Endpoint, tmp_path: Path) -> None:
    (tmp_path / "body").write_text("x" * 200_000)
    with peer() as far:
        arguments = (
            app.address,
            "/post",
            "-d",
            f"@{tmp_path}/body",
            "--host",
            "in-ambient",
            "-s",
            "-o",
            f"{tmp_path}/out",
        )
        assert get(far, us, *arguments) == (0, "", "")
        assert get(far, us, app.address, "/", "-X", "HEAD", "-s") == (0, "", "")
    method, path, headers, body = app.requests[0]
    assert (method, path, headers["host"], len(body)) == ("POST", "/post", "in-ambient", 200_000)
    assert "in-ambient" in (tmp_path / "out").read_text()
    assert app.requests[1][0] == "HEAD"


def test_the_status_of_the_answer_is_the_exit_status(us: str, app: Endpoint) -> None:
    with peer() as far:
        assert get(far, us, app.address, "/status/404")[0] == 0
        assert get(far, us, app.address, "/status/503")[0] == 1


def test_a_waypoint_that_refuses_our_trust_domain(tmp_path: Path) -> None:
    """It has finished the handshake by then, so all it can do is to close."""
    us = str(install(tmp_path / "other", CA.leaf("x", "httpbin", "evil.example"), CA.root))
    with peer() as far:
        status, _, told = get(far, us, "127.0.0.1:80")
    assert status in (4, 5), told
    assert "it closed the connection\n! look at: does it accept our trust domain?" in told


@contextlib.contextmanager
def http2_app() -> Iterator[int]:
    def answer(stream: Stream) -> None:
        body = stream.recv(65536)
        stream.connection.respond(stream, [(":status", "200"), ("x-path", stream.headers[":path"])], end=False)
        stream.sendall(b"you sent " + body)
        stream.finish([("grpc-status", "0")])

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = listener.accept()
                made.append(Connection(sock, None, server=True, settings={}, window=1 << 20, serve=answer))

    made: list[Connection] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    for connection in made:
        connection.close()


def test_http2_in_the_tunnel(us: str) -> None:
    with peer() as far, http2_app() as port:
        status, text, told = get(far, us, f"127.0.0.1:{port}", "/a", "--http2", "-d", "this")
    assert (status, text) == (0, "you sent this")
    assert "\n< HTTP/2 200 (" in told and "\n< x-path: /a\n" in told and "\n< grpc-status: 0 (trailer)\n" in told


def test_no_tcp(us: str) -> None:
    status, _, told = run("hbone-get", f"127.0.0.1:{free_port()}", "a:80", "--tls-dir", us)
    assert status == 3
    assert "! no TCP connection to 127.0.0.1:" in told and "connection refused" in told
    assert "! look at: does waypointd run there" in told


@pytest.mark.parametrize(
    ("leaf", "reason", "shown"),
    [
        (
            Authority("other.example").leaf("httpbin-waypoint"),
            "unable to get local issuer",
            "issued by O=other.example",
        ),
        (CA.leaf("httpbin-waypoint", hours=-1), "certificate has expired", "expired 20"),
    ],
)
def test_a_waypoint_that_we_refuse(us: str, leaf: Leaf, reason: str, shown: str) -> None:
    with peer(leaf) as far:
        status, _, told = get(far, us, "127.0.0.1:80")
    assert status == 4
    assert reason in told
    assert "* it says it is spiffe://cluster.local/ns/httpbin/sa/httpbin-waypoint" in told and shown in told
    assert "! look at: is our root" in told


@pytest.mark.parametrize(
    ("leaf", "reason"),
    [
        (CA.leaf("x", hours=-1), "it refused ours: certificate expired"),
        (Authority().leaf("x"), "it refused ours: "),
    ],
)
def test_a_waypoint_that_refuses_us(tmp_path: Path, leaf: Leaf, reason: str) -> None:
    us = str(install(tmp_path / "other", leaf, CA.root))
    with peer() as far:
        status, _, told = get(far, us, "127.0.0.1:80")
    assert (status, reason in told) == (4, True), told


def test_a_port_that_is_no_hbone_listener(us: str, app: Endpoint) -> None:
    status, _, told = run("hbone-get", app.address, "a:80", "--tls-dir", us)
    assert status == 4 and "! TLS: " in told


@pytest.mark.parametrize(("answer", "hint"), [(404, "istio.io/use-waypoint"), (503, "no ready endpoint"), (418, "log")])
def test_a_refused_connect(us: str, answer: int, hint: str) -> None:
    with peer(answer=answer) as far:
        status, _, told = get(far, us, "nothing.nowhere:80")
    assert status == 5
    assert f"! CONNECT nothing.nowhere:80: refused with {answer}" in told and hint in told


def test_a_connect_without_an_answer(us: str, app: Endpoint) -> None:
    with peer() as far:
        far.hold.clear()
        status, _, told = get(far, us, app.address, "--timeout", "200ms")
        far.hold.set()
    assert status == 5 and "no answer: timed out" in told


def test_no_answer_in_the_tunnel(us: str, app: Endpoint) -> None:
    app.delay = 1
    with peer() as far:
        status, _, told = get(far, us, app.address, "--timeout", "200ms")
        assert status == 6 and "! in the tunnel: timed out" in told
        with socket.create_server(("127.0.0.1", 0)) as mute:
            threading.Thread(target=lambda: close(mute.accept()[0]), daemon=True).start()
            status, _, told = get(far, us, f"127.0.0.1:{mute.getsockname()[1]}")
        assert status == 6, told


def test_bad_usage(us: str, tmp_path: Path) -> None:
    assert run("hbone-get", "127.0.0.1", "a:80")[0] == 2
    assert run("hbone-get", "::1:x", "a:80", "--tls-dir", us)[0] == 2
    assert run("hbone-get", "127.0.0.1", "a:80", "--tls-dir", us, "-H", "x")[0] == 2
    assert run("hbone-get", "127.0.0.1", "a:80", "--tls-dir", us, "-d", "@/none")[0] == 2
    os.unlink(Path(us) / "key.pem")
    status, _, told = run("hbone-get", "127.0.0.1", "a:80", "--tls-dir", us)
    assert status == 4 and "our certificate cannot be used: no such file or directory" in told


def test_certificates_of_dev_certs_shake_hands(tmp_path: Path) -> None:
    run("dev-certs", str(tmp_path))
    one, other = (MeshTls(**usable(tmp_path / name).form(["cluster.local"])) for name in ("waypoint", "client"))
    server = TlsEnd(one.server)
    meet(server, TlsEnd(other.client))
    assert server.peer_uris() == [other.identity]
