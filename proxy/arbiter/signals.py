"""Signals as data: handlers do nothing, the kernel's signal number arrives on a pipe that the arbiter's loop reads."""

import os
import signal
from collections.abc import Iterable


class SignalQueue:
    """From its creation on, `numbers` are queued instead of acting on the process."""

    def __init__(self, numbers: Iterable[signal.Signals]) -> None:
        self._read, self._write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        # A full pipe loses signals only when 64 KiB of them wait; the reader looks at everything it is told of anyway.
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in numbers:
            signal.signal(number, _queued)

    def fileno(self) -> int:
        """Readable while signals wait."""
        return self._read

    def take(self) -> list[signal.Signals]:
        """The signals that arrived since the last call, in order."""
        try:
            return [signal.Signals(number) for number in os.read(self._read, 65536)]
        except BlockingIOError:
            return []


def _queued(number: int, frame: object) -> None:
    """Python calls this after the wake-up byte is written: there is nothing left to do."""
