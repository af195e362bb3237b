"""What operators do is in force in every replica at once, and told once; what redis-cli does, at the next look."""

import http.client
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from state.server.embedded import Embedded
from tests import redis_rig
from tests.fleet.fleet_rig import CLUSTER, Fleet, fail_until_out, fleet, key, restarted
from tests.patience import within
from tests.rig import ROOT, Replica, wait_until


def ctl(*arguments: str) -> tuple[int, str, str]:
    command = [sys.executable, str(ROOT / "bin" / "waypointctl"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stdout, done.stderr


def entries(made: Fleet) -> list[tuple[str, str, str]]:
    return [(e["kind"], e["why"], e["by"]) for _, e in made.client.xrange(f"waypoint:{{{CLUSTER}}}:log")]


def admin(one: Replica) -> str:
    return f"http://127.0.0.1:{one.admin}"


def test_commands_are_in_force_everywhere_at_once(valkey: Embedded, tmp_path: Path) -> None:
    """From the end of the command to both replicas, of two workers each: 100 ms at most."""
    with fleet(tmp_path, valkey.url, interval="10s") as made:
        victim = made.members[0]
        for where in (["--redis", valkey.url], ["--admin", admin(made.replicas[1])]):
            status, text, errors = ctl(
                *where, "eject", CLUSTER, victim.address, "--for", "10m", "--why", "disk full", "--by", "alice"
            )
            with within(0.1):
                wait_until(lambda: made.agrees(victim), 1, "ejected everywhere")
            assert (status, errors) == (0, ""), text + errors
            assert text == f"{victim.address} of {CLUSTER} is out for 10 min 0 s\n"
            before = len(victim.requests)
            assert "abc12" not in made.in_turn(12)
            assert len(victim.requests) == before
            status, text, errors = ctl(*where, "uneject", CLUSTER, victim.address, "--by", "bob")
            with within(0.1):
                wait_until(made.agrees, 1, "back everywhere")
            assert (status, text, errors) == (0, f"{victim.address} of {CLUSTER} is back\n", "")
            assert made.in_turn(12).count("abc12") == 4
        wait_until(lambda: made.lines("outlier ejecting endpoint due to disk full") == [2, 2], 1, "the lines")
        wait_until(lambda: made.lines("outlier unejecting") == [2, 2], 1, "the lines")
        assert entries(made) == [("by_hand", "ejected", "alice"), ("by_hand", "unejected", "bob")] * 2
        told = [e["workload"] for _, e in made.client.xrange(f"waypoint:{{{CLUSTER}}}:log")]
        assert told == [victim.name] * 4


def test_commands_need_no_replica(valkey: Embedded, tmp_path: Path) -> None:
    redis = ("--redis", valkey.url)
    with fleet(tmp_path, valkey.url, replicas=1) as made:
        victim, other = made.members[0].address, made.members[1].address
    assert ctl(*redis, "eject", CLUSTER, victim)[0] == 0
    status, text, _ = ctl(*redis, "ejections")
    assert (status, text.split()[-2:]) == (0, ["until", "unejected"])
    status, text, errors = ctl(*redis, "eject", CLUSTER, other, "--for", "45s")
    assert (status, text) == (0, f"{other} of {CLUSTER} is out for 45.0 s\n")
    assert "2 of 3 endpoints are out, more than maxEjectionPercent 50 allows" in errors
    status, text, _ = ctl(*redis, "explain", CLUSTER, victim)
    assert status == 0
    assert "0 replicas listen; 2 of 3 ejected" in text
    assert "is ejected, until somebody unejects it" in text
    status, text, _ = ctl(*redis, "history", "-o", "json")
    assert [json.loads(line)["endpoint"] for line in text.splitlines()] == [victim, other]
    assert ctl(*redis, "uneject", CLUSTER, victim)[0] == 0


def test_wrong_names_are_answered_with_what_there_is(valkey: Embedded, tmp_path: Path) -> None:
    with fleet(tmp_path, valkey.url, replicas=1) as made:
        addresses = ", ".join(member.address for member in made.members)
        for where in (["--redis", valkey.url], ["--admin", admin(made.replicas[0])]):
            status, _, errors = ctl(*where, "explain", "httpbin/nothing:1")
            assert status == 1
            assert f"unknown cluster 'httpbin/nothing:1'; there is: {CLUSTER}" in errors
            status, _, errors = ctl(*where, "eject", CLUSTER, "10.0.0.1:1")
            there_is = f"unknown endpoint '10.0.0.1:1' of {CLUSTER}; there is: {addresses}"
            assert (status, errors) == (1, f"waypointctl: {there_is}\n")
            assert ctl(*where, "uneject", CLUSTER, made.members[0].address)[0] == 1
        assert ctl("--redis", valkey.url, "eject", CLUSTER, made.members[0].address, "--for", "soon")[0] == 2
        assert ctl("--admin", "https://127.0.0.1", "ejections")[0] == 2
        assert entries(made) == []


def test_an_explanation_of_each_side(valkey: Embedded, tmp_path: Path) -> None:
    with fleet(tmp_path, valkey.url) as made:
        victim, other = made.members[:2]
        assert fail_until_out(made, victim) == 3
        other.status = 503
        while made.client.hget(key(other, "endpoint"), "failures") != "2":
            made.in_turn(1)
        other.status = 200
        for where in (["--redis", valkey.url], ["--admin", admin(made.replicas[0])]):
            status, text, _ = ctl(*where, "explain", CLUSTER, other.address)
            assert status == 0
            assert f"{other.address} ({other.name}) takes traffic" in text
            assert "2 of 3 consecutive failures since " in text
            assert (
                "1 of 3 ejected; one more would be 2 of 3 = 67 % > 50 %: an endpoint reaching the threshold would"
                in text
            )
            assert "DestinationRule httpbin/in-ambient-failover" in text
            assert "2 replicas listen" in text
            assert ("a decides with the fleet for " in text) == ("--admin" in where)
            status, text, _ = ctl(*where, "explain", CLUSTER)
            here = 2 if "--admin" in where else 0  # the policy, and how it is picked
            assert text.count("\n\n") == 3 + here, "one short paragraph for each endpoint"
            said = "outlierDetection.consecutive5xxErrors 3 httpbin/in-ambient-failover spec.trafficPolicy."
            assert (said in " ".join(text.split())) == ("--admin" in where)
            assert f"{victim.address} ({victim.name}) is ejected, " in text
        status, text, _ = ctl("--admin", admin(made.replicas[1]), "explain", CLUSTER, victim.address, "-o", "json")
        (report,) = json.loads(text)["reports"]
        assert report["fleet"]["why"] == "consecutive_5xx=3"
        assert [each.partition("/")[0] for each in report["fleet"]["evidence"]] == ["503@a"] * 3
        assert report["here"]["ejected"] is True
        status, text, _ = ctl("--admin", admin(made.replicas[1]), "get", "destinationrules")
        assert (status, text.splitlines()[0].split()) == (0, ["NAME", "HOST", "AGE"])
        assert text.splitlines()[1].split()[0] == "in-ambient-failover"
        url = f"http://in-ambient.httpbin:{CLUSTER.rpartition(':')[2]}/hostname"
        status, text, _ = ctl("--admin", admin(made.replicas[1]), "explain", "route", "GET", url, "--header", "a:b")
        assert (status, CLUSTER in text, "to the Service itself" in text) == (0, True, True)
        status, text, errors = ctl("--admin", admin(made.replicas[1]), "explain", "route", "GET", "here")
        assert (status, text) == (1, "") and "give a URL such as" in errors


def test_without_redis_a_replica_tells_what_it_knows(valkey: Embedded, tmp_path: Path) -> None:
    with fleet(tmp_path, valkey.url, replicas=1) as made:
        one, victim = made.replicas[0], made.members[0]
        valkey.process.kill()
        wait_until(lambda: one.info()["ejections"] == "local", 5, "it is noticed")
        assert fail_until_out(made, victim) == 3
        status, text, errors = ctl("--admin", admin(one), "ejections")
        assert status == 0 and "this is what a itself has out" in errors
        assert text.splitlines()[1].split()[1:6] == [victim.address, victim.name, "consecutive_5xx=3", "a", "alone"]
        _, text, _ = ctl("--admin", admin(one), "explain", CLUSTER, victim.address)
        assert "a decides by itself for " in text and "ConnectionError" in text
        assert "ejected by this replica's own decision" in text
        status, _, errors = ctl("--admin", admin(one), "eject", CLUSTER, victim.address)
        assert status == 1 and "Connection" in errors
        assert post(one, "/eject", {"cluster": CLUSTER, "endpoint": victim.address, "by": "x"})[0] == 503
        assert post(one, "/uneject", {"cluster": CLUSTER, "endpoint": made.members[1].address, "by": "x"})[0] == 503
        assert ctl("--redis", valkey.url, "ejections")[0] == 1
        status, text, errors = ctl("--admin", admin(one), "uneject", CLUSTER, victim.address, "--by", "alice")
        assert (status, "is back" in text, "for this replica alone" in errors) == (0, True, True)
        assert not made.out(0)
        assert "abc12" in one.hostnames(6)
        made.wrote("outlier unejecting", 1)
        assert "is put back here by alice" in one.waypoint.errors()


def test_what_is_put_back_while_redis_is_away_is_the_fleets_again_when_it_answers(tmp_path: Path) -> None:
    with redis_rig.server(tmp_path / "redis") as server, fleet(tmp_path, server.url, replicas=1) as made:
        victim, one = made.members[0], made.replicas[0]
        assert fail_until_out(made, victim) == 3
        wait_until(lambda: made.client.exists(key(victim)), 2, "Redis knows")
        made.client.save()
        server.kill()
        wait_until(lambda: made.mode(0) == "local", 5, "by itself")
        assert made.out(0) == {victim.address}
        assert ctl("--admin", admin(one), "uneject", CLUSTER, victim.address, "--by", "alice")[0] == 0
        assert not made.out(0)
        server.start_again()
        wait_until(lambda: made.mode(0) == "shared", 10, "a fleet again")
        wait_until(lambda: made.agrees(victim), 5, "Redis tells of it")


def post(one: Replica, path: str, body: Any, method: str = "POST", **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", one.admin, timeout=5)
    fields = {"content-type": "application/json"} | {name.replace("_", "-"): text for name, text in headers.items()}
    text = body if isinstance(body, str) else json.dumps(body)
    connection.request(method, path, text, {name: value for name, value in fields.items() if value})
    response = connection.getresponse()
    answer = response.status, response.read().decode()
    connection.close()
    return answer


def test_no_web_page_ejects(valkey: Embedded, tmp_path: Path) -> None:
    with fleet(tmp_path, valkey.url, replicas=1, workers=1) as made:
        one, order = made.replicas[0], {"cluster": CLUSTER, "endpoint": made.members[0].address, "by": "alice"}
        for headers in ({"content_type": "text/plain"}, {"content_type": ""}, {"origin": "http://127.0.0.1:15000"}):
            assert post(one, "/eject", order, **headers)[0] == 403
        assert post(one, "/eject", "", method="GET")[0] == 405
        assert post(one, "/clusters", order)[0] == 405
        assert post(one, "/nothing", order)[0] == 404
        assert post(one, "/eject", "x" * 9000)[0] == 413
        for wrong, told in (
            ("[]", "a JSON object"),
            ("{", "a JSON object"),
            ({"cluster": CLUSTER}, "missing: endpoint, by"),
            (order | {"ejection_ms": "10m"}, "ejection_ms: must be a number"),
            (order | {"ejection_ms": -1}, "ten years"),
            (order | {"extra": 1}, "extra: there is no such field"),
            (order | {"why": 5}, "why: must be text"),
        ):
            status, text = post(one, "/eject", wrong)
            assert status == 400 and told in text
        status, text = post(one, "/history?limit=x", "", method="GET")
        assert (status, text) == (400, "limit: must be a number\n")
        assert entries(made) == [] and made.agrees()
        status, text = post(one, "/eject", order | {"ejection_ms": 5000, "why": "a test"})
        assert (status, json.loads(text)["changed"]) == (200, "ejected")
        assert one.info("/ejections")["ejections"][0]["workload"] == made.members[0].name


def test_what_redis_cli_changes_is_in_force_at_the_next_look(valkey: Embedded, tmp_path: Path) -> None:
    with fleet(tmp_path, valkey.url, interval="10s") as made:
        victim, other = made.members[:2]
        assert fail_until_out(made, victim) == 3
        wait_until(lambda: made.agrees(victim), 1, "both know")
        made.client.set(key(other), "reason=maintenance by=alice", px=600_000)
        wait_until(lambda: made.agrees(victim, other), 1.2, "SET")
        made.client.expire(key(other), 60)
        wait_until(lambda: all(left(each, other) <= 60 for each in made.replicas), 1.2, "EXPIRE")
        made.client.expire(key(victim), 120)
        wait_until(lambda: all(left(each, victim) > 60 for each in made.replicas), 1.2, "a longer one")
        made.client.delete(key(other))
        wait_until(lambda: made.agrees(victim), 1.2, "DEL")
        made.client.delete(key(victim))
        wait_until(made.agrees, 1.2, "DEL")
        made.wrote("outlier ejecting", 2, 2)
        assert entries(made)[1:] == [
            ("by_hand", "ejected", "alice"),
            ("by_hand", "changed", "hand"),
            ("by_hand", "changed", "hand"),
            ("by_hand", "unejected", "hand"),
            ("by_hand", "unejected", "hand"),
        ]


def left(one: Replica, endpoint: Any) -> float:
    """Seconds that the replica still has the endpoint out."""
    (cluster,) = one.info("/clusters")
    return next(float(e["ejected_left_ms"]) / 1000 for e in cluster["endpoints"] if e["address"] == endpoint.address)


def test_the_end_of_an_ejection_is_told_within_a_second_and_once(valkey: Embedded, tmp_path: Path) -> None:
    with fleet(tmp_path, valkey.url, interval="10s", baseEjectionTime="1s") as made:
        victim = made.members[0]
        assert fail_until_out(made, victim) == 3
        wait_until(lambda: made.agrees(victim), 1, "both know")
        wait_until(made.agrees, 3, "its time is over")
        wait_until(lambda: len(entries(made)) == 2, 1, "the entry")
        assert entries(made)[1][:2] == ("uneject", "expired")
        time.sleep(1.2)  # the other replica has looked too
        assert len(entries(made)) == 2
        made.wrote("outlier ejecting", 1, 1)
        made.wrote("outlier unejecting", 1, 1)


def test_history_follows(valkey: Embedded, tmp_path: Path) -> None:
    with fleet(tmp_path, valkey.url, replicas=1, workers=1) as made:
        victim = made.members[0]
        assert fail_until_out(made, victim) == 3
        command = [sys.executable, str(ROOT / "bin" / "waypointctl"), "--redis", valkey.url, "history", "--follow"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as following:
            assert following.stdout is not None
            assert "out for 30s after 3 consecutive failures, by a (ejections=1" in following.stdout.readline()
            ctl("--redis", valkey.url, "uneject", CLUSTER, victim.address, "--by", "bob", "--why", "all well")
            assert following.stdout.readline().rstrip().endswith("put back by bob: all well")
            valkey.process.kill()
            valkey.process.wait()
            assert following.stderr is not None
            assert "goes on when it can" in following.stderr.readline()
            again = restarted(valkey)
            wait_until(lambda: made.mode(0) == "shared", 10, "a fleet again")
            ctl("--redis", valkey.url, "eject", CLUSTER, victim.address, "--by", "carol", "--why", "once more")
            assert following.stdout.readline().rstrip().endswith("out until unejected by carol: once more")
            again.stop()
            following.terminate()
