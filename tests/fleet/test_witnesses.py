"""An endpoint that flaps, of which only witnesses tell: a real fleet, whose Redis has few deliveries to give away.

As many as there are (state/constants.py) take hundreds of answers a second to use up, which a machine that is busy with
something else does not have. So these replicas start with other numbers; all else is as it is. Requests follow one
another, so there is one order, and in it the endpoint that flaps never fails twice running.
"""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from state.server.embedded import Embedded
from tests.fleet.fleet_rig import Fleet, fleet, key
from tests.rig import ROOT, Endpoint, wait_until

REPLICAS, WORKERS = 4, 2
THRESHOLD = 3
FEW = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from state import constants
constants.DELIVERIES, constants.WITNESSES = 8, 3
"""


@pytest.fixture
def made(valkey: Embedded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    (tmp_path / "sitecustomize.py").write_text(FEW)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    options: dict[str, Any] = {"replicas": REPLICAS, "workers": WORKERS, "maxEjectionPercent": 70}
    with fleet(tmp_path, valkey.url, **options) as started:
        yield started


def send(made: Fleet, flapping: Endpoint, count: int) -> None:
    """Every third answer of the one is a failure."""
    for at in range(count):
        flapping.status = 200 if 503 in flapping.answered[-2:] else 503
        made.replicas[at % REPLICAS].hostname()


def record(made: Fleet, member: Endpoint) -> dict[str, str]:
    return dict(made.client.hgetall(key(member, "endpoint")))


def has_witnesses(made: Fleet, member: Endpoint) -> bool:
    return record(made, member).get("witnesses_until_ms", "0") != "0"


def calls(made: Fleet) -> dict[str, int]:
    stats = made.client.info("commandstats")
    return {name: stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("evalsha", "publish")}


def flap_until_witnesses_tell(made: Fleet, flapping: Endpoint) -> None:
    for _ in range(40):
        send(made, flapping, 3 * REPLICAS)
        if has_witnesses(made, flapping):
            return
    pytest.fail(f"everybody tells of it still: {record(made, flapping)}")


def failures_until_out(made: Fleet, member: Endpoint, others: Endpoint | None = None) -> int:
    """Of one that dies now."""
    before = len(member.answered)
    member.status = 503
    for at in range(400):
        if others is not None:
            others.status = 200 if 503 in others.answered[-2:] else 503
        made.replicas[at % REPLICAS].hostname()
        if made.client.exists(key(member)):
            break
    with contextlib.suppress(AssertionError):
        wait_until(lambda: all(member.address in made.out(each) for each in range(REPLICAS)), 3)
    assert all(member.address in made.out(each) for each in range(REPLICAS))
    return len(member.answered) - before


def test_a_fleet_whose_endpoint_flaps_has_witnesses_and_is_one_mind(made: Fleet) -> None:
    flapping, dying, _ = made.members
    flap_until_witnesses_tell(made, flapping)
    before, began, answered = calls(made), time.monotonic(), len(flapping.answered)
    send(made, flapping, 90 * REPLICAS)
    asked = {name: count - before[name] for name, count in calls(made).items()}
    outcomes, runs = len(flapping.answered) - answered, flapping.answered[answered:].count(503)
    looks = 2 * REPLICAS * (2 + time.monotonic() - began)
    assert has_witnesses(made, flapping)
    assert runs > 30
    assert asked["publish"] < runs, "the beginning and the end of each would be two"
    assert asked["evalsha"] < 0.8 * outcomes + looks, "nobody but witnesses tells"
    assert not made.told("eject"), "it has never failed three times running"
    assert failures_until_out(made, dying, flapping) == THRESHOLD
    assert [endpoint for _, endpoint in made.told("eject")] == [dying.address]
    assert failures_until_out(made, flapping) < 8 * THRESHOLD * REPLICAS * WORKERS, "it is found by those who tell"
    assert made.agrees(flapping, dying)
