"""Forked children: what they have of the arbiter, and what they have not. Forked from a process of their own."""

import json
import os
import signal
import subprocess
import sys
from typing import Any

from tests.rig import ROOT

ARBITER = """
import logging, os, signal, sys
from proxy import log
from proxy.arbiter.forking import fork, prepare
from proxy.arbiter.signals import SignalQueue
log.set_up("info", "arbiter")
queue = SignalQueue([signal.SIGTERM, signal.SIGHUP, signal.SIGTTIN])
kept, lost = (os.open(os.devnull, os.O_RDONLY) for _ in range(2))
def forked(*words):
    return fork("tests.unit.arbiter.forked", words, [kept], "waypointd: worker 7")
"""


def arbiter(code: str) -> tuple[list[str], str]:
    """Lines that it and its children print, and what stands on standard error."""
    done = subprocess.run(
        [sys.executable, "-c", ARBITER + code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.splitlines(), done.stderr


def test_a_child_has_what_it_is_given_takes_signals_as_after_an_exec_and_is_called_by_its_name() -> None:
    lines, _ = arbiter("child = forked('--kept', str(kept)); print(child.wait(30), os.getpid(), kept, queue.take())")
    child: dict[str, Any] = json.loads(lines[0])
    status, pid, kept, queued = lines[1].split(" ", 3)
    assert (status, queued) == ("0", "[]"), "what is sent to the child is not queued for the arbiter"
    assert child["arguments"] == ["--kept", kept]
    assert child["fds"] == [0, 1, 2, int(kept)]
    assert child["stdin"] == os.devnull
    assert child["title"] == "waypointd: worker 7"
    assert child["group"] and child["parent"] == int(pid)
    assert child["ignored"] == [signal.SIGHUP, signal.SIGINT]
    assert child["default"] == [signal.SIGTERM, signal.SIGCHLD]
    assert child["blocked"] == []
    assert child["wakeup_fd"] == -1


def test_ends_are_told_as_those_of_programs_are() -> None:
    lines, err = arbiter(
        "print(*(forked(*words).wait(30) for words in (['end', '3'], ['end', 'the arbiter is gone'], ['fail'])))\n"
        "child = forked('wait'); print(child.poll()); child.kill(); print(child.wait(30)); child.kill()"
    )
    assert lines == ["3 1 1", "None", str(-signal.SIGKILL)]
    assert "the arbiter is gone\n" in err
    assert "ValueError: a fault of the child's" in err


def test_what_is_prepared_runs_nothing() -> None:
    lines, err = arbiter(
        "before = os.listdir('/proc/self/fd'); prepare(); print(os.listdir('/proc/self/fd') == before)\n"
        "import gevent.socket, socket; from gevent._hub_local import get_hub_if_exists\n"
        "print(get_hub_if_exists(), os.listdir('/proc/self/task') == [str(os.getpid())])\n"
        "print(socket.socket is gevent.socket.socket)"
    )
    assert lines == ["True", "None True", "False"], "no descriptor, no hub, no thread, the library as it was"
    assert err == ""
