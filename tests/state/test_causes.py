"""Z5: the word for the cause, on its way through the store: evidence, events, verdicts, the eject key, the stream."""

from dataclasses import replace
from typing import Any

import pytest

from state.operating.history import entry, evidence_of
from state.outlier.events import parse
from state.outlier.redis_store import RedisStore
from tests.state.state_rig import CLUSTER, KEYS, SEED, A, Rig, an_ejection, batch, log_of


def fail(rig: Rig, evidence: str, outcomes: str = "L") -> Any:
    return rig.store.report(replace(batch(outcomes), evidence=evidence), SEED)


def test_Z5_an_ejection_says_why(shared: Rig) -> None:
    client: Any = shared.client
    assert isinstance(shared.store, RedisStore)
    subscription = shared.store.subscribe([CLUSTER])
    fail(shared, "tunnel_503@r1/a")
    fail(shared, "503@r2/b", "F")
    verdict = fail(shared, "tunnel_503@r1/c")
    assert (verdict.outcome, verdict.cause) == ("ejected", "tunnel_503,503")
    assert client.get(KEYS.eject(A)).endswith(" by=r1/w1 cause=tunnel_503,503")
    (found,) = shared.store.sync(CLUSTER, [A]).ejections
    assert found.cause == "tunnel_503,503"
    assert fail(shared, "reset@r1/d").cause == "tunnel_503,503", "it is out already"
    (told,) = [event for event in iter(lambda: subscription.next(0.1), None) if event.kind == "eject"]
    subscription.close()
    assert told.cause == "tunnel_503,503"
    (made,) = [entry(CLUSTER, "1-0", fields) for fields in log_of(shared)]
    assert made.evidence == ("tunnel_503@r1/a", "503@r2/b", "tunnel_503@r1/c")


def test_Z5_what_older_versions_write_is_read(shared: Rig) -> None:
    """A rolling upgrade: evidence of old replicas says 0 for whatever is no answer, and their messages no cause."""
    verdict = fail(shared, "0@r1/a,0@r1/b,refused@r2/c", "LLL")
    assert (verdict.outcome, verdict.cause) == ("ejected", "refused")
    assert evidence_of("0@r1/a,503@r1/b") == ("0@r1/a", "503@r1/b")
    old = "eject endpoint=e workload=w version=1 generation=1 failures=3 left_ms=1 ejection_ms=1 ejections=1 backoff=1"
    event = parse(CLUSTER, f"{old} probe_in_ms=-1 by=a reason=consecutive_5xx")
    assert event is not None
    assert (event.failures, event.cause) == (3, "")


@pytest.mark.parametrize("evidence", ["x left_ms=1@r/1", "x\nby=eve@r/1", "\x1b[2J@r/1", "@r/1", "%20@r/1"])
def test_Z5_a_hand_in_the_evidence_writes_no_fields(shared: Rig, evidence: str) -> None:
    client: Any = shared.client
    fail(shared, "503@r1/a", "F")
    client.hset(KEYS.endpoint(A), "evidence", evidence)
    verdict = fail(shared, "503@r1/c", "FF")
    assert verdict.outcome == "ejected"
    assert all(each.isalnum() for each in verdict.cause.replace(",", ""))
    assert "503" in verdict.cause


def test_Z5_what_was_decided_alone_says_why_when_it_is_offered(shared: Rig) -> None:
    verdict = shared.store.offer(CLUSTER, replace(an_ejection(), cause="refused,tls"), SEED)
    assert (verdict.outcome, verdict.cause) == ("ejected", "refused,tls")
    (made,) = log_of(shared)
    assert (made["why"], made["evidence"]) == ("offered", "refused@r2/w1/-,tls@r2/w1/-")


def test_Z5_a_hand_has_no_cause(shared: Rig) -> None:
    client: Any = shared.client
    fail(shared, "refused@r1/a")
    client.set(KEYS.eject(A), "reason=maintenance by=alice", px=10_000)
    (found,) = shared.store.sync(CLUSTER, [A]).ejections
    assert (found.reason, found.cause) == ("maintenance", "")


def test_Z5_a_probe_that_fails_says_why(shared: Rig) -> None:
    probing = replace(SEED, probe=True, base_ejection_ms=2_000)
    shared.report("FFF", policy=probing)
    shared.advance(2_000)
    told = replace(batch("L", generation=1), evidence="connect_timeout@r1/a")
    verdict = shared.store.probed(told, probing)
    assert (verdict.outcome, verdict.cause) == ("ejected", "connect_timeout")
