"""The command lines: exit statuses, what is told, and that both programs run from anywhere."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.version import __version__
from state.keys import Keys
from state.outlier.redis_store import RedisStore
from state.outlier.run import Run
from state.outlier.store import Batch, Policy
from state.server.access import Access
from state.server.connect import connect
from state.server.embedded import Embedded
from tests import redis_rig, rig

ROOT = Path(__file__).parents[2]


def run(
    program: str, *arguments: str, cwd: Path | None = None, env: dict[str, str] | None = None
) -> tuple[int, str, str]:
    command = [sys.executable, str(ROOT / "bin" / program), *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=cwd, timeout=30, env=os.environ | (env or {}), check=False
    )
    return done.returncode, done.stdout, done.stderr


def test_versions_and_help(tmp_path: Path) -> None:
    assert run("waypointd", "--version", cwd=tmp_path)[:2] == (0, f"waypointd {__version__}\n")
    assert run("waypointctl", "--version", cwd=tmp_path)[:2] == (0, f"waypointctl {__version__}\n")
    status, text, _ = run("waypointd", "--help")
    assert status == 0
    assert "waypointd --demo" in text
    assert "WAYPOINT_ACCESS_LOG" in text


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--no-such-option"], "No such option"),
        ([], "nothing to serve: give --manifests PATH"),
        (["--manifests", ".", "--redis", "redis+sentinel://a,b"], "names no service"),
        (["--manifests", ".", "--redis", "redis://a", "--redis-ca", "ca.pem"], "--redis-ca is for TLS"),
        (["--manifests", ".", "-c", "/no/such/file"], "/no/such/file: No such file or directory"),
        (["--demo", "--manifests", "."], "--demo brings its own manifests"),
    ],
)
def test_bad_usage_is_2(arguments: list[str], told: str) -> None:
    status, _, errors = run("waypointd", *arguments)
    assert status == 2
    assert told in errors


def test_an_access_log_that_cannot_be_written_is_told_at_once(tmp_path: Path) -> None:
    status, _, errors = run("waypointd", "--demo", "--access-log", str(tmp_path / "none" / "access.log"))
    assert status == 1
    assert "--access-log" in errors and "No such file or directory" in errors


def test_a_file_for_redis_that_cannot_be_read_is_told_at_once(tmp_path: Path) -> None:
    missing = tmp_path / "password"
    for more in ([], ["--check"]):
        status, text, errors = run(
            *("waypointd", "--manifests", str(ROOT / "conf" / "demo"), "--redis", "redis://127.0.0.1:1"),
            *("--redis-password-file", str(missing), *more),
        )
        assert status == 1
        assert f"--redis-password-file {missing}: No such file or directory" in text + errors


def test_check_of_what_is_right() -> None:
    status, text, errors = run("waypointd", "--demo", "--check")
    assert (status, errors) == (0, "")
    assert text == "Gateway httpbin/httpbin-waypoint: ports 8000 (HTTP); 1 clusters, 3 endpoints\n"


def test_check_names_what_is_not_in_force_and_the_kinds_left_alone(tmp_path: Path) -> None:
    """N1."""
    for path in (ROOT / "conf" / "demo").glob("*.yaml"):
        (tmp_path / path.name).write_text(path.read_text())
    (tmp_path / "more.yaml").write_text(
        "{apiVersion: gateway.networking.k8s.io/v1, kind: TCPRoute, metadata: {name: r, namespace: httpbin},"
        " spec: {parentRefs: [{group: '', kind: Service, name: in-ambient}]}}\n"
        "---\n{apiVersion: v1, kind: ServiceAccount, metadata: {name: c}}\n"
    )
    status, text, _ = run("waypointd", "--manifests", str(tmp_path), "--check")
    assert status == 0
    assert "TCPRoute httpbin/r: spec.parentRefs[0]: attaches to Service httpbin/in-ambient and is not in force" in text
    assert "kinds left alone: ServiceAccount (1), TCPRoute.gateway.networking.k8s.io (1)\n" in text


def test_check_tells_every_fault(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("{")
    (tmp_path / "b.yaml").write_text("kind: Service\nmetadata: {}\n")
    status, text, _ = run("waypointd", "--manifests", str(tmp_path), "--check")
    assert status == 1
    assert "a.yaml:" in text
    assert "b.yaml:1" in text
    assert run("waypointd", "--manifests", str(tmp_path / "none"), "--check")[0] == 1
    assert run("waypointd", "--manifests", str(tmp_path), "--check", "-w", "x")[0] == 1


def test_check_says_that_a_rule_never_ejects() -> None:
    with rig.endpoints(3) as members, rig.manifests_for(members, maxEjectionPercent=33) as (manifests, _):
        status, text, _ = run("waypointd", "--manifests", str(manifests.path), "--check")
    assert status == 0
    assert "maxEjectionPercent: never ejects: 33 % of 3 endpoints of httpbin/in-ambient:8000 is 0" in text
    assert "set maxEjectionPercent to at least 34" in text


def test_the_environment_sets_flags_too(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("kind: Namespace\napiVersion: v1\nmetadata: {name: a}\n")
    status, text, _ = run("waypointd", "--check", env={"WAYPOINT_MANIFESTS": str(tmp_path)})
    assert (status, text) == (0, "nothing to serve yet: no Gateway\n")


@pytest.mark.parametrize("program", ["waypointd", "waypointctl"])
def test_another_package_of_our_name_is_refused(tmp_path: Path, program: str) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "proxy").mkdir()
    (tmp_path / "proxy" / "__init__.py").write_text("")
    script = tmp_path / "bin" / program
    script.write_text((ROOT / "bin" / program).read_text())
    path = f"{tmp_path}:{ROOT}"
    done = subprocess.run(
        [sys.executable, str(script), "--version"],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
    )
    assert done.returncode == 1
    assert f"{tmp_path / 'proxy'} is another package called 'proxy'" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--redis", "URL", "ejections", "-o", "json"],
        ["ejections", "-o", "json", "--redis", "URL"],
        ["ejections", "--redis=URL", "-o", "json"],
    ],
)
def test_N17_options_may_stand_behind_the_command(arguments: list[str]) -> None:
    given = [each.replace("URL", "redis://127.0.0.1:1") for each in arguments]
    status, _, errors = run("waypointctl", *given)
    assert status == 1
    assert errors.startswith("waypointctl: redis://127.0.0.1:1: ")


def test_N17_what_is_not_the_programs_own_is_left_to_the_command() -> None:
    status, _, errors = run("waypointctl", "ejections", "--admin")
    assert status == 2 and "Option '--admin' requires an argument" in errors
    status, _, errors = run("waypointctl", "ejections", "--nothing", "x")
    assert status == 2 and "No such option" in errors


def test_ejections_are_listed(valkey: Embedded) -> None:
    store = RedisStore(connect(Access(valkey.url), 5))
    batch = Batch("httpbin/in-ambient:8000", "10.0.0.1:8080", "pod-1", 0, Run.of_failures(3), 503, "replica-1")
    assert store.report(batch, Policy(3, 10_000, 30_000, 50, 3)).outcome == "ejected"
    store._client.set(Keys("waypoint", "httpbin/other:80").eject("10.0.0.2:80"), "testing", px=60_000)
    store._client.set(Keys("other", "httpbin/other:80").eject("10.0.0.3:80"), "testing", px=60_000)
    status, text, _ = run("waypointctl", "--redis", valkey.url, "ejections")
    assert status == 0
    head, first, second = (line.split() for line in text.splitlines())
    assert head == ["CLUSTER", "ENDPOINT", "WORKLOAD", "WHY", "BY", "LEFT"]
    assert first[:5] == ["httpbin/in-ambient:8000", "10.0.0.1:8080", "pod-1", "consecutive_5xx=3", "replica-1"]
    assert 20 < float(first[5].rstrip("s")) <= 30
    assert second[:5] == ["httpbin/other:80", "10.0.0.2:80", "-", "by_hand", "-"]
    status, text, _ = run("waypointctl", "--redis", valkey.url, "--redis-prefix", "other", "ejections", "-o", "json")
    assert [each["endpoint"] for each in json.loads(text)] == ["10.0.0.3:80"]
    store._client.flushall()
    store.sync("httpbin/other:80", ["10.0.0.2:80"], rule="consecutive_5xx=3")
    assert run("waypointctl", "--redis", valkey.url, "ejections")[:2] == (0, "nothing is ejected\n")
    store._client.close()


def test_S_F14_a_place_that_no_replica_uses_is_no_good_news(valkey: Embedded) -> None:
    """Nor is it for N9, the store that waypointd keeps by itself, on another port."""
    assert run("waypointctl", "--redis", valkey.url, "ejections") == (
        1,
        "",
        f"waypointctl: {valkey.url}: no waypoint:* key in database 0, so no replica has told of any cluster; "
        "has a replica with outlierDetection started there?\n",
    )
    for url, prefix in ((f"{valkey.url}/3", "waypoint"), (valkey.url, "mesh-b")):
        with connect(Access(url), 5) as client:
            RedisStore(client, prefix).sync("httpbin/other:80", ["10.0.0.2:80"], rule="consecutive_5xx=3")
    for command in ("ejections", "history"):
        status, text, errors = run("waypointctl", "--redis", valkey.url, command)
        assert (status, text) == (1, "")
        assert "no waypoint:* key in database 0" in errors
        assert "there is --redis-prefix mesh-b, waypoint:* in database 3 (--redis .../3)" in errors
    assert run("waypointctl", "--redis", f"{valkey.url}/3", "ejections")[:2] == (0, "nothing is ejected\n")


def test_ejections_of_a_cluster_and_behind_a_password(tmp_path: Path) -> None:
    with redis_rig.cluster(tmp_path / "cluster", count=2) as nodes:
        with connect(Access(nodes.url), 5) as client:
            for name in ("httpbin/a:80", "httpbin/b:80", "httpbin/c:80", "httpbin/d:80"):
                client.set(Keys("waypoint", name).eject("10.0.0.2:80"), "testing", px=60_000)
        status, text, _ = run("waypointctl", "ejections", env={"WAYPOINT_REDIS": nodes.url})
        assert (status, [line.split()[0][-4:] for line in text.splitlines()[1:]]) == (
            0,
            ["a:80", "b:80", "c:80", "d:80"],
        )
    password = tmp_path / "password"
    with redis_rig.server(tmp_path / "server") as made, made.client() as admin:
        admin.set(Keys("waypoint", "httpbin/a:80").rule, "consecutive_5xx=3")
        admin.execute_command("ACL", "SETUSER", "me", "on", ">s3cret", "~*", "+@read", "+@keyspace")
        password.write_text("s3cret")
        arguments = ["--redis", made.url, "--redis-username", "me", "--redis-password-file", str(password), "ejections"]
        assert run("waypointctl", *arguments)[:2] == (0, "nothing is ejected\n")
        password.write_text("wr0ng")
        status, _, errors = run("waypointctl", *arguments)
        assert status == 1
        assert "invalid username-password pair" in errors and "wr0ng" not in errors
        password.unlink()
        status, _, errors = run("waypointctl", *arguments)
        assert status == 2
        assert f"--redis-password-file {password}: No such file or directory" in errors


@pytest.mark.parametrize("command", ["top", "doctor"])
def test_what_waypointctl_will_do_one_day(command: str) -> None:
    status, _, errors = run("waypointctl", command, "something", "--for", "10m")
    assert status == 2
    assert f"`{command}` is not built in this version" in errors


def test_waypointctl_without_a_server() -> None:
    status, _, errors = run("waypointctl", "--redis", "redis://:secret@127.0.0.1:1", "ejections")
    assert status == 1
    assert errors.startswith("waypointctl: redis://:***@127.0.0.1:1: ")


def test_a_pipe_without_a_reader_is_no_access_log(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    status, _, errors = run("waypointd", "--demo", "--access-log", str(tmp_path / "pipe"))
    assert status == 1
    assert "No such device or address" in errors


def test_closed_streams_are_nobody_elses(tmp_path: Path) -> None:
    """Written to, a descriptor that took the number of a closed stream would be the scoreboard, or a socket."""
    code = "from proxy import cli; import os; cli._open_standard_streams(); os.write(2, b'x'); os.write(1, b'x')"
    command = f'{sys.executable} -c "{code}" <&- >&- 2>&-'
    assert subprocess.run(["/bin/sh", "-c", command], cwd=ROOT, check=False).returncode == 0


def test_keys_from_before_a_mesh_had_an_id_are_taken_over(valkey: Embedded) -> None:
    redis = ("--redis", valkey.url)
    with connect(Access(valkey.url), 5) as client:
        client.set(Keys("waypoint", "httpbin/other:80").eject("10.0.0.2:80"), "reason=maintenance by=alice")
    status, text, errors = run("waypointctl", *redis, "--mesh-id", "east", "ejections")
    assert (status, "there is" in errors) == (1, False), "no replica has told of the rule: nobody's keys"
    status, text, _ = run("waypointctl", *redis, "--mesh-id", "east", "adopt-keys")
    assert (status, text.split()) == (0, ["httpbin/other:80", "10.0.0.2:80", "taken", "over"])
    status, text, _ = run("waypointctl", *redis, "--mesh-id", "east", "ejections")
    assert (status, text.split()[-6:-3]) == (0, ["10.0.0.2:80", "-", "maintenance"])
    status, _, errors = run("waypointctl", *redis, "adopt-keys")
    assert (status, "both are waypoint" in errors) == (2, True)
