"""How waypointctl puts what it found: columns, times, sentences, arithmetic."""

from dataclasses import replace
from typing import Any

import pytest

from proxy.ctl.common import fail
from proxy.ctl.ejections import left, table
from proxy.ctl.explain import in_force, text
from proxy.ctl.history import followed, lines, sentence
from proxy.ctl.words import age, columns, moment, number, span
from state.errors import StoreUnavailable
from state.operating.explain import (
    ClusterReport,
    EndpointReport,
    FleetFacts,
    HereFacts,
    Replica,
    as_json,
    beyond,
    cap,
    from_json,
    with_replica,
)
from state.operating.history import Entry, entry
from state.operating.rule import parse
from state.operating.sight import Out
from state.operating.viewer import Refused
from state.outlier.store import Policy

OUT = Out("c/s:80", "10.0.0.1:80", "pod-1", "consecutive_5xx=3", "a", 12.34, "key")
RULE = (
    "consecutive_5xx=3 interval=1.5s base_ejection_time=500ms max_ejection_percent=50 endpoints=3 "
    "local_origin_quorum=2 recovery=probe destination_rule=httpbin/rule addresses=10.0.0.1:80/pod-1,[fd00::1]:80/"
)
FIELDS = {
    "kind": "eject",
    "endpoint": "10.0.0.1:80",
    "workload": "pod-1",
    "why": "consecutive_5xx",
    "consecutive_5xx": "3",
    "ejections": "2",
    "backoff": "2",
    "ejection_time": "60s",
    "generation": "2",
    "by": "a",
    "evidence": "503@a/x,0@b/y",
}
FACTS = FleetFacts(
    ejected=False,
    left_s=0,
    probe_in_s=None,
    prober="",
    why="",
    by="",
    ejection_s=None,
    failures=2,
    local_failures=0,
    run_age_s=1.23,
    reporters=("a", "b"),
    local_reporters=(),
    last_status=503,
    evidence=("503@a/x", "0@b/y"),
    generation=1,
    ejections=1,
    overflows=0,
    next_backoff=2,
    next_ejection_s=60,
    room=True,
    entries=(),
)
REPORT = ClusterReport(
    cluster="c/s:80",
    rule="consecutive_5xx=3 endpoints=3",
    destination_rule="c/rule",
    rule_age_s=34,
    threshold=3,
    quorum=1,
    probe=False,
    base_ejection_s=30,
    max_ejection_percent=50,
    endpoints=3,
    ejected=1,
    listening=2,
    fault="",
    reports=(EndpointReport("10.0.0.1:80", "pod-1", FACTS),),
)


@pytest.mark.parametrize(
    ("out", "told"),
    [
        (OUT, "12.3s"),
        (replace(OUT, left_s=None), "until unejected"),
        (replace(OUT, left_s=612.3, probe_in_s=12.34), "probe in 12.3s"),
        (replace(OUT, left_s=500.0, probe_in_s=0.0), "awaits probe"),
    ],
)
def test_how_long_still(out: Out, told: str) -> None:
    assert left(out) == told
    assert table([out]).splitlines()[1].endswith(told)


def test_a_table_of_ejections() -> None:
    assert table([]) == "nothing is ejected"
    rows = table([OUT, replace(OUT, why="x\x1b[31m", only_here=True)]).splitlines()
    assert rows[0].split() == ["CLUSTER", "ENDPOINT", "WORKLOAD", "WHY", "BY", "LEFT"]
    assert "x?[31m" in rows[2] and "a alone" in rows[2]


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(1.24, "1.2 s"), (119.9, "119.9 s"), (590, "9 min 50 s"), (7200, "2 h 0 min"), (12_060, "3 h 21 min")],
)
def test_spans(seconds: float, told: str) -> None:
    assert span(seconds) == told


def test_small_words() -> None:
    assert moment(1_795_417_008_089) == "2026-11-23T06:56:48.089Z"
    assert (number(1, "replica"), number(0, "replica")) == ("1 replica", "0 replicas")
    assert columns([("a", "bbb", "c"), ("aa", "b", "")]) == ["a   bbb  c", "aa  b"]
    assert columns([]) == []


@pytest.mark.parametrize(
    ("ejected", "endpoints", "percent", "this_one", "told"),
    [
        (
            *(1, 3, 50, False),
            "1 of 3 ejected; one more would be 2 of 3 = 67 % > 50 %: an endpoint reaching the threshold would overflow",
        ),
        (
            *(0, 3, 34, False),
            "0 of 3 ejected; one more would be 1 of 3 = 33 % <= 34 %: an endpoint reaching the threshold is ejected",
        ),
        (
            *(0, 3, 33, False),
            "0 of 3 ejected; one more would be 1 of 3 = 33.33 % > 33 %: an endpoint reaching the threshold would "
            "overflow",
        ),
        (
            *(0, 2, 50, False),
            "0 of 2 ejected; one more would be 1 of 2 = 50 % <= 50 %: an endpoint reaching the threshold is ejected",
        ),
        (1, 3, 50, True, "1 of 3 ejected, this one too; 50 % of 3 allows 1"),
        (0, 0, 50, False, "the rule was told by a replica that has no endpoints"),
    ],
)
def test_the_cap_written_out(ejected: int, endpoints: int, percent: int, this_one: bool, told: str) -> None:
    assert cap(ejected, endpoints, percent, this_one=this_one) == told


def test_beyond_the_cap() -> None:
    policy = Policy(3, 1000, 1000, 50, 4)
    assert [beyond(ejected, policy) for ejected in range(5)] == [False, False, False, True, True]
    assert not beyond(3, None)


def test_a_rule_read_back() -> None:
    rule = parse(RULE)
    assert rule.policy == Policy(3, 1500, 500, 50, 3, local_origin_quorum=2, probe=True)
    assert rule.destination_rule == "httpbin/rule"
    assert rule.addresses == {"10.0.0.1:80": "pod-1", "[fd00::1]:80": ""}
    assert "addresses" not in rule.text and "destination_rule" not in rule.text
    assert parse("").policy is None
    assert parse(RULE.replace("endpoints=3", "endpoints=x")).policy is None


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "out for 60s after 3 consecutive failures, by a (ejections=2 backoff=2): 503@a/x 0@b/y"),
        ({"why": "probe_failed"}, "out for 60s after a probe failed, by a (ejections=2 backoff=2): 503@a/x 0@b/y"),
        ({"why": "offered", "evidence": ""}, "out for 60s after 3 consecutive failures while Redis was away, by a ("),
        ({"kind": "uneject", "why": "expired"}, "back, its time was over"),
        ({"kind": "uneject", "why": "probe_succeeded"}, "back, a probe succeeded, by a"),
        (
            {"kind": "uneject", "why": "new_workload", "by": "pod-2"},
            "forgotten, another workload has the address: pod-2",
        ),
        ({"kind": "uneject", "why": "removed"}, "forgotten, it left the cluster"),
        ({"kind": "uneject", "why": "a new one"}, "back: a new one"),
        (
            {"kind": "overflow"},
            "stays in after 3 consecutive failures, maxEjectionPercent leaves no room, by a: 503@a/x",
        ),
        ({"kind": "by_hand", "why": "ejected", "reason": "disk%20full"}, "out for 60s by a: disk full"),
        ({"kind": "by_hand", "why": "ejected", "ejection_time": "forever"}, "out until unejected by a"),
        ({"kind": "by_hand", "why": "changed"}, "changed: out for 60s by a"),
        ({"kind": "by_hand", "why": "unejected", "reason": "well"}, "put back by a: well"),
    ],
)
def test_what_happened_in_a_sentence(changes: dict[str, str], told: str) -> None:
    assert sentence(entry("c/s:80", "1795417008089-3", FIELDS | changes)).startswith(told)


def test_lines_of_history() -> None:
    (line,) = lines([entry("c/s:80", "1795417008089-3", FIELDS)])
    assert line.startswith("2026-11-23T06:56:48.089Z  eject  c/s:80  10.0.0.1:80  pod-1  out for 60s after")
    broken = entry("c/s:80", "x", {"kind": "\x1b[2J", "backoff": "many"})
    assert (broken.time_ms, broken.backoff) == (0, 0)
    assert "\x1b" not in lines([broken])[0]


def test_what_is_followed_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.ctl.history.FOLLOW_S", 0)
    every = [entry("c/s:80", f"{1_795_417_000_000 + i * 2000}-0", FIELDS) for i in range(6)]

    class Source:
        polls = 0

        def history(self, cluster: str, endpoint: str, limit: int, since_ms: int) -> list[Entry]:
            self.polls += 1
            return [each for each in every[: 2 + self.polls] if each.time_ms >= since_ms]

    source: Any = Source()
    following = followed(source, "", "", every[1:2])
    assert [next(following) for _ in range(4)] == every[2:]


def test_what_is_followed_may_go_away_and_come_back(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("proxy.ctl.history.FOLLOW_S", 0)
    found = entry("c/s:80", "1795417008089-0", FIELDS)

    faults = [StoreUnavailable("redis: away"), StoreUnavailable("redis: away"), Refused("unknown cluster")]

    class Source:
        def history(self, *asked: object) -> list[Entry]:
            if faults:
                raise faults.pop(0)
            return [found]

    source: Any = Source()
    assert next(followed(source, "", "", [])) == found
    assert capsys.readouterr().err == "waypointctl: redis: away; goes on when it can\n"


def test_an_explanation_of_what_takes_traffic() -> None:
    said = text(REPORT, short=False)
    for part in (
        "cluster c/s:80\n  rule   consecutive_5xx=3 endpoints=3 (DestinationRule c/rule, told 34.0 s ago)",
        "2 replicas listen; 1 of 3 ejected",
        "10.0.0.1:80 (pod-1) takes traffic",
        "run       2 of 3 consecutive failures since 1.2 s, seen by a, b",
        "failures  the last ones (cause@replica/request id): 503@a/x 0@b/y",
        "= 67 % > 50 %",
        "ejected 1 time so far; an ejection now would last 60 s (baseEjectionTime 30 s x 2, at most 300 s or the base)",
        "full, when the time is over",
    ):
        assert part in said
    assert "quorum" not in said


def test_an_explanation_of_what_is_out() -> None:
    facts = replace(FACTS, ejected=True, why="consecutive_5xx=3", by="b", left_s=27.4, ejection_s=30.0)
    entries = (entry("c/s:80", "1795417008089-0", FIELDS),) * 2
    said = text(replace(REPORT, reports=(EndpointReport("e", "", replace(facts, entries=entries)),)), short=False)
    assert "e is ejected, 27.4 s of 30.0 s left\n  why       consecutive_5xx=3, by b" in said
    assert "1 of 3 ejected, this one too; 50 % of 3 allows 1" in said
    assert said.count("2026-11-23T06:56:48.089Z eject: out for 60s") == 2
    for change, state in (
        ({"left_s": None}, "e is ejected, until somebody unejects it"),
        ({"probe_in_s": 3.0}, "e is ejected; it may be probed in 3.0 s"),
        ({"probe_in_s": 0.0, "prober": "r7"}, "e is ejected; it awaits a probe, r7 has the turn"),
    ):
        changed: Any = change
        assert state in text(replace(REPORT, reports=(EndpointReport("e", "", replace(facts, **changed)),)), short=True)


def test_a_quorum_and_probes_are_explained() -> None:
    facts = replace(FACTS, local_failures=2, local_reporters=("a",))
    said = text(replace(REPORT, quorum=2, probe=True, reports=(EndpointReport("e", "", facts),)), short=False)
    assert "quorum    2 failures of the run are of local origin (no answer), seen by 1 replica of 2" in said
    assert "by one request that succeeds (probe)" in said


def test_what_a_replica_adds() -> None:
    replica = Replica("a", "local", 61.0, "Redis has not answered yet", True, "its own")
    here = HereFacts(ejected=True, left_s=5.0, only_here=True, private=True, failures=0, generation=1)
    said = text(with_replica(REPORT, replica, {"10.0.0.1:80": here}), short=False)
    assert "a decides by itself for 61.0 s: Redis has not answered yet; it suspects its own network" in said
    assert "its rule: its own" in said
    assert "takes traffic, but not of this replica" in said
    assert "ejected for this replica only, which cannot reach it (unreachable_from_here)" in said
    unreached = replace(here, cause="refused,tls")
    said = text(with_replica(REPORT, replica, {"10.0.0.1:80": unreached}), short=False)
    assert "which cannot reach it (unreachable_from_here): refused,tls" in said, "Z5"
    alone = with_replica(
        replace(REPORT, fault="gone", listening=None, reports=(EndpointReport("e", "", None),)), replica, {}
    )
    assert "not known: gone" in text(alone, short=True)


def test_a_report_survives_json() -> None:
    replica = Replica("a", "shared", 1.0, "", False, "")
    here = HereFacts(ejected=False, left_s=0.0, only_here=False, private=False, failures=1, generation=1)
    facts = replace(FACTS, entries=(entry("c/s:80", "1-0", FIELDS),))
    found = with_replica(
        replace(REPORT, reports=(EndpointReport("e", "w", facts), EndpointReport("f", "", None))), replica, {"e": here}
    )
    assert from_json(as_json(found)) == found


def test_N18_a_rule_that_no_replica_has_is_not_in_force() -> None:
    said = text(replace(REPORT, listening=0), short=False)
    assert "told 34.0 s ago; in force nowhere: no replica listens)" in said
    assert "in a row eject" not in said


HOSTILE = "refused@a/\x1b]0;owned\x07\r\n2026 eject\u202e\x9b2J"


def test_Z5_no_id_drives_a_terminal_or_writes_a_line() -> None:
    """Request ids come from clients, and a hand may have written anything into Redis."""
    made = entry("c/s:80", "1795417008089-0", FIELDS | {"evidence": HOSTILE, "by": HOSTILE, "ejection_time": HOSTILE})
    facts = replace(FACTS, evidence=(HOSTILE,), reporters=(HOSTILE,), entries=(made,), names=(HOSTILE,))
    report = replace(REPORT, cluster=HOSTILE, reports=(EndpointReport(HOSTILE, HOSTILE, facts),))
    (history,) = lines([made])
    out = replace(OUT, endpoint=HOSTILE, by=HOSTILE, why=HOSTILE)
    for shown in (history, text(report, short=False), text(report, short=True), table([out])):
        assert "refused@a/?]0;owned???2026 eject??2J" in shown
        assert all(line.isprintable() for line in shown.split("\n"))
    assert len(text(report, short=False).split("\n")) == len(text(REPORT, short=False).split("\n")) + 2


def test_Z5_a_name_in_an_error_does_neither(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        fail(f"unknown cluster; there is: {HOSTILE}")
    told = capsys.readouterr().err
    assert told.startswith("waypointctl: unknown cluster; there is: refused@a/?]0;owned??\n2026 eject??2J"), told


def test_Z5_a_request_id_tells_of_no_other_failure() -> None:
    made = entry("c/s:80", "1795417008089-0", FIELDS | {"evidence": "503@a/x%20refused@b/y%1B[2J,0@b/z"})
    assert sentence(made).endswith(": 503@a/x%20refused@b/y%1B[2J 0@b/z")
    report = replace(REPORT, reports=(EndpointReport("e", "", replace(FACTS, evidence=made.evidence)),))
    assert "(cause@replica/request id): 503@a/x%20refused@b/y%1B[2J 0@b/z" in text(report, short=False)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-3, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (190, "3m10s"),
        (600, "10m"),
        (179 * 60 + 59, "179m"),
        (3 * 3600, "3h"),
        (5 * 3600 + 120, "5h2m"),
        (47 * 3600, "47h"),
        (48 * 3600, "2d"),
        (3 * 86400 + 7200, "3d2h"),
        (700 * 86400, "700d"),
        (800 * 86400, "2y70d"),
        (9 * 365 * 86400, "9y"),
    ],
)
def test_ages_are_kubectls(seconds: float, said: str) -> None:
    assert age(seconds) == said


def test_a_policy_says_where_each_value_comes_from() -> None:
    said = {"field": "loadBalancer.simple", "value": "RANDOM", "rule": "shop/r", "path": "spec.x", "in_force": False}
    default = {"field": "outlierDetection.interval", "value": "10s", "rule": "", "path": "", "in_force": True}
    assert in_force({"rule": "shop/r", "values": [said, default]}).splitlines() == [
        "policy of DestinationRule shop/r",
        "  loadBalancer.simple        RANDOM  shop/r spec.x, not in force in this version",
        "  outlierDetection.interval  10s     default",
    ]
    assert in_force({"rule": "", "values": []}) == "policy: no DestinationRule"
    known = {"addresses": ["192.0.2.1", "192.0.2.2"], "error": "", "failures": 0, "asked_again_s": 12.0}
    silent = {"addresses": [], "error": "no answer within 5 s", "failures": 2, "asked_again_s": None}
    assert in_force({"rule": "", "values": [], "names": {"a.test": known, "api.test": silent}}).splitlines() == [
        "policy: no DestinationRule",
        "names, as DNS has answered",
        "  a.test    192.0.2.1, 192.0.2.2; asked again in 12.0 s",
        "  api.test  no address yet, so requests get 503; no answer within 5 s, 2 times",
    ]
    assert in_force(None) == ""
