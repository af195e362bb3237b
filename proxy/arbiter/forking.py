"""Children that begin with what the arbiter has read: forked, so that they share its memory and read nothing again.

The arbiter imports the modules that its children are made of and runs nothing of them: it has one thread, no loop of
gevent's, no connection, and the standard library as it was. A child keeps the descriptors it is given and the standard
streams, takes signals as after an exec, and ends without returning here: what the arbiter's objects still stand for in
its memory, such as descriptors that were closed, is never finalised.
"""

import gc
import importlib
import logging
import os
import runpy
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import NoReturn

from proxy.arbiter.signals import ignore_until_handled
from proxy.arbiter.title import set_title
from state.server.tether import tethered

PREPARED = ("proxy.ipc.patch", "proxy.worker.worker", "proxy.controller.controller", "secrets")
"""What is read before the first child is forked: what each is made of, and what one reads when it connects first. So a
child that replaces another is of the same version, whatever has been installed meanwhile."""
_STANDARD = {0, 1, 2}
_AS_AFTER_EXEC = (signal.SIGTERM, signal.SIGCHLD, signal.SIGTTIN, signal.SIGTTOU)
"""Signals that the arbiter handles and a child does not ignore until it handles them itself."""
_POLL_S = 0.01


class Forked:
    """A child, with what `subprocess.Popen` offers of one."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._status: int | None = None

    def poll(self) -> int | None:
        """Its exit status, minus the signal that killed it; None while it runs."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._status = os.waitstatus_to_exitcode(status)
        return self._status

    def wait(self, timeout: float | None = None) -> int:
        """The same, once it has ended. Raises `subprocess.TimeoutExpired` after `timeout` seconds."""
        end = None if timeout is None else time.monotonic() + timeout
        while (status := self.poll()) is None:
            if end is not None and time.monotonic() >= end:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
            time.sleep(_POLL_S)
        return status

    def send_signal(self, number: int) -> None:
        """Unless it has ended: then the number may be another process's."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


def prepare() -> None:
    """Read what children are made of. Before the first `fork`."""
    gc.disable()  # until the first fork: nearly all of it stays
    for module in PREPARED:
        importlib.import_module(module)


def fork(module: str, arguments: Sequence[str], fds: Iterable[int], title: str) -> Forked:
    """Run `module` as `python -m` does, in a child that has `fds`, is called `title` by ps, and dies with us.

    Raises OSError when there can be no further process.
    """
    if gc.isenabled():
        gc.collect()  # what is garbage now would be kept for ever
    gc.enable()
    gc.freeze()  # nothing of it may be finalised there, nor collections write to every page
    become = tethered(then=ignore_until_handled)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # until it no longer queues them for us
    try:
        pid = os.fork()
        if not pid:
            _live(lambda: _begin(become, {*fds} | _STANDARD, title, before), module, arguments)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return Forked(pid)


def _begin(become: Callable[[], None], fds: set[int], title: str, mask: Iterable[int]) -> None:
    os.setpgid(0, 0)  # Ctrl-C in a terminal is for the arbiter, which then drains the others
    signal.set_wakeup_fd(-1)
    for number in _AS_AFTER_EXEC:
        signal.signal(number, signal.SIG_DFL)
    become()
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    logging.getLogger().handlers.clear()  # before its descriptor is another's
    for fd in {int(name) for name in os.listdir("/proc/self/fd")} - fds:
        with suppress(OSError):  # the listing's own
            os.close(fd)
    null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    os.dup2(null, 0)
    os.close(null)
    set_title(title)


def _live(begin: Callable[[], None], module: str, arguments: Sequence[str]) -> NoReturn:
    """The child's whole life: nothing of it may get back to the arbiter's frames."""
    status = 1
    try:
        begin()
        sys.argv = [module, *arguments]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as end:
        status = _status_of(end)
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            if stream:
                stream.flush()
        os._exit(status)


def _status_of(end: SystemExit) -> int:
    if end.code is None or isinstance(end.code, int):
        return end.code or 0
    print(end.code, file=sys.stderr)
    return 1
