"""Child processes of the arbiter: how one is started, how it is kept running, and how long to wait before trying again.

Children never outlive the arbiter, whatever kills it: the kernel signals them (state/server/tether.py). No gevent here.
"""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from proxy.arbiter.signals import ignore_until_handled
from state.server.tether import tethered

PACKAGE_ROOT = str(Path(__file__).resolve().parents[2])


class Process(Protocol):
    """What is asked of a child's process: `subprocess.Popen`, or `forking.Forked`."""

    @property
    def pid(self) -> int:
        """Its number."""

    def poll(self) -> int | None:
        """Its exit status, minus the signal that killed it; None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """The same, once it has ended. Raises `subprocess.TimeoutExpired` after `timeout` seconds."""

    def send_signal(self, number: int) -> None:
        """Nothing once it has ended."""

    def kill(self) -> None:
        """End it at once."""


@dataclass(slots=True)
class Backoff:
    """How long a dead child waits for its successor: not at all, unless it died young again and again."""

    young: float = 2.0
    first: float = 0.1
    longest: float = 5.0
    _next: float = 0.0

    def died(self, lived: float) -> float:
        """Seconds to wait after a life of `lived` seconds."""
        if lived >= self.young:
            self._next = 0.0
            return 0.0
        self._next = min(max(self._next * 2, self.first), self.longest)
        return self._next


@dataclass(slots=True)
class Rest:
    """A back-off that always waits the same time: how Kubernetes brings back a container, for the demo."""

    seconds: float

    def died(self, lived: float) -> float:
        """The same rest, however long the life."""
        return self.seconds


class Child:
    """One process that is kept running: started, reaped, started again.

    `start` starts it, or raises OSError or RuntimeError; that counts as dying at once.
    """

    def __init__(self, name: str, start: Callable[[], Process], backoff: Backoff | Rest | None = None) -> None:
        self.name = name
        self.process: Process | None = None
        self.due: float | None = None
        """When to start it next (monotonic); None while it runs or is not wanted."""
        self.kill_at: float | None = None
        """When patience with a child told to leave ends."""
        self._start = start
        self._backoff = backoff or Backoff()
        self._started = 0.0
        self.starts = 0
        """How often it has been started."""

    @property
    def pid(self) -> int:
        """Its process, 0 while there is none."""
        return self.process.pid if self.process else 0

    def start(self, now: float) -> str:
        """Start it; the reason when that failed (it is then due again), else ""."""
        self._started = now
        self.due = None
        try:
            self.process = self._start()
        except (OSError, RuntimeError) as fault:
            wait = self._backoff.died(0.0)
            self.due = now + wait
            return f"{self.name} cannot be started: {fault}; trying again in {wait:g} s"
        self.starts += 1
        return ""

    def reap(self, now: float) -> str:
        """What happened to it if it ended, else "". Its successor is due from then on."""
        if self.process is None or (status := self.process.poll()) is None:
            return ""
        lived = now - self._started
        wait = self._backoff.died(lived)
        told = f"{self.name} (pid {self.pid}) {how_it_ended(status)} after {lived:.1f} s"
        self.process = None
        self.kill_at = None
        self.due = now + wait
        return f"{told}; starting it again {f'in {wait:g} s' if wait else 'now'}"

    def signal(self, number: int) -> None:
        """Send a signal, if it runs."""
        if self.process is not None:
            self.process.send_signal(number)

    def kill(self) -> None:
        """End it at once."""
        if self.process is not None:
            self.process.kill()

    def leave(self, now: float, patience: float) -> None:
        """Tell it to finish its work and go; killed after `patience` seconds."""
        if self.process is not None and self.kill_at is None:
            self.kill_at = now + patience
            self.signal(signal.SIGTERM)

    def kill_if_late(self, now: float) -> bool:
        """Kill it when it was told to leave and did not in time."""
        if self.process is None or self.kill_at is None or now < self.kill_at:
            return False
        self.process.kill()
        self.kill_at = None
        return True


def how_it_ended(status: int) -> str:
    """An exit status in words."""
    if status >= 0:
        return f"exited with status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"


def of_leaving(told: str) -> tuple[int, str]:
    """How what happened to a child that was to leave is logged, at which level."""
    text = told.partition(";")[0]
    # SIGTERM is how it was told to leave: it came before the child had begun to serve.
    text = text.replace("was killed by SIGTERM", "left before it served, as it was told,")
    as_told = "exited with status 0" in text or "left before it served" in text
    return logging.INFO if as_told else logging.ERROR, text


def spawn(module: str, arguments: Sequence[str], fds: Sequence[int] = ()) -> subprocess.Popen[bytes]:
    """Run `module` of ours in a new process that has `fds` and the standard streams, and dies with this one.

    By exec, for what has nothing in common with the arbiter. Others are forked (forking.py).
    """
    search_path = os.pathsep.join(filter(None, (PACKAGE_ROOT, os.environ.get("PYTHONPATH"))))
    return subprocess.Popen(
        [sys.executable, "-P", "-m", module, *arguments],
        stdin=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": search_path},
        pass_fds=fds,
        process_group=0,  # Ctrl-C in a terminal is for the arbiter, which then drains the others
        preexec_fn=tethered(then=ignore_until_handled),  # noqa: PLW1509  the arbiter has one thread
    )
