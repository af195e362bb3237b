"""Manifests from files and directories, and whether they have changed since they were read.

Files are polled: a ConfigMap volume swaps a symlink, editors replace files, and a poll sees both. While nothing changes
a poll costs one stat for each file; when one changes, it is read and the others are not. Only files are touched here;
what is in them is for `load`.

Standard input and pipes say what they have to say once, so they are for those who read once.
"""

from __future__ import annotations

import codecs
import errno
import os
import stat
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from proxy.mesh.model import Fault
from proxy.mesh.reading.manifests import Document
from proxy.mesh.sources.paths import STANDARD_INPUT, is_stream, listed, matching, missing, normal, odd_in

_SHOWN_INPUT = "standard input"
LARGEST_FILE = 64 * 1024 * 1024
_TOO_LARGE = f"is larger than {LARGEST_FILE // 1024 // 1024} MiB"

# A file written this recently may be written again within one tick of its time stamp, and look the same to stat.
_SETTLING_NS = 2_000_000_000
_EMPTY_BELIEVED_NS = 500_000_000

_Stat = tuple[int, int, int, int]


class FileSource:
    """Reads `paths`: files, directories (their *.yaml, *.yml and *.json, not recursive, no dot names), and patterns
    (`manifests/*.yaml`), for what they match when they are looked at.

    `clock_ns` is the wall clock that file times are compared with. `once`: pipes and standard input (`-`) are read too,
    to their end, for a single call of `read`.
    """

    def __init__(self, paths: Sequence[str], clock_ns: Callable[[], int] = time.time_ns, *, once: bool = False) -> None:
        self._paths = tuple(dict.fromkeys(normal(path) for path in paths))
        self._clock_ns = clock_ns
        self._once = once
        self.notes: tuple[str, ...] = ()
        """What is odd about the directories: that nothing in them is read, say."""
        self._started = False
        self._seen: dict[str, _Stat | None] = {}
        self._contents: _Contents = [], []
        self._settled = False
        self._known: dict[str, tuple[_Stat, _File]] = {}
        """What was read when it was old enough, as stat said, for any later change to show."""

    def read(self) -> tuple[tuple[Document, ...], tuple[Fault, ...]]:
        """All documents, and a fault for each file that could not be read. Never raises.

        A path that is not there is a fault in the first call, and means "no objects" later: they have been deleted.
        """
        files, faults = self._files()
        self._seen = self._signature(files)
        read = self._read(self._seen)
        self._contents, self._settled = (read, list(faults)), self._old_enough()
        if not self._started:
            faults.extend(_fault(path, text) for path in self._paths if (text := missing(path)))
        self._started = True
        self.notes = tuple(str(_fault(*note)) for path in self._paths if os.path.isdir(path) for note in odd_in(path))
        documents = tuple(Document(each.path, each.text) for each in read if each.text is not None)
        faults.extend(_fault(each.path, each.wrong) for each in read if each.wrong)
        return documents, tuple(faults)

    def changed(self) -> bool:
        """Whether `read` would answer something new."""
        files, faults = self._files()
        signature = self._signature(files)
        if self._settled and signature == self._seen:
            return False
        if (self._read(signature), faults) != self._contents:
            return True
        # Touched, or replaced by the same: remember that, so that the next poll is cheap again.
        self._seen, self._settled = signature, self._old_enough()
        return False

    def _files(self) -> tuple[list[str], list[Fault]]:
        files: dict[str, None] = {}
        faults: list[Fault] = []
        for path in self._paths:
            try:
                for each in matching(path):
                    files.update(dict.fromkeys(listed(each) if os.path.isdir(each) else (each,)))
            except FileNotFoundError:
                continue
            except OSError as error:
                faults.append(_fault(path, f"cannot be read: {error.strerror}"))
        return list(files), faults

    def _read(self, signature: dict[str, _Stat | None]) -> list[_File]:
        """What is in the files; of each its stat is from before it is read."""
        now = self._clock_ns()
        once = self._paths if self._once else ()
        # `>file` empties a file before anything is written to it: an empty file that new is not yet believed.
        doubted_ns = now - _EMPTY_BELIEVED_NS if self._started else None
        before, self._known = self._known, {}
        found = []
        for path, stat_ in signature.items():
            known = before.get(path)
            file = known[1] if known and known[0] == stat_ else _read(path, doubted_ns, path in once)
            if stat_ and stat_[0] < now - _SETTLING_NS and file.text is not None:
                self._known[path] = stat_, file
            if file.text is not None or file.wrong:
                found.append(file)
        return found

    def _signature(self, files: Sequence[str]) -> dict[str, _Stat | None]:
        return {path: _stat(path) for path in files}

    def _old_enough(self) -> bool:
        limit = self._clock_ns() - _SETTLING_NS
        return all(entry is None or entry[0] < limit for entry in self._seen.values())


@dataclass(frozen=True, slots=True)
class _File:
    """What one read gave: text, or what is wrong, or neither (the file is gone)."""

    path: str
    text: str | None = None
    wrong: str = ""


_Contents = tuple[list[_File], list[Fault]]


def _stat(path: str) -> _Stat | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    # ctime tells a rewrite whose author set the old mtime again, and a change of permissions.
    return max(found.st_mtime_ns, found.st_ctime_ns), found.st_size, found.st_ino, found.st_mode


def _read(path: str, doubted_ns: int | None, once: bool) -> _File:
    if once and (path == STANDARD_INPUT or is_stream(path)):
        return _stream(path)
    try:
        # Opening a named pipe would wait for its writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        gone = error.errno in (errno.ENOENT, errno.ENOTDIR)
        return _File(path) if gone else _File(path, wrong=f"cannot be read: {error.strerror}")
    try:
        return _contents(path, descriptor, doubted_ns)
    except OSError as error:
        return _File(path, wrong=f"cannot be read: {error.strerror}")
    finally:
        os.close(descriptor)


def _contents(path: str, descriptor: int, doubted_ns: int | None) -> _File:
    before = os.fstat(descriptor)
    if stat.S_ISDIR(before.st_mode):
        return _File(path, wrong="is a directory; name it with --manifests to read the files in it")
    if not stat.S_ISREG(before.st_mode):
        return _File(path, wrong="is not a regular file")
    if before.st_size > LARGEST_FILE:
        return _File(path, wrong=_TOO_LARGE)
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        content = file.read(LARGEST_FILE + 1)
    after = os.fstat(descriptor)
    torn = (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns) or len(content) != after.st_size
    if torn or (not content and doubted_ns is not None and after.st_mtime_ns > doubted_ns):
        return _File(path, wrong="is being written; it is read again shortly")
    return _decoded(path, content)


def _stream(path: str) -> _File:
    """All that a pipe or standard input has to say, which may take a while."""
    shown = _SHOWN_INPUT if path == STANDARD_INPUT else path
    try:
        with sys.stdin.buffer if path == STANDARD_INPUT else open(path, "rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        return _File(shown, wrong=f"cannot be read: {error.strerror}")
    return _decoded(shown, content) if len(content) <= LARGEST_FILE else _File(shown, wrong=_TOO_LARGE)


def _decoded(path: str, content: bytes) -> _File:
    try:
        return _File(path, content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return _File(path, wrong="is UTF-16, as PowerShell's > writes it: save it as UTF-8")
        line = content.count(b"\n", 0, error.start) + 1
        return _File(path, wrong=f"is not UTF-8 (line {line})")


def _fault(path: str, text: str) -> Fault:
    return Fault(path, 0, "", "", "", text)
