"""Children: back-off, what is told about their end, patience."""

import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from proxy.arbiter.children import Backoff, Child, Rest, how_it_ended, of_leaving
from proxy.arbiter.handover import HandOver
from proxy.arbiter.signals import SignalQueue

Starts = Callable[[], subprocess.Popen[bytes]]


def start(code: str) -> Starts:
    return lambda: subprocess.Popen([sys.executable, "-c", code])


def reap(child: Child, deadline: float = 5.0) -> str:
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        if told := child.reap(time.monotonic()):
            return told
        time.sleep(0.01)
    raise AssertionError("still running")


def test_back_off_doubles_up_to_its_longest_and_starts_over_after_a_long_life() -> None:
    backoff = Backoff()
    assert [backoff.died(0.5) for _ in range(8)] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert backoff.died(2.0) == 0.0
    assert backoff.died(1.9) == 0.1
    assert Rest(10).died(0) == Rest(10).died(1000) == 10


def test_an_end_is_told_and_the_successor_is_due() -> None:
    child = Child("worker 3", start("raise SystemExit(7)"))
    assert child.start(time.monotonic()) == ""
    pid = child.pid
    told = reap(child)
    assert told.startswith(f"worker 3 (pid {pid}) exited with status 7 after ")
    assert told.endswith("; starting it again in 0.1 s")
    assert child.pid == 0
    assert child.due is not None


def test_a_long_life_is_followed_at_once() -> None:
    child = Child("controller", start("raise SystemExit(0)"))
    child.start(time.monotonic() - 10)
    assert reap(child).endswith("; starting it again now")
    assert child.due is not None and child.due <= time.monotonic()


def test_what_cannot_be_started_is_due_again() -> None:
    def fail() -> subprocess.Popen[bytes]:
        raise OSError("no memory")

    child = Child("store", fail)
    assert child.start(100.0) == "store cannot be started: no memory; trying again in 0.1 s"
    assert child.due == 100.1
    assert child.start(101.0).endswith("in 0.2 s")


def test_patience_ends() -> None:
    child = Child("worker 0", start("import signal; signal.signal(15, signal.SIG_IGN); signal.pause()"))
    child.start(time.monotonic())
    time.sleep(0.3)
    child.leave(100.0, 5.0)
    child.leave(104.0, 5.0)  # told once
    assert not child.kill_if_late(104.9)
    assert child.kill_if_late(105.0)
    assert "was killed by SIGKILL" in reap(child)


def test_one_that_is_not_there_needs_no_patience() -> None:
    child = Child("worker 0", start(""))
    child.leave(1.0, 1.0)
    assert child.kill_at is None


@pytest.mark.parametrize(
    ("status", "told"),
    [(0, "exited with status 0"), (-9, "was killed by SIGKILL"), (-99, "was killed by signal 99")],
)
def test_ends_in_words(status: int, told: str) -> None:
    assert how_it_ended(status) == told


@pytest.mark.parametrize(
    ("told", "level", "said"),
    [
        (
            "worker 1 (pid 7) exited with status 0 after 2.0 s; starting it again",
            logging.INFO,
            "exited with status 0",
        ),
        (
            "worker 1 (pid 7) was killed by SIGTERM after 0.1 s; starting it again",
            logging.INFO,
            "left before it served",
        ),
        (
            "worker 1 (pid 7) was killed by SIGKILL after 2.0 s; starting it again",
            logging.ERROR,
            "killed by SIGKILL",
        ),
    ],
)
def test_N19_one_that_leaves_as_it_was_told_is_not_said_to_be_killed(told: str, level: int, said: str) -> None:
    found, text = of_leaving(told)
    assert found == level
    assert said in text and "again" not in text and "SIGTERM" not in text


def test_signals_are_queued() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    queue = SignalQueue([signal.SIGUSR1])
    try:
        assert queue.take() == []
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGUSR1)
        assert queue.take() == [signal.SIGUSR1] * 2
    finally:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGUSR1, before)


def test_connections_waiting_for_a_dead_worker_go_to_the_others() -> None:
    handover = HandOver(3)
    incoming, outgoing = handover.descriptors(0)
    assert sorted(outgoing) == [1, 2]
    to_first = handover.descriptors(1)[1][0]
    sender = socket.socket(fileno=os.dup(to_first))
    for name in (b"a", b"b", b"c"):
        socket.send_fds(sender, [name], [0])
    assert handover.pass_on(0, []) == 0  # nobody is ready: they wait for the successor
    assert handover.pass_on(0, [1, 2]) == 3
    got: dict[int, list[bytes]] = {}
    for slot in (1, 2):
        receiver = socket.socket(fileno=os.dup(handover.descriptors(slot)[0]))
        receiver.setblocking(False)
        got[slot] = []
        while True:
            try:
                packet, fds, _, _ = socket.recv_fds(receiver, 100, 4)
            except BlockingIOError:
                break
            got[slot].append(packet)
            os.close(fds[0])
        receiver.close()
    assert got == {1: [b"a", b"c"], 2: [b"b"]}
    assert incoming >= 0
    sender.close()
    handover.close()
