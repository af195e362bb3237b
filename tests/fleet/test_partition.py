"""Replicas that are parted from Redis, or from each other, and meet again; stores that have lost data."""

import contextlib
import itertools
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from state.server import embedded
from state.server.embedded import Embedded
from tests.fleet.fleet_rig import CLUSTER, Fleet, fail_until_out, fleet, key, restarted
from tests.fleet.redis_relay import Cut, Relay, relays
from tests.patience import slowness
from tests.rig import Endpoint, free_port, stays, wait_until

EPOCH = f"waypoint:{{{CLUSTER}}}:epoch"


def part(made: Fleet, which: int, way: Relay) -> None:
    way.drop()
    way.reset()
    wait_until(lambda: made.mode(which) == "local", 3, "parted")


def meet(made: Fleet, *ways: Relay) -> None:
    for way in ways:
        way.heal()
    wait_until(lambda: {made.mode(i) for i in range(len(made.replicas))} == {"shared"}, 4, "together again")


def slow(value: Any) -> Any:
    return pytest.param(value, marks=pytest.mark.slow)


@pytest.mark.parametrize("first", [0, slow(1)])
def test_both_halves_have_used_the_cap(valkey: Embedded, tmp_path: Path, first: int) -> None:
    """Two of four may be out, and each half of the fleet has ejected two: the two older ones stay, everywhere."""
    with (
        relays(valkey.port, 2) as ways,
        fleet(tmp_path, valkey.url, count=4, through=[way.url for way in ways]) as made,
    ):
        pairs = made.members[:2], made.members[2:]
        part(made, 1, ways[1])
        for which in (first, 1 - first):
            for victim in pairs[which]:
                assert fail_until_out(made, victim, which) == 3
            time.sleep(0.05)
        ours = [{member.address for member in pair} for pair in pairs]
        assert [made.out(0), made.out(1)] == ours
        meet(made, ways[1])
        wait_until(lambda: made.agrees(*pairs[first]), 2, "of one mind")
        stays(lambda: made.agrees(*pairs[first]), 1.2, "of one mind")
        made.wrote("outlier ejecting", *([2, 4] if first == 0 else [4, 2]))
        made.wrote("outlier unejecting", *([0, 2] if first == 0 else [2, 0]))
        assert len(made.told("uneject")) == (0 if first == 0 else 2)
        assert all(why == "max_ejection_percent" for why, _ in made.told("uneject"))


def test_what_happened_meanwhile(valkey: Embedded, tmp_path: Path) -> None:
    """Redis has kept its data: its set is adopted, a hand obeyed, our own ejection offered once with its time left."""
    with (
        relays(valkey.port, 2) as ways,
        fleet(tmp_path, valkey.url, count=6, through=[way.url for way in ways]) as made,
    ):
        lifted, kept, own, theirs = made.members[:4]
        for victim in (lifted, kept):
            fail_until_out(made, victim)
        wait_until(lambda: made.agrees(lifted, kept), 2, "both know")
        part(made, 1, ways[1])
        until = made.until_ms(1, kept)
        made.client.delete(key(lifted))
        wait_until(lambda: made.out(0) == {kept.address}, 2, "lifted where Redis is")
        assert made.out(1) == {lifted.address, kept.address}, "known ejections stay"
        own.status = 503
        while own.address not in made.out(1):  # only one of three is still allowed here
            made.replicas[1].hostname()
        own.status, began = 200, time.monotonic()
        fail_until_out(made, theirs)
        time.sleep(max(0.0, began + 1 - time.monotonic()))
        ends = made.until_ms(1, own)
        meet(made, ways[1])
        wait_until(lambda: made.agrees(kept, own, theirs), 2, "of one mind")
        assert abs(made.until_ms(0, own) - ends) < 50, "with the time that was left"
        assert abs(made.until_ms(1, kept) - until) < 50
        stays(lambda: made.agrees(kept, own, theirs), 1.2)
        assert made.told("eject").count(("offered", own.address)) == 1
        assert len(made.told("eject")) == 4
        made.wrote("outlier ejecting", 4, 4)
        made.wrote("outlier unejecting", 1, 1)


@pytest.mark.slow
def test_ejections_end_in_time_while_redis_is_away(valkey: Embedded, tmp_path: Path) -> None:
    with (
        relays(valkey.port, 2) as ways,
        fleet(tmp_path, valkey.url, through=[way.url for way in ways], baseEjectionTime="3s") as made,
    ):
        victim = made.members[0]
        fail_until_out(made, victim)
        wait_until(lambda: made.agrees(victim), 1, "both know")
        ends = [made.until_ms(which, victim) for which in (0, 1)]
        assert abs(ends[0] - ends[1]) < 50
        for which in (0, 1):
            part(made, which, ways[which])
        for which in (0, 1):
            assert abs(made.until_ms(which, victim) - ends[which]) < 50
        wait_until(made.agrees, 4, "back")
        assert abs(time.monotonic() * 1000 - ends[0]) < 150 * slowness()
        meet(made, *ways)
        time.sleep(1)
        made.wrote("outlier ejecting", 1, 1)
        made.wrote("outlier unejecting", 1, 1)


@pytest.mark.parametrize("how", ["flushall", "del"])
def test_room_that_redis_has_and_the_replicas_have_not(valkey: Embedded, tmp_path: Path, how: str) -> None:
    """Two of four are out. Redis forgets all of it, or one key is deleted, and a third endpoint fails at once."""
    with fleet(tmp_path, valkey.url, count=4) as made:
        first, second, third = made.members[:3]
        for victim in (first, second):
            assert fail_until_out(made, victim) == 3
        wait_until(lambda: made.agrees(first, second), 1, "both out everywhere")
        most = 0
        third.status = 503
        made.client.flushall() if how == "flushall" else made.client.delete(key(first))
        until = time.monotonic() + 2.5
        while time.monotonic() < until:
            made.in_turn(2)
            most = max(most, len(made.out(0)), len(made.out(1)))
        assert most == 2
        expected = (first, second) if how == "flushall" else (second, third)
        wait_until(lambda: made.agrees(*expected), 2, "the older ones, or the one that had room")


@pytest.mark.slow
def test_both_away_eject_the_same(valkey: Embedded, tmp_path: Path) -> None:
    with (
        relays(valkey.port, 2) as ways,
        fleet(tmp_path, valkey.url, through=[way.url for way in ways]) as made,
    ):
        victim = made.members[0]
        for which in (0, 1):
            part(made, which, ways[which])
            assert fail_until_out(made, victim, which) == 3
        meet(made, *ways)
        time.sleep(1.5)
        assert made.agrees(victim)
        assert made.told("eject") == [("offered", victim.address)]
        made.wrote("outlier ejecting", 1, 1)
        assert made.client.hget(key(victim, "endpoint"), "ejections") == "1"


# -- lost data --------------------------------------------------------------------------------------------------------


def test_killed_and_restarted_empty_during_a_run(tmp_path: Path) -> None:
    server = Embedded.start(0)
    try:
        with fleet(tmp_path, server.url, count=5, replicas=3) as made:
            out, running = made.members[0], made.members[1]
            fail_until_out(made, out)
            wait_until(lambda: made.agrees(out), 1, "known")
            running.status = 503
            for which in (0, 1):
                while made.replicas[which].hostname() != "503":
                    pass  # one failure in each: a run of two
            epoch = made.client.get(EPOCH)
            server.process.kill()
            server.process.wait()
            server = restarted(server)
            meet(made)
            wait_until(lambda: made.client.exists(key(out)), 2, "offered again")
            fresh = made.client.get(EPOCH)
            answers = [made.replicas[2].hostname() for _ in range(20)]
            assert 1 <= answers.count("503") <= 3, "some of the run may be forgotten"
            wait_until(lambda: made.agrees(out, running), 2, "everywhere")
            stays(lambda: made.agrees(out, running), 1.5, "nothing was lifted")
            assert made.client.get(EPOCH) == fresh != epoch
            assert [why for why, _ in made.told("eject")].count("offered") == 1
            assert len(made.told("eject")) == 2
            made.wrote("outlier ejecting", 2, 2, 2)
            made.wrote("outlier unejecting", 0, 0, 0)
    finally:
        server.stop()


@contextlib.contextmanager
def follower(primary: Embedded, path: Path, *command: str) -> Iterator[redis.Redis]:
    """A replica of the server, to fail over to, with its files in `path`; `command` goes before its own."""
    port = free_port()
    options = ("--replicaof", "127.0.0.1", str(primary.port), "--repl-diskless-sync-delay", "0", "--dir", str(path))
    process = subprocess.Popen(
        [*command, str(embedded._binary()), "--bind", "127.0.0.1", "--port", str(port), *embedded.OPTIONS, *options],
        stdout=subprocess.DEVNULL,
        env=os.environ | {"FAKETIME_DONT_FAKE_MONOTONIC": "1"},
    )
    client = redis.Redis(port=port, decode_responses=True)

    def follows() -> bool:
        with contextlib.suppress(redis.RedisError):
            return bool(client.info("replication").get("master_link_status") == "up")
        return False

    try:
        wait_until(follows, 10, "in step")
        yield client
    finally:
        client.close()
        process.kill()
        process.wait()


def fail_over(made: Fleet, ways: list[Relay], heir: redis.Redis) -> None:
    heir.replicaof("NO", "ONE")
    for way in ways:
        way.target = heir.connection_pool.connection_kwargs["port"]
        way.reset()
    made.client.close()
    made.client = redis.Redis(port=ways[0].target, decode_responses=True)


@pytest.mark.slow
def test_a_failover_that_lost_the_last_writes(valkey: Embedded, tmp_path: Path) -> None:
    """The epoch is still there, the version has gone back, and with it the ejection."""
    with (
        relays(valkey.port, 2) as ways,
        fleet(tmp_path, valkey.url, count=4, through=[way.url for way in ways]) as made,
        follower(valkey, tmp_path) as heir,
    ):
        first, second = made.members[:2]
        fail_until_out(made, first)
        wait_until(lambda: made.agrees(first), 1, "known")
        time.sleep(1.1)  # and looked at
        wait_until(lambda: heir.exists(key(first)), 2, "written there too")
        heir.replicaof("NO", "ONE")
        fail_until_out(made, second)
        wait_until(lambda: made.agrees(first, second), 1, "known")
        epoch, seen = heir.get(EPOCH), set()
        fail_over(made, ways, heir)
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            seen.add(heir.get(EPOCH))
            assert made.agrees(first, second), "not lifted for a moment"
        assert len(seen - {epoch}) == 1, "a new epoch, once"
        assert heir.exists(key(first), key(second)) == 2
        assert [why for why, _ in made.told("eject")] == ["consecutive_5xx", "offered"]
        made.wrote("outlier ejecting", 2, 2)
        made.wrote("outlier unejecting", 0, 0)


@pytest.mark.slow
@pytest.mark.parametrize("skew", [20, -20])
def test_a_failover_to_a_clock_that_is_wrong(valkey: Embedded, tmp_path: Path, skew: int) -> None:
    """Running replicas keep their ends; a key that only the other clock has ended is no hand's doing."""
    with (
        relays(valkey.port, 2) as ways,
        fleet(tmp_path, valkey.url, count=4, through=[way.url for way in ways], baseEjectionTime="6s") as made,
        follower(valkey, tmp_path, "faketime", "-f", f"{skew:+d}s") as heir,
    ):
        assert abs(heir.time()[0] - made.client.time()[0] - skew) <= 1
        victim = made.members[0]
        fail_until_out(made, victim)
        wait_until(lambda: made.agrees(victim), 1, "known")
        ends = [made.until_ms(which, victim) for which in (0, 1)]
        time.sleep(1.1)
        fail_over(made, ways, heir)
        wait_until(lambda: made.mode(0) == made.mode(1) == "shared", 4, "with the other server")
        while time.monotonic() * 1000 < ends[0] - 300:
            for which in (0, 1):
                assert abs(made.until_ms(which, victim) - ends[which]) < 50
        wait_until(made.agrees, 1, "back at its time")
        assert abs(time.monotonic() * 1000 - ends[0]) < 150 * slowness()
        time.sleep(2)
        assert made.agrees()
        made.wrote("outlier ejecting", 1, 1)
        made.wrote("outlier unejecting", 1, 1)


# -- messages ---------------------------------------------------------------------------------------------------------


class Messages:
    """What becomes of pushed messages."""

    def __init__(self) -> None:
        self.count = itertools.count()

    def every_second(self, message: bytes) -> bytes | None:
        return message if next(self.count) % 2 else None

    def none(self, message: bytes) -> bytes | None:
        return None

    def cut(self, message: bytes) -> bytes:
        raise Cut(message[: len(message) // 2])


def late(message: bytes) -> bytes:
    time.sleep(0.5)
    return message


@pytest.mark.parametrize("fault", ["every_second", slow("none"), slow("cut"), slow("late")])
def test_messages_that_do_not_come(valkey: Embedded, tmp_path: Path, fault: str) -> None:
    with (
        relays(valkey.port, 2) as ways,
        fleet(tmp_path, valkey.url, count=5, through=[way.url for way in ways]) as made,
    ):
        ways[1].messages = getattr(Messages(), fault, late)
        for number, victim in enumerate(made.members[:2]):
            assert fail_until_out(made, victim) == 3
            known = made.members[: number + 1]
            wait_until(lambda known=known: made.agrees(*known), 1.3, "equal after an interval")
        time.sleep(1.1)
        for victim in made.members[:2]:
            key_ends = time.monotonic() * 1000 + made.client.pttl(key(victim))
            assert [abs(made.until_ms(which, victim) - key_ends) < 50 for which in (0, 1)] == [True, True]
        made.client.delete(key(made.members[0]))
        wait_until(lambda: made.agrees(made.members[1]), 2.3, "equal after an interval")
        made.wrote("outlier ejecting", 2, 2)


def test_a_record_that_is_gone_only_forgets_a_count(valkey: Embedded, tmp_path: Path) -> None:
    """As when a server short of memory evicts it."""
    with fleet(tmp_path, valkey.url, count=4) as made:
        out, running = made.members[:2]
        fail_until_out(made, out)
        wait_until(lambda: made.agrees(out), 1, "known")
        ends = made.until_ms(1, out)
        made.client.delete(key(out, "endpoint"))
        running.status = 503
        failing(made, running, 2)
        made.client.delete(key(running, "endpoint"))
        failing(made, running, 1)
        time.sleep(1.2)
        assert made.agrees(out), "the run began again"
        assert abs(made.until_ms(1, out) - ends) < 50
        failing(made, running, 2)
        wait_until(lambda: made.agrees(out, running), 1, "and reached three")
        wait_until(lambda: made.lines("outlier ejecting") == [2, 2], 1, "told once each")
        assert made.client.hget(key(out, "endpoint"), "generation") == "1"


def failing(made: Fleet, member: Endpoint, count: int) -> None:
    """So many failures of this endpoint, on the replicas in turn."""
    seen, replicas = len(member.requests), itertools.cycle(made.replicas)
    while len(member.requests) < seen + count:
        next(replicas).hostname()
