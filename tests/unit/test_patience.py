"""Bounds in time stretch with the machine, and with nothing else (tests/patience.py)."""

import threading
import time

import pytest

from tests import patience
from tests.rig import wait_until


def quiet(monkeypatch: pytest.MonkeyPatch, slowness: float = 1.0) -> None:
    monkeypatch.setattr(patience, "slowness", lambda: slowness)
    monkeypatch.setattr(patience, "CANARY_S", 10.0)


def test_a_block_in_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    quiet(monkeypatch)
    with patience.within(30, at_least=0.01):
        time.sleep(0.02)


def test_a_block_that_takes_too_long_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    quiet(monkeypatch)
    with pytest.raises(AssertionError, match=r"not within 0\.01 .*: the answer"), patience.within(0.01, "the answer"):
        time.sleep(0.02)


def test_a_block_that_is_over_too_soon_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    quiet(monkeypatch)
    with pytest.raises(AssertionError, match="and not before 1"), patience.within(30, at_least=1):
        pass


def test_a_slow_machine_is_given_more(monkeypatch: pytest.MonkeyPatch) -> None:
    quiet(monkeypatch, slowness=1000)
    with patience.within(0.01):
        time.sleep(0.02)


def test_what_the_machine_stood_still_is_not_held_against_the_block() -> None:
    canary = patience._Canary()
    with canary:
        time.sleep(0.02)
        lost, canary._over = canary.lost_s, Late()
        wait_until(lambda: canary.lost_s > lost + 0.05, 5, "it was woken late")


class Late(threading.Event):
    """Wakes its waiters later than they asked for."""

    def wait(self, timeout: float | None = None) -> bool:
        time.sleep(0.1)
        return self.is_set()


def test_an_error_in_the_block_is_told_as_it_is() -> None:
    with pytest.raises(KeyError), patience.within(0.0):
        raise KeyError("x")


def test_the_machine_is_measured() -> None:
    assert 1 <= patience.slowness() <= patience.MOST


def test_waiting_is_stretched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    quiet(monkeypatch, slowness=4.0)
    began = time.monotonic()
    with pytest.raises(AssertionError, match=r"not within 0\.1 s \(0\.4 on this machine now\): never"):
        wait_until(lambda: False, 0.1, "never")
    assert time.monotonic() - began >= 0.4


def test_waiting_returns_what_came(monkeypatch: pytest.MonkeyPatch) -> None:
    quiet(monkeypatch, slowness=100.0)
    began = time.monotonic()
    assert wait_until(lambda: "late" if time.monotonic() - began > 0.1 else "", 0.05) == "late"
