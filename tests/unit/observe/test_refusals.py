"""Lines about refused clients: who and why, and not one for each of a flood."""

import logging
import time

import pytest

from proxy.observe.refusals import LINES, Refusals

LOG = logging.getLogger("refusals-test")


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock, as a list whose only element is now."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_a_line_names_the_peer_and_the_reason(caplog: pytest.LogCaptureFixture, seconds: list[float]) -> None:
    told = Refusals(LOG, "listener 0.0.0.0:15008")
    told.tell("TLS refused to", b"10.0.0.1:1", b"spiffe://a/ns/b/sa/c", "trust domain a")
    told.tell("TLS refused to", b"10.0.0.2:2", None, "it sent no certificate")
    assert caplog.messages == [
        "listener 0.0.0.0:15008: TLS refused to 10.0.0.1:1 (spiffe://a/ns/b/sa/c): trust domain a",
        "listener 0.0.0.0:15008: TLS refused to 10.0.0.2:2: it sent no certificate",
    ]


def test_a_flood_is_a_few_lines_and_a_number(caplog: pytest.LogCaptureFixture, seconds: list[float]) -> None:
    told = Refusals(LOG, "endpoints")
    for _ in range(LINES + 7):
        told.tell("no tunnel to", b"10.0.0.1:1", None, "timeout")
    assert len(caplog.messages) == LINES
    seconds[0] += 1
    told.tell("no tunnel to", b"10.0.0.1:1", None, "timeout")
    last = "endpoints: no tunnel to 10.0.0.1:1: timeout"
    assert caplog.messages[LINES:] == ["endpoints: 7 more refusals", last]
