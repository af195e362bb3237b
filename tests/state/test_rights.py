"""The rights a user needs: those in docs/redis.md and no others, on every server there is; what is missing is named."""

import logging
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from state.errors import KeysUnusable, NotAllowed
from state.server.access import Access
from state.server.failures import missing_right
from state.server.preflight import BY_HAND, PROBES, Preflight, acl_line, rights
from state.server.redis_url import parse
from tests.redis_rig import DEBIAN, VALKEY, binaries, cluster, server
from tests.state.state_rig import CLUSTER, KEYS, SEED, A, B, an_ejection, opened, problems, works

ROOT = Path(__file__).parents[2]
DOCUMENTED = re.findall(r"^    (ACL SETUSER .*)$", (ROOT / "docs" / "redis.md").read_text(), re.MULTILINE)
LOGIN = "redis://waypoint:s3cret@127.0.0.1:"


def grant(admin: Any, *lines: str) -> None:
    admin.execute_command("ACL", "SETUSER", "waypoint", "reset")
    for line in lines:
        admin.execute_command(*line.replace("PASSWORD", "s3cret").split())


def denied(admin: Any) -> list[object]:
    return list(admin.execute_command("ACL", "LOG"))


def test_the_documented_lines_are_what_the_preflight_thinks() -> None:
    whole, for_cluster, for_database = DOCUMENTED
    expected = acl_line("waypoint", "waypoint", rights(parse("redis://h")))
    assert whole.replace(" on >PASSWORD resetchannels", "") == expected
    assert for_cluster == "ACL SETUSER waypoint +cluster|slots +asking"
    assert {"cluster|slots", "asking"} < set(rights(parse("redis+cluster://h")))
    assert for_database == "ACL SETUSER waypoint +select"
    assert "select" in rights(parse("redis://h/1"))


@pytest.mark.parametrize("name", binaries())
def test_the_documented_rights_are_enough(tmp_path: Path, name: str) -> None:
    with server(tmp_path, binaries()[name]) as made, made.client() as admin:
        grant(admin, DOCUMENTED[0])
        access = Access(f"{LOGIN}{made.port}")
        assert problems(access) == []
        assert admin.keys("*") == [], "the preflight leaves nothing behind"
        with opened(access) as rig:
            works(rig)
            assert rig.client is not None
            list(rig.client.scan_iter(match="waypoint:*"))
        assert denied(admin) == []
        grant(admin, DOCUMENTED[0], DOCUMENTED[2])
        with opened(Access(f"{LOGIN}{made.port}/1")) as rig:
            works(rig)
        assert denied(admin) == []


@pytest.mark.parametrize("name", binaries())
def test_the_documented_rights_are_enough_in_a_cluster(tmp_path: Path, name: str) -> None:
    with cluster(tmp_path, binaries()[name], 1) as made, made.servers[0].client() as admin:
        grant(admin, DOCUMENTED[0], DOCUMENTED[1])
        access = Access(f"redis+cluster://waypoint:s3cret@{made.servers[0].address}")
        assert problems(access) == []
        with opened(access) as rig:
            works(rig)
        assert denied(admin) == []


@pytest.mark.parametrize("name", binaries())
def test_every_missing_right_is_named_with_the_line_that_gives_it(tmp_path: Path, name: str) -> None:
    with server(tmp_path, binaries()[name]) as made, made.client() as admin:
        access = Access(f"{LOGIN}{made.port}")
        needed = [f"+{right}" for right in rights(access.url) if right not in BY_HAND]
        for right in [*needed, "~waypoint:*", "&waypoint:*"]:
            line = " ".join(word for word in DOCUMENTED[0].split() if word != right)
            grant(admin, line)
            (told,) = problems(access)
            remedy = re.fullmatch(r"Redis at 127.0.0.1:\d+: user waypoint lacks rights.*: (ACL SETUSER .*)", told)
            assert remedy, told
            assert right in remedy[1].split()
            assert right in ("+eval", "~waypoint:*") or remedy[1] == f"ACL SETUSER waypoint {right}", told
            grant(admin, line, remedy[1])
            assert problems(access) == []
            admin.flushall()


@pytest.mark.parametrize("name", binaries())
@pytest.mark.parametrize("right", ["+publish", "+xadd"])
def test_who_may_not_tell_of_a_decision_has_decided_all_the_same(tmp_path: Path, name: str, right: str) -> None:
    with server(tmp_path, binaries()[name]) as made, made.client() as admin:
        grant(admin, " ".join(word for word in DOCUMENTED[0].split() if word != right))
        access = Access(f"{LOGIN}{made.port}")
        (told,) = problems(access)
        assert "others hear of ejections only when they look, or the stream does not tell of them" in told
        with opened(access) as rig:
            assert [rig.report("F").outcome for _ in range(3)] == ["counted", "counted", "ejected"]
            assert rig.ejected() == {A}
            view = rig.store.sync(CLUSTER, [A])
            assert (view.version, [each.endpoint for each in view.ejections]) == (1, [A])
            assert admin.exists(KEYS.log) == (right != "+xadd")
            admin.set(KEYS.log, "not a stream")
            if right != "+xadd":
                with pytest.raises(KeysUnusable):
                    rig.report("FFF", B, policy=replace(SEED, max_ejection_percent=100))


@pytest.mark.parametrize("name", binaries())
@pytest.mark.parametrize("right", ["+get", "+set", "+hset", "+zadd", "+incr", "+pexpireat", "+evalsha", "&waypoint:*"])
def test_a_right_that_a_decision_needs_is_missed_before_it(tmp_path: Path, name: str, right: str) -> None:
    with server(tmp_path, binaries()[name]) as made, made.client() as admin:
        grant(admin, " ".join(word for word in DOCUMENTED[0].split() if word != right))
        access = Access(f"{LOGIN}{made.port}")
        with opened(access) as rig:
            preflight = Preflight(rig.client, access, "waypoint")  # type: ignore[arg-type]
            for told in (False, True):
                (found,) = [each for each in preflight.problems() if each.level == logging.ERROR]
                assert (found.unfit, found.told) == (True, told)
                assert found.text.endswith(f"each replica decides by itself; give them: ACL SETUSER waypoint {right}")
            grant(admin, DOCUMENTED[0])
            assert preflight.problems() == [], "as soon as it is given"


@pytest.mark.parametrize("name", [name for name in binaries() if "6.2" not in name])
@pytest.mark.parametrize("right", ["set", "zadd", "incr"])
def test_a_right_that_is_taken_away_leaves_no_half_decision(tmp_path: Path, name: str, right: str) -> None:
    with server(tmp_path, binaries()[name]) as made, made.client() as admin:
        grant(admin, DOCUMENTED[0])
        with opened(Access(f"{LOGIN}{made.port}")) as rig:
            rig.report("FF")
            admin.execute_command("ACL", "SETUSER", "waypoint", f"-{right}")
            with pytest.raises(NotAllowed, match=right):
                rig.report("F")
            with pytest.raises(NotAllowed, match=right):
                rig.store.offer(CLUSTER, an_ejection(), SEED)
        assert (admin.exists(KEYS.eject(A)), admin.zcard(KEYS.ejected), admin.exists(KEYS.version)) == (0, 0, 0)


def test_a_problem_is_told_once_and_again_of_another_server(tmp_path: Path) -> None:
    with server(tmp_path, VALKEY) as made:
        access = Access(made.url)
        with opened(access) as rig:
            preflight = Preflight(rig.client, access, "waypoint")  # type: ignore[arg-type]
            assert [each.level for each in preflight.problems()] == [logging.INFO]
            assert preflight.problems() == []
            made.kill()
            assert preflight.problems() == []
            made.start_again()
            while not (told := preflight.problems()):
                pass
            assert "appendonly is off" in told[0].text


def test_the_wrong_url_for_a_cluster_or_for_none(tmp_path: Path) -> None:
    with cluster(tmp_path / "c", DEBIAN, 1) as made, server(tmp_path / "s") as plain:
        (told,) = problems(Access(made.servers[0].url))
        assert "redis+cluster://" in told
        (told,) = problems(Access(f"redis+cluster://{plain.address}"))
        assert "write --redis redis://HOST:PORT" in told


def test_what_scripts_run_is_probed() -> None:
    lua = "\n".join(path.read_text() for path in (ROOT / "state" / "lua").glob("*.lua"))
    run = {name.lower() for name in re.findall(r"(?:redis\.p?call|tell_if_allowed)\('(\w+)'", lua)}
    assert run == set(PROBES)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("NOPERM User waypoint has no permissions to run the 'mget' command", "command"),
        ("NOPERM this user has no permissions to run the 'mget' command or its subcommand", "command"),
        ("ERR ACL failure in script: User channel has no permissions to run the 'set' command", "command"),
        ("The user executing the script can't run this command or subcommand", "command"),
        ("NOPERM No permissions to access a key", "key"),
        ("NOPERM this user has no permissions to access one of the keys used as arguments", "key"),
        (
            "The user executing the script can't access at least one of the keys mentioned in the command arguments",
            "key",
        ),
        ("NOPERM No permissions to access a channel", "channel"),
        ("The user executing the script can't publish to the channel mentioned in the command", "channel"),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", ""),
        ("NOSCRIPT No matching script. Please use EVAL.", ""),
    ],
)
def test_errors_of_every_version(error: str, kind: str) -> None:
    assert missing_right(error) == kind
