"""When a replica takes its own network for the culprit."""

import logging

import pytest

from proxy.fleet import suspicion
from proxy.fleet.suspicion import Suspicion, suspicious
from proxy.policy.shapes import CONNECTION_REFUSED, TLS_FAILED
from tests.unit.fleet.fleet_fakes import FakeLoop, a_cluster, board


@pytest.mark.parametrize(
    ("contacted", "unreachable", "expected"),
    [
        (3, 3, True),
        (6, 3, True),
        (7, 3, False),
        (100, 50, True),
        (100, 49, False),
        (2, 2, False),  # too few to tell
        (0, 0, False),
    ],
)
def test_the_rule(contacted: int, unreachable: int, expected: bool) -> None:
    assert suspicious(contacted, unreachable) is expected


def test_it_is_told_once_when_it_begins_and_ends(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suspicion, "WINDOW_MS", 60_000)
    caplog.set_level(logging.INFO)
    with board() as made:
        endpoints = list(a_cluster(made, 5).endpoints.values())
        workers = [Suspicion(made, FakeLoop()), Suspicion(made, FakeLoop())]
        causes = (CONNECTION_REFUSED, TLS_FAILED, CONNECTION_REFUSED)
        cleared = [
            workers[number % 2].cleared(endpoint, cause)
            for number, (endpoint, cause) in enumerate(zip(endpoints, causes, strict=False))
        ]
        assert cleared == [True, True, False]
        assert made.suspects_itself
        monkeypatch.setattr(suspicion, "WINDOW_MS", 0)
        for one in workers:
            assert not one.look(at_once=True)
    told = [record.message for record in caplog.records]
    assert [("suspects" in line, "trusts" in line) for line in told] == [(True, False), (False, True)]
    assert told[0].startswith("3 of 3 endpoints failed without an answer in the last 60 s (2 refused, 1 tls): ")
