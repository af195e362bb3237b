"""Signals as data: handlers do nothing, the kernel's signal number arrives on a pipe that the arbiter's loop reads.

Most signals end a process that does not know them, and what is in flight with it. Nobody means that who sends USR1 to
have a log opened anew, or the wrong number: so here none does, but KILL. Those that a fault of the process itself
raises (SEGV and its like) are ignored only when somebody sends them: at a fault the kernel ends it all the same.
"""

import ctypes
import faulthandler
import os
import signal
import sys
from collections.abc import Iterable

HARMLESS = {
    *(signal.SIGCHLD, signal.SIGURG, signal.SIGWINCH),
    *(signal.SIGCONT, signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU),
}
"""Their default is to do nothing, or to stop and go on."""
OF_FAULTS = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP, signal.SIGSYS}
OF_WRITING = {signal.SIGPIPE, signal.SIGXFSZ}
"""Python ignores these: the write that raises them fails as well, and says why."""
DEADLY: frozenset[int] = frozenset(signal.valid_signals()) - HARMLESS - OF_FAULTS - OF_WRITING - {signal.SIGKILL}
"""What ends a process that does not handle it, and can be handled."""
INTERNAL: frozenset[int] = frozenset(range(1, 65)) - frozenset(signal.valid_signals())
"""What the C library keeps for its threads and does not let us handle. Until it first uses them they end a process."""
# The number of rt_sigaction; machines of 64 bits.
_RT_SIGACTION = {"x86_64": 13, "aarch64": 134, "riscv64": 134, "s390x": 174, "ppc64le": 173}
_SIGSET_BYTES = 8
_libc = ctypes.CDLL(None)


class SignalQueue:
    """From its creation on, `numbers` are queued instead of acting on the process."""

    def __init__(self, numbers: Iterable[int]) -> None:
        self._read, self._write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        # A full pipe loses signals only when 64 KiB of them wait; the reader looks at everything it is told of anyway.
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in numbers:
            signal.signal(number, _queued)

    def fileno(self) -> int:
        """Readable while signals wait."""
        return self._read

    def take(self) -> list[int]:
        """The signals that arrived since the last call, in order."""
        try:
            return list(os.read(self._read, 65536))
        except BlockingIOError:
            return []


def _queued(number: int, frame: object) -> None:
    """Python calls this after the wake-up byte is written: there is nothing left to do."""


def ignore_faults() -> None:
    """Ignore the signals of faults when somebody sends them. Not while faulthandler waits for them."""
    if not faulthandler.is_enabled():
        for number in OF_FAULTS:
            signal.signal(number, signal.SIG_IGN)


def ignore_internal() -> None:
    """Ignore INTERNAL, until the C library comes to use them: its handlers take no notice of who else sends them.

    Asked of the kernel itself. On machines whose number for that is not known here nothing is done.
    """
    call = _RT_SIGACTION.get(os.uname().machine) if sys.maxsize > 2**32 else None
    ignore = (ctypes.c_ulong * 8)(signal.SIG_IGN)  # struct sigaction of the kernel: the handler, all else 0
    for number in INTERNAL if call else ():
        _libc.syscall(call, number, ignore, None, _SIGSET_BYTES)


def ignore_until_handled() -> None:
    """For a child that is about to begin: what it handles later must not end it before. TERM may: it serves nobody."""
    for number in DEADLY - {signal.SIGTERM}:
        signal.signal(number, signal.SIG_IGN)
    ignore_faults()
    ignore_internal()


def name(number: int) -> str:
    """SIGUSR1, or SIGRTMIN+3."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIGRTMIN+{number - signal.SIGRTMIN}"
