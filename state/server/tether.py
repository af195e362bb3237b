"""A child process that does not outlive the thread that started it, whatever kills that: the kernel sees to it."""

import ctypes
import os
import signal
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)  # loaded here: between fork and exec is no place for it


def tethered(last_words: int = signal.SIGKILL, then: Callable[[], None] | None = None) -> Callable[[], None]:
    """For Popen's `preexec_fn`, in a process with one thread: the child gets that signal when its parent dies. `then`
    is done after that has been asked for."""
    parent = os.getpid()

    def ask_the_kernel() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, last_words, 0, 0, 0)
        if os.getppid() != parent:  # it died before the kernel was asked
            os._exit(1)
        if then is not None:
            then()

    return ask_the_kernel
