"""A replica whose own network or certificate is broken must not eject for the fleet."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from state.server.embedded import Embedded
from tests.fleet.fleet_rig import ejected
from tests.hbone.destination import Destination
from tests.hbone.identities import Authority, install
from tests.manifests import pod, rule
from tests.rig import Endpoint, Replica, endpoints, manifests_for, replica, wait_until

LAST = [name[-5:] for name in ("abc12", "def34", "ghi56", "jkl78")]


@contextlib.contextmanager
def with_a_sick_one(
    path: Path, members: list[Endpoint], redis: str, well: int = 1, quorum: str = "1"
) -> Iterator[list[Replica]]:
    """Replicas with captured endpoints; nobody trusts the certificate of the last, and it trusts none."""
    ca, other = Authority(), Authority()
    with contextlib.ExitStack() as stack:
        for member in members:
            stack.enter_context(Destination(member.ip, ca.leaf("in-ambient"), ca.root))
        made = []
        for name, signer in (*((f"well-{i}", ca) for i in range(well)), ("sick", other)):
            tls = install(path / f"tls-{name}", signer.leaf("httpbin-waypoint"), signer.root)
            manifests, port = stack.enter_context(manifests_for(members))
            body = rule(interval="1s", maxEjectionPercent=100, baseEjectionTime="30s")
            body["metadata"]["annotations"] = {"waypointd.io/local-origin-quorum": quorum}
            manifests.put("rule", body)
            for member in members:
                manifests.put(f"pod-{member.name}", pod(member.name, member.ip, captured=True))
            options = ("--tls-dir", str(tls))
            made.append(stack.enter_context(replica(path / name, manifests, port, *options, redis=redis, name=name)))
        yield made


def keys(client: Redis) -> list[str]:
    return list(client.scan_iter("waypoint:*:eject:*"))


def test_it_suspects_itself_and_decides_alone(valkey: Embedded, tmp_path: Path) -> None:
    with (
        Redis.from_url(valkey.url, decode_responses=True) as client,
        endpoints(4) as members,
        with_a_sick_one(tmp_path, members, valkey.url) as (well, sick),
    ):
        assert sorted(well.hostnames(4)) == LAST
        assert set(sick.hostnames(20)) == {"503"}, "it reaches none of them"
        wait_until(lambda: len(ejected(sick)) == 4, 2, "its own decision")
        for _ in range(3):
            assert sorted(well.hostnames(4)) == LAST, "the other has all of them"
        assert keys(client) == []
        assert ejected(well) == set()
        log = sick.waypoint.errors()
        assert "suspects its own network" in log
        wait_until(lambda: len(sick.waypoint.lines("outlier ejecting")) == 4, 3, "four lines")
        lines = sick.waypoint.lines("outlier ejecting")
        assert all("due to consecutive failures of this replica only" in line for line in lines)


def test_what_an_endpoint_answers_is_the_fleets_affair_all_the_same(valkey: Embedded, tmp_path: Path) -> None:
    with (
        endpoints(4) as members,
        with_a_sick_one(tmp_path, members, valkey.url) as (well, sick),
    ):
        sick.hostnames(8)
        assert sorted(well.hostnames(4)) == LAST, "what the sick one told of them is over"
        members[0].status = 503
        assert well.hostnames(24).count("503") == 3
        wait_until(lambda: ejected(well) == {members[0].address}, 2, "ejected")


def test_a_quorum_protects_even_one_endpoint(valkey: Embedded, tmp_path: Path) -> None:
    """Two endpoints are too few to suspect oneself; the quorum asks for another replica."""
    with (
        Redis.from_url(valkey.url, decode_responses=True) as client,
        endpoints(2) as members,
        with_a_sick_one(tmp_path, members, valkey.url, well=2, quorum="2") as (one, two, sick),
    ):
        assert set(sick.hostnames(8)) == {"503"}
        wait_until(lambda: len(ejected(sick)) == 2, 2, "its own decision")
        assert keys(client) == []
        assert sorted(one.hostnames(2)) == sorted(two.hostnames(2)) == LAST[:2]
        victim = members[0]
        victim.kill()
        assert set(one.hostnames(8)) == {LAST[1]}, "no client sees it"
        wait_until(lambda: ejected(one) == {victim.address}, 2, "for itself, so far")
        assert keys(client) == []
        assert set(two.hostnames(2)) == {LAST[1]}
        wait_until(lambda: ejected(two) == {victim.address}, 2, "the second one to see it confirms it")
        assert len(keys(client)) == 1
        wait_until(lambda: two.waypoint.lines("due to consecutive 5xx"), 1, "for all")


@pytest.mark.parametrize("status", [401, 503])
def test_Z4_what_ztunnels_answer_is_no_doubt_about_our_own_network(
    valkey: Embedded, tmp_path: Path, status: int
) -> None:
    """All apps are dead behind living ztunnels, or a policy denies all of them: the outage the one count is for."""
    with (
        Redis.from_url(valkey.url, decode_responses=True) as client,
        endpoints(3) as members,
        doors(tmp_path, members, valkey.url) as (made, one, other),
    ):
        assert sorted(one.hostnames(3)) == sorted(other.hostnames(3))
        for member, door in zip(members, made, strict=True):
            if status == 401:
                door.answer = status
                door.drop()
            else:
                member.kill()
        answers = one.hostnames(8)
        assert set(answers) == {"503"}
        wait_until(lambda: len(keys(client)) == 3, 3, "all are out, for the fleet")
        wait_until(lambda: len(ejected(other)) == 3, 3, "which the other knows without having asked one")
        assert all(f" cause=tunnel_{status}" in client.get(key) for key in keys(client))
        assert "suspects its own network" not in one.waypoint.errors()
        for each in (one, other):
            wait_until(lambda each=each: len(each.waypoint.ejections()) == 3, 3, "three lines")
            assert all("due to consecutive 5xx " in line for line in each.waypoint.ejections())
            assert all(f" cause=tunnel_{status}" in line for line in each.waypoint.ejections())


@contextlib.contextmanager
def doors(path: Path, members: list[Endpoint], redis: str) -> Iterator[tuple[list[Destination], Replica, Replica]]:
    """Two replicas before captured endpoints, all of one mesh; every endpoint may be out."""
    ca = Authority()
    tls = install(path / "tls", ca.leaf("httpbin-waypoint"), ca.root)
    with contextlib.ExitStack() as stack:
        made = [stack.enter_context(Destination(each.ip, ca.leaf("in-ambient"), ca.root)) for each in members]
        replicas: list[Replica] = []
        for name in "ab":
            manifests, port = stack.enter_context(manifests_for(members, interval="1s", maxEjectionPercent=100))
            for each in members:
                manifests.put(f"pod-{each.name}", pod(each.name, each.ip, captured=True))
            options = ("--tls-dir", str(tls))
            replicas.append(
                stack.enter_context(replica(path / name, manifests, port, *options, redis=redis, name=name))
            )
        yield made, replicas[0], replicas[1]
