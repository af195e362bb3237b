"""Every way to deploy Redis, with real servers: what the store does over it, and what it says when it is not let in."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from state.errors import StoreUnavailable
from state.server.access import Access, file_faults
from state.server.preflight import Preflight
from state.server.sentinels import moved
from state.server.tls import Contexts
from tests.patience import slowness
from tests.redis_rig import DEBIAN, VALKEY, Server, binaries, certificates, server, tls_options, watched
from tests.rig import free_port, wait_until
from tests.state.state_rig import CLUSTER, SEED, A, Rig, batch, opened, problems, works

SECRET = "s3cret"
ALL = list(binaries())


# -- how to get there ------------------------------------------------------------------------------------------------


def test_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "redis.sock"
    with (
        server(tmp_path, VALKEY, "--unixsocket", str(path), "--requirepass", SECRET, answers=False),
        opened(Access(f"unix://:{SECRET}@{path}?db=3")) as rig,
    ):
        wait_until(path.exists)
        works(rig)
        assert rig.client is not None and rig.client.connection_pool.connection_kwargs["db"] == 3


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, dict[str, Path], int]]:
    """A server that speaks TLS by a private CA, and asks for a certificate of it."""
    directory, port = tmp_path_factory.mktemp("tls"), free_port()
    files = certificates(directory)
    with server(directory, DEBIAN, *tls_options(files, port)) as made:
        yield made, files, port


Tls = tuple[Server, dict[str, Path], int]


def test_tls_with_certificates_of_a_private_ca(tls: Tls) -> None:
    _, files, port = tls
    access = Access(
        f"rediss://127.0.0.1:{port}",
        str(files["ca"]),
        redis_cert=str(files["client"]),
        redis_key=str(files["client-key"]),
    )
    assert not list(file_faults(access))
    with opened(access) as rig:
        works(rig)
    assert problems(access) == []


def test_tls_refused_says_which_certificate_is_missing(tls: Tls, tmp_path: Path) -> None:
    _, files, port = tls
    other = certificates(tmp_path)
    ca, mine = str(files["ca"]), {"redis_cert": str(files["client"]), "redis_key": str(files["client-key"])}
    cases = {
        Access(f"rediss://127.0.0.1:{port}", **mine): "--redis-ca",
        Access(f"rediss://127.0.0.1:{port}", str(other["ca"]), **mine): "--redis-ca",
        Access(f"rediss://127.0.0.1:{port}", ca): "give --redis-cert and --redis-key",
    }
    for access, remedy in cases.items():
        with opened(access) as rig, pytest.raises(StoreUnavailable):
            rig.report("F")
        # A server that closes before it has read may be told as a connection that broke: the leader looks again, too.
        (told,) = wait_until(lambda access=access: problems(access))
        assert remedy in told


def test_with_a_ca_of_our_own_the_systems_are_not_trusted(
    tls: Tls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _, files, port = tls
    mine = {"redis_cert": str(files["client"]), "redis_key": str(files["client-key"])}
    monkeypatch.setenv("SSL_CERT_FILE", str(files["ca"]))
    with opened(Access(f"rediss://127.0.0.1:{port}", **mine)) as rig:
        works(rig)
    (problem,) = problems(Access(f"rediss://127.0.0.1:{port}", str(certificates(tmp_path)["ca"]), **mine))
    assert "--redis-ca" in problem


def test_an_intermediate_ca_may_be_whom_we_trust(tmp_path: Path) -> None:
    files, port = certificates(tmp_path, above="an offline root"), free_port()
    options = [*tls_options(files, port), "--tls-auth-clients", "no"]
    with server(tmp_path, DEBIAN, *options), opened(Access(f"rediss://127.0.0.1:{port}", str(files["ca"]))) as rig:
        works(rig)


def test_files_are_read_when_they_have_changed(tmp_path: Path) -> None:
    """Reading them takes a while, in which a worker does nothing else."""
    files, others = certificates(tmp_path), certificates(tmp_path / "others")
    access = Access("rediss://localhost", str(files["ca"]), str(files["client"]), str(files["client-key"]))
    contexts = Contexts(access)
    first = contexts.current()
    assert contexts.current() is first
    files["ca"].write_bytes(others["ca"].read_bytes())
    assert contexts.current() is not first
    files["client"].write_bytes(others["client"].read_bytes())  # and its key comes a moment later
    with pytest.raises(OSError, match="KEY_VALUES_MISMATCH"):
        contexts.current()
    files["client-key"].write_bytes(others["client-key"].read_bytes())
    assert contexts.current() is contexts.current()


def test_tls_by_a_name_that_the_certificate_does_not_have(tls: Tls, monkeypatch: pytest.MonkeyPatch) -> None:
    _, files, port = tls
    mine = {"redis_cert": str(files["client"]), "redis_key": str(files["client-key"])}
    access = Access(f"rediss://ip6-localhost.test:{port}", str(files["ca"]), **mine)
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [(2, 1, 6, "", ("127.0.0.1", port))])
    (told,) = problems(access)
    assert "name it in --redis as its certificate does" in told


# -- who may get in --------------------------------------------------------------------------------------------------


def test_login_by_url(tmp_path: Path) -> None:
    with server(tmp_path, VALKEY) as made, made.client() as admin:
        admin.execute_command("ACL", "SETUSER", "way:point", "on", ">p@ss/wörd %", "allkeys", "allchannels", "+@all")
        with opened(Access(f"redis://way%3Apoint:p%40ss%2Fw%C3%B6rd%20%25@127.0.0.1:{made.port}/0")) as rig:
            works(rig)


def test_a_wrong_password_is_said_without_saying_it(tmp_path: Path) -> None:
    with server(tmp_path, VALKEY, "--requirepass", SECRET, answers=False) as made:
        for url in (f"redis://:wr0ng@127.0.0.1:{made.port}", f"redis://waypoint:wr0ng@127.0.0.1:{made.port}", made.url):
            access = Access(url)
            wait_until(lambda access=access: problems(access))
            (told,) = problems(access)
            assert "--redis-password-file" in told and "lets user" in told
            with opened(access) as rig, pytest.raises(StoreUnavailable) as refused:
                rig.report("F")
            assert "wr0ng" not in f"{told}{refused.value}{access!r}"


def test_a_password_file_is_read_for_each_new_connection(tmp_path: Path) -> None:
    path = tmp_path / "password"
    with server(tmp_path, VALKEY) as made, made.client() as admin:
        for password in ("first", "second"):
            admin.execute_command(
                *("ACL", "SETUSER", "waypoint", "reset", "on", f">{password}", "allkeys", "allchannels", "+@all")
            )
        path.write_text("second\nnot this\n")
        with opened(Access(made.url, redis_username="waypoint", redis_password_file=str(path))) as rig:
            works(rig)
            admin.execute_command("ACL", "SETUSER", "waypoint", ">third", "<second")
            rig.report("F")  # who is in stays in
            path.write_text("third")
            admin.client_kill_filter(_type="normal", skipme=True)
            works(rig)
            path.unlink()
            admin.client_kill_filter(_type="normal", skipme=True)
            with pytest.raises(StoreUnavailable, match=f"the password file {path}: No such file"):
                rig.report("F")


def test_files_that_will_not_do(tmp_path: Path) -> None:
    files = {name: str(path) for name, path in certificates(tmp_path).items()}
    empty, binary, missing = (tmp_path / name for name in ("empty", "binary", "missing"))
    empty.write_text("\nsecret\n")
    binary.write_bytes(b"\xff\xfesecret")
    for access, text in (
        (Access("redis://h", redis_password_file=str(missing)), f"{missing}: No such file or directory"),
        (
            Access("redis://h", redis_password_file=str(empty)),
            f"{empty}: holds no password; write it in the first line",
        ),
        (Access("redis://h", redis_password_file=str(binary)), f"{binary}: is not text"),
        (Access("rediss://h", str(empty)), f"{empty}: must hold CA certificates in PEM"),
        (Access("rediss://h", str(missing)), f"{missing}: No such file or directory"),
        (
            Access("rediss://h", redis_cert=files["client"], redis_key=files["server-key"]),
            "a certificate and its unenc",
        ),
        (Access("rediss://h", redis_cert=str(missing), redis_key=files["client-key"]), f"{missing}: No such file"),
    ):
        ((_, told),) = file_faults(access)
        assert text in told
        assert "secret" not in told


# -- Sentinel --------------------------------------------------------------------------------------------------------


def test_sentinel_follows_a_failover(tmp_path: Path) -> None:
    with watched(tmp_path, DEBIAN, 1) as made:
        access = Access(made.url)
        with opened(access, 0.3) as rig:
            rig.report("FFF")
            epoch = rig.store.sync(CLUSTER, [A]).epoch
            preflight = Preflight(rig.client, access, "waypoint")  # type: ignore[arg-type]
            assert len(preflight.problems()) == 1  # appendonly is off
            assert preflight.problems() == []
            old = made.primary()
            with old.client() as client:
                client.wait(1, 1000)
            old.kill()
            slowest = _until_it_works(rig)
            assert slowest < 1.5 * slowness(), "no call waits for long"
            assert rig.store.sync(CLUSTER, [A]).epoch == epoch
            assert rig.ejected() == {A}
            (new,) = [each for each in made.servers if each is not old]
            assert f"Redis at {new.address}: " in preflight.problems()[0].text


def _until_it_works(rig: Rig) -> float:
    slowest = 0.0

    def answered() -> bool:
        nonlocal slowest
        began = time.monotonic()
        try:
            rig.store.report(batch("S"), SEED)
        except StoreUnavailable:
            return False
        finally:
            slowest = max(slowest, time.monotonic() - began)
        return True

    wait_until(answered, 15, "the new primary answers")
    return slowest


def test_a_primary_that_is_asked_to_step_back_is_left_before_it_has(tmp_path: Path) -> None:
    with watched(tmp_path, DEBIAN, 1) as made, opened(Access(made.url)) as rig:
        assert rig.client is not None
        assert not moved(rig.client), "it is not connected"
        rig.report("F")
        old = made.primary()
        assert not moved(rig.client)
        with made.sentinels[0].client() as client:
            client.execute_command("SENTINEL", "FAILOVER", "fleet")
        wait_until(lambda: moved(rig.client), 10)  # type: ignore[arg-type]
        assert not moved(rig.client), "told once"
        assert rig.client.info("server")["tcp_port"] != old.port
        for each in made.sentinels:
            each.kill()
        assert not moved(rig.client), "nobody says so"


def test_sentinels_that_ask_for_a_password_or_know_no_such_service(tmp_path: Path) -> None:
    with watched(tmp_path, DEBIAN, 0) as made:
        (told,) = problems(Access(made.url.replace("/fleet", "/other")))
        assert "sentinel monitor" in told
        (told,) = problems(Access(f"redis://{made.sentinels[0].address}"))
        assert "this is a Sentinel" in told
        for each in made.sentinels:
            with each.client() as client:
                client.execute_command("ACL", "SETUSER", "default", "resetpass", f">{SECRET}")
        (told,) = problems(Access(made.url))
        assert "--redis-sentinel-password-file" in told
        path = tmp_path / "password"
        path.write_text(SECRET)
        with opened(Access(made.url, redis_sentinel_password_file=str(path))) as rig:
            works(rig)


# -- what the server is ----------------------------------------------------------------------------------------------


def test_a_replica_and_an_eviction_policy_are_said(tmp_path: Path) -> None:
    with server(tmp_path, VALKEY, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru") as made:
        (told,) = problems(Access(made.url))
        assert "maxmemory-policy is allkeys-lru" in told and "CONFIG SET maxmemory-policy noeviction" in told
        with made.client() as client:
            client.config_set("maxmemory-policy", "noeviction")
            assert problems(Access(made.url)) == []
            client.execute_command("REPLICAOF", "127.0.0.1", "1")
        (told,) = problems(Access(made.url))
        assert "this is a replica" in told and "redis+sentinel://" in told


@pytest.mark.parametrize("name", ALL)
def test_a_good_server_leaves_nothing_to_say_and_nothing_behind(tmp_path: Path, name: str) -> None:
    with server(tmp_path, binaries()[name]) as made, made.client() as client:
        assert problems(Access(made.url)) == []
        assert client.keys("*") == []
