"""What the processes themselves have to say, on standard error: `[2025-03-11T19:45:12.235Z] info arbiter text`.

A message never makes its process wait: when nobody reads standard error, messages are dropped and counted.
The access log is not written here.
"""

import _socket
import fcntl
import logging
import os
import socket
import stat
import sys
import time
from collections.abc import Callable

LONGEST = 4096
"""Bytes; a longer line is cut, so that a pipe takes it whole or not at all (PIPE_BUF)."""


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        level = "warn" if record.levelno == logging.WARNING else record.levelname.lower()
        line = f"[{seconds}.{int(record.msecs):03d}Z] {level} {record.name} {shown(record.getMessage())}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def shown(text: str) -> str:
    """Text that somebody else may have had a hand in, such as a name a peer gave: it ends no line, no terminal acts on
    it."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def show(text: str) -> None:
    """Text for people, without a stamp, on the same stream and like it never waiting. After `set_up`."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, _Handler):
            handler.write(text.encode("utf-8", "backslashreplace"))


class _Handler(logging.Handler):
    def __init__(self, write: Callable[[bytes], int]) -> None:
        super().__init__()
        self._write = write
        self._dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record).encode("utf-8", "backslashreplace")[: LONGEST - 40]
        note = f" ({self._dropped} messages lost before)" if self._dropped else ""
        self.write(line + note.encode())

    def write(self, line: bytes) -> None:
        """A line, whole or not at all."""
        try:
            self._write(line + b"\n")
            self._dropped = 0
        except OSError:  # full, or nobody there any more: there is nowhere left to say so
            self._dropped += 1


def set_up(level: str, name: str) -> logging.Logger:
    """Send the messages of this process to standard error; returns the logger called `name`."""
    handler = _Handler(writer(sys.__stderr__.fileno() if sys.__stderr__ else 2))
    handler.setFormatter(_Formatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    return logging.getLogger(name)


def writer(fd: int) -> Callable[[bytes], int]:
    """How to write to `fd` without ever waiting, and without O_NONBLOCK on a file description that others share."""
    mode = os.fstat(fd).st_mode
    if stat.S_ISSOCK(mode):
        raw = _socket.socket(fileno=os.dup(fd))  # not socket.socket: gevent's would wait
        return lambda line: raw.send(line, socket.MSG_DONTWAIT)
    if stat.S_ISREG(mode):  # `waypointd >file 2>&1`: the access log and others write there too
        fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_APPEND)
    else:
        try:
            fd = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:  # opened by another user before privileges were dropped: then it may block
            return lambda line: os.write(fd, line)
    return lambda line: os.write(fd, line)
