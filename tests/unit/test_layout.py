"""The sources against the plan of the house (tests/rooms.py): every import of every .py, .pyi, .pyx and .pxd file."""

import ast
import configparser
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rooms import ROOMS, allowed, drawing, inside, room_of

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("proxy", "state")
SUFFIXES = (".py", ".pyi", ".pyx", ".pxd")
MOST_AT_THE_TOP = 22

_CYTHON_IMPORT = re.compile(r"^\s*(?:from\s+([\w.]+)\s+c?import\s+(\(?[^#\n]*)|c?import\s+([\w., ]+))", re.MULTILINE)


def sources() -> list[Path]:
    return sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.p*") if path.suffix in SUFFIXES)


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_package(path: Path) -> bool:
    return path.name == "__init__.py"


MODULES = {module_of(path) for path in sources() if not is_package(path)}


def imports_of(path: Path) -> set[str]:
    """What a file imports; for `from a import b` both `a` and `a.b`, since b may be a module."""
    text = path.read_text()
    return set(_python_imports(text) if path.suffix in (".py", ".pyi") else _cython_imports(text))


def _python_imports(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level and node.module, "relative imports hide where things come from"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _cython_imports(text: str) -> Iterator[str]:
    for origin, names, plain in _CYTHON_IMPORT.findall(text):
        if origin:
            yield origin
            yield from (f"{origin}.{name.split()[0]}" for name in names.strip("( ").split(",") if name.strip())
        else:
            yield from (name.split()[0] for name in plain.split(","))


def test_there_is_something_to_check() -> None:
    found = {path.suffix for path in sources()}
    assert found == set(SUFFIXES)
    assert "proxy.wire.stream" in imports_of(ROOT / "proxy/relay/relay.pyx")


def test_every_module_is_in_the_table() -> None:
    assert [module for module in sorted(MODULES) if room_of(module) is None] == []


def test_every_row_is_of_something() -> None:
    rooms = {room_of(module_of(path)) for path in sources()}
    assert [room for room in ROOMS if room not in rooms] == []


def test_rows_name_only_rows_above_them() -> None:
    """So there is no circle, and nothing that runs up."""
    seen: set[str] = set()
    for room in ROOMS:
        below = allowed(room) - {room} - seen
        assert not below, f"{room} names {sorted(below)}, which stand further down in the table"
        seen.add(room)


def test_rooms_import_only_what_they_may() -> None:
    wrong = []
    for path in sources():
        module = module_of(path)
        room = room_of(module)
        for imported in imports_of(path) & MODULES if room else ():
            target = room_of(imported)
            if target not in allowed(room or ""):
                wrong.append(f"{module} ({room}) may not import {imported} ({target})")
    assert wrong == []


def test_no_row_allows_what_nobody_does() -> None:
    used: dict[str, set[str | None]] = {room: {room} for room in ROOMS}
    for path in sources():
        room = room_of(module_of(path))
        if room:
            used[room] |= {room_of(imported) for imported in imports_of(path) & MODULES}
    spare = {room: sorted(allowed(room) - used[room]) for room in ROOMS if "state" not in ROOMS[room].imports.split()}
    assert {room: names for room, names in spare.items() if names} == {}


def test_rooms_keep_away_from_what_they_never_touch() -> None:
    wrong = []
    for path in sources():
        room = room_of(module_of(path))
        touched = {name.partition(".")[0] for name in imports_of(path)} & ROOMS[room].never if room else set()
        wrong += [f"{module_of(path)} ({room}) may not import {name}" for name in sorted(touched)]
    assert wrong == []


@pytest.mark.parametrize("module", ["proxy.arbiter.arbiter", "proxy.cli", "proxy.ctl.cli", "proxy.demo.demo"])
def test_who_forks_and_reaps_never_loads_gevent(module: str) -> None:
    code = f"import {module}, sys; sys.exit('gevent' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_the_top_of_the_house_is_readable_at_a_glance() -> None:
    entries = {
        path.stem
        for path in (ROOT / "proxy").iterdir()
        if path.suffix in (".py", ".pxd") or (path / "__init__.py").exists()
    }
    assert len(entries - {"__init__"}) <= MOST_AT_THE_TOP


def test_the_drawing_is_of_this_house() -> None:
    assert drawing() in (ROOT / "ARCHITECTURE.md").read_text(), "put what `python -m tests.rooms` prints there"


def test_every_package_is_listed_for_installation() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    listed = set(config["options"]["packages"].split())
    assert listed == {module_of(path) for path in sources() if is_package(path)}
    assert all(any(inside(package, each) for each in PACKAGES) for package in listed)
