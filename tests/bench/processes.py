"""Processes under measurement: pinned to a core, their CPU time read over the tree, gone when the benchmark is."""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from state.server.tether import tethered

_libc = ctypes.CDLL(None, use_errno=True)


def cpu_seconds(pid: int) -> float:
    """CPU time of all threads of a process, user and system, to the nanosecond. 0 if it is gone."""
    clock = ctypes.c_int()
    if _libc.clock_getcpuclockid(pid, ctypes.byref(clock)):
        return 0.0
    try:
        return time.clock_gettime(clock.value)
    except OSError:
        return 0.0


def descendants(pid: int) -> list[int]:
    """A process and everything it started."""
    found, open_ends = [], [pid]
    while open_ends:
        current = open_ends.pop()
        found.append(current)
        for children in Path(f"/proc/{current}/task").glob("*/children"):
            try:
                open_ends += map(int, children.read_text().split())
            except OSError:  # that thread has just ended
                continue
    return found


class Process:
    """A program and its children, on one core (None: on any), with its output in a file."""

    def __init__(self, command: Sequence[str | Path], core: int | None, output: Path) -> None:
        def settle() -> None:
            if core is not None:
                os.sched_setaffinity(0, {core})

        self._output = output
        with output.open("ab") as stream:
            self._process = subprocess.Popen(
                [str(part) for part in command],
                stdout=stream,
                stderr=stream,
                preexec_fn=tethered(signal.SIGTERM, settle),  # noqa: PLW1509  no threads here
                start_new_session=True,
            )

    def terminate(self) -> None:
        """Asks it to end; `__exit__` waits for that."""
        self._process.terminate()

    def kill(self) -> None:
        """At once, without a chance to clean up; it is gone when this returns."""
        self._process.kill()
        self._process.wait()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def cpu_seconds(self) -> float:
        """CPU time of the tree so far."""
        return sum(cpu_seconds(pid) for pid in descendants(self._process.pid))

    def await_listening(self, ip: str, port: int, seconds: float = 20.0) -> None:
        """Returns when a connection is accepted. Raises RuntimeError with the end of the output."""
        deadline = time.monotonic() + seconds
        while self._process.poll() is None and time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex((ip, port)) == 0:
                    return
            time.sleep(0.05)
        told = self._output.read_text(errors="replace")[-3000:]
        raise RuntimeError(f"{self._process.args!r} does not serve:\n{told}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # its own session: only what it started
        self._process.wait()
