"""What `ps` and /proc/PID/cmdline say of a child that was forked and so has its parent's command line.

The kernel reads that out of the process's own memory (proc_pid_cmdline(5)), so it is written there.
"""

import ctypes
from pathlib import Path

_ARG_START, _ARG_END = 48, 49
"""Fields of /proc/PID/stat (proc_pid_stat(5)), counted from 1; 0 where they may not be read."""
_AFTER_NAME = 3
"""The first field behind the name, which may have blanks in it."""


def set_title(title: str) -> None:
    """Be called `title`, cut to the length of the command line that there was."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = (int(fields[number - _AFTER_NAME]) for number in (_ARG_START, _ARG_END))
    if start and (room := end - start) > 1:
        ctypes.memmove(start, title.encode()[: room - 1].ljust(room, b"\0"), room)
