"""The processes' own log: it overwrites nobody, and holds nobody up."""

import logging
import os
from pathlib import Path

import pytest

from proxy import log
from proxy.log import writer


def test_a_log_in_a_file_overwrites_nobody(tmp_path: Path) -> None:
    """As in `waypointd >file 2>&1`, where the access log goes to the same file."""
    file = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    write = writer(file)
    with (tmp_path / "log").open("ab", buffering=0) as other:
        for _ in range(2):
            write(b"ours\n")
            other.write(b"theirs\n")
    assert (tmp_path / "log").read_bytes() == b"ours\ntheirs\n" * 2
    os.close(file)


def test_a_log_that_nobody_reads_does_not_hold_its_process() -> None:
    read, write = os.pipe()
    put = writer(write)
    with pytest.raises(BlockingIOError):
        for _ in range(100):
            put(b"x" * 4096)
    assert os.get_blocking(write)  # others share that file description
    os.close(read)
    os.close(write)


def test_P8_a_message_ends_no_line_and_drives_no_terminal() -> None:
    record = logging.LogRecord("worker", logging.WARNING, "", 0, "TLS refused to %s", ("a\n[x] \x9b2J\u202e é",), None)
    line = log._Formatter().format(record)
    assert line.endswith(" warn worker TLS refused to a\\n[x] \\x9b2J\\u202e é")
