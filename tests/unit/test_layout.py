"""Imports point one way. import-linter (setup.cfg) checks .py files; this reads .pyx and .pxd too, which it cannot."""

import ast
import configparser
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("proxy", "state")
SUFFIXES = (".py", ".pyx", ".pxd")

# What a room may import of ours, besides itself; the longest name that fits a module is its room.
ROOMS: dict[str, set[str]] = {
    "state": set(),
    "proxy.policy": set(),
    "proxy.mesh": set(),
    "proxy.mesh.sources": {"proxy.mesh"},
    "proxy.scoreboard": set(),
    "proxy.wire": {"proxy.scoreboard"},
    "proxy.observe.access_log": {"proxy.wire"},
    "proxy.observe.outlier_log": set(),
    "proxy.relay": {"proxy.policy", "proxy.scoreboard", "proxy.wire", "proxy.observe.access_log"},
    "proxy.fleet": {"state", "proxy.scoreboard", "proxy.observe.outlier_log"},
}
# Modules outside all rooms (the processes, the pages of the controller) that may touch the store.
MAY_IMPORT_STATE = {"proxy.arbiter", "proxy.cli", "proxy.ctl"}
# What a URL of Redis may look like is said once, in pure modules of the store.
MAY_READ_URLS = {"proxy.setting_kinds", "proxy.settings"}
URLS = {
    "state",
    "state.redis_url",
    "state.redis_url.parse",
    "state.access",
    "state.access.Access",
    "state.access.faults",
}
# Pure rooms decide; they do not wait, look at a clock, or touch the machine.
PURE = ("proxy.policy", "proxy.mesh")
IMPURE = {"asyncio", "gevent", "os", "random", "redis", "select", "socket", "ssl", "subprocess", "threading", "time"}

_CYTHON_IMPORT = re.compile(r"^\s*(?:from\s+([\w.]+)\s+c?import\s+(\(?[^#\n]*)|c?import\s+([\w., ]+))", re.MULTILINE)


def sources() -> list[Path]:
    return sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.p*") if path.suffix in SUFFIXES)


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path) -> set[str]:
    """What a file imports; for `from a import b` both `a` and `a.b`, since b may be a module."""
    text = path.read_text()
    return set(_python_imports(text) if path.suffix == ".py" else _cython_imports(text))


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


def inside(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def room_of(module: str) -> str | None:
    return max((room for room in ROOMS if inside(module, room)), key=len, default=None)


def test_there_is_something_to_check() -> None:
    found = {path.suffix for path in sources()}
    assert found == set(SUFFIXES)
    assert "proxy.wire.stream" in imports_of(ROOT / "proxy/relay/relay.pyx")


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_rooms_import_only_what_they_may(path: Path) -> None:
    module = module_of(path)
    room = room_of(module)
    for imported in imports_of(path):
        target = room_of(imported)
        if room is not None and inside(imported, "proxy") and imported not in ("proxy", "proxy.observe"):
            assert target is not None, f"{module} imports {imported}, which is above it"
            assert target == room or target in ROOMS[room], f"{module} ({room}) may not import {imported} ({target})"
        elif inside(imported, "state"):
            may = any(inside(module, each) for each in MAY_IMPORT_STATE)
            allowed = may if room is None else room == "state" or "state" in ROOMS[room]
            allowed = allowed or (module in MAY_READ_URLS and imported in URLS)
            assert allowed, f"{module} may not import {imported}: the door to the store is proxy.fleet"


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_pure_rooms_stay_pure(path: Path) -> None:
    if room_of(module_of(path)) in PURE:
        touched = {name.partition(".")[0] for name in imports_of(path)} & IMPURE
        assert not touched, f"{module_of(path)} is pure and may not import {', '.join(sorted(touched))}"


@pytest.mark.parametrize("module", ["proxy.arbiter", "proxy.cli", "proxy.ctl", "proxy.demo"])
def test_who_forks_and_reaps_never_loads_gevent(module: str) -> None:
    code = f"import {module}, sys; sys.exit('gevent' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_every_package_is_listed_for_installation() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    listed = set(config["options"]["packages"].split())
    assert listed == {module_of(path) for path in sources() if path.name == "__init__.py"}
