"""What the paths of `--manifests` name: a file, a directory, a pattern, standard input, a pipe."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterator, Sequence

SUFFIXES = (".yaml", ".yml", ".json")
STANDARD_INPUT = "-"
# A path there is another file in another process.
_OF_PROCESS = ("/dev/fd/", "/dev/std", "/proc/self/", "/proc/thread-self/")
_MOST_NAMED = 3


def unrepeatable(paths: Sequence[str]) -> list[str]:
    """What is wrong with those of `paths` that another process, or a second reading, would find empty or not at all."""
    return [
        f"--manifests {path}: a replica reads its manifests again and again, and this can be read once: save it as a "
        "file, or use it with --check"
        for path in paths
        if path == STANDARD_INPUT or path.startswith(_OF_PROCESS) or is_stream(path)
    ]


def is_stream(path: str) -> bool:
    """Whether it is a pipe, a terminal or a socket: something to be read once."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISSOCK(mode)


def normal(path: str) -> str:
    """The path, called in one way only."""
    if path == STANDARD_INPUT:
        return path
    found = os.path.normpath(path)
    return os.path.join(".", found) if found == STANDARD_INPUT else found


def matching(path: str) -> Sequence[str]:
    """The path, or what it matches if it is a pattern and no file is called so."""
    if path == STANDARD_INPUT or not glob.has_magic(path) or os.path.lexists(path):
        return (path,)
    return sorted(glob.glob(path))


def missing(path: str) -> str:
    """What to say of a path that names nothing, or ""."""
    if path == STANDARD_INPUT or os.path.exists(path):
        return ""
    if glob.has_magic(path):
        return "" if glob.glob(path) else "matches no file"
    return "no such file or directory"


def odd_in(directory: str) -> Iterator[tuple[str, str]]:
    """Files that look like manifests and are not read, or that there are none."""
    try:
        names = sorted(name for name in os.listdir(directory) if not name.startswith("."))
    except OSError:
        return
    for name in names:
        if name.lower().endswith(SUFFIXES) and not name.endswith(SUFFIXES):
            right = next(each for each in SUFFIXES if name.lower().endswith(each))
            yield os.path.join(directory, name), f"is not read: its name has to end in {right}, in small letters"
    if not any(name.endswith(SUFFIXES) for name in names):
        more = f" and {len(names) - _MOST_NAMED} more" if names[_MOST_NAMED:] else ""
        below = "; directories in it are not read: name them" if _has_directories(directory, names) else ""
        said = f"there are {', '.join(names[:_MOST_NAMED])}{more}" if names else "it is empty"
        yield directory, f"no manifest is read from it: none is called *.yaml, *.yml or *.json ({said}){below}"


def _has_directories(directory: str, names: Sequence[str]) -> bool:
    return any(os.path.isdir(os.path.join(directory, name)) for name in names)


def listed(directory: str) -> Iterator[str]:
    """The manifests in a directory, in order."""
    for name in sorted(os.listdir(directory)):
        if not name.startswith(".") and name.endswith(SUFFIXES):
            yield os.path.join(directory, name)
