"""What is published: an sdist of everything, and a wheel made from it that runs in an environment of its own.

WAYPOINTD_DIST: the directory of an sdist and a wheel that are there already (`make wheel`); else they are made.
"""

import os
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.version import __version__
from tests.rig import ROOT, get, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

NEEDED = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if made := os.environ.get("WAYPOINTD_DIST"):
        return ROOT / made
    directory = tmp_path_factory.mktemp("dist")
    environment = os.environ | {"VENV": sys.prefix}
    subprocess.run([ROOT / "scripts/wheel", directory], check=True, env=environment)
    return directory


def told(*command: str | Path) -> str:
    return subprocess.run(command, cwd="/", check=True, capture_output=True, text=True).stdout


def the(pattern: str, directory: Path) -> Path:
    (found,) = directory.glob(pattern)
    return found


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    return the(f"waypointd-{__version__}-*.whl", dist)


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the commands are: the wheel, what it needs to run as we have locked it, and nothing else."""
    directory = tmp_path_factory.mktemp("fresh")
    venv.create(directory, with_pip=True)
    pip: list[str | Path] = [directory / "bin/python", "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    lock = ROOT / "requirements/run.lock"
    subprocess.run([*pip, "--require-hashes", "--only-binary", ":all:", "-r", lock], check=True)
    subprocess.run([*pip, "--no-deps", "--no-index", wheel], check=True)
    told(directory / "bin/python", "-m", "pip", "check")
    return directory / "bin"


def test_the_sdist_has_every_file_of_the_checkout(dist: Path, tmp_path: Path) -> None:
    with tarfile.open(the(f"waypointd-{__version__}.tar.gz", dist)) as archive:
        names = {name.partition("/")[2] for name in archive.getnames() if not archive.getmember(name).isdir()}
    subprocess.run([ROOT / "scripts/export", tmp_path / "src"], check=True)
    sources = {str(path.relative_to(tmp_path / "src")) for path in (tmp_path / "src").rglob("*") if path.is_file()}
    assert "proxy/relay/relay.pyx" in sources
    assert sources - names == set()
    made = {name for name in names - sources if not name.startswith("waypointd.egg-info/")}
    assert made == {"PKG-INFO"}


def test_the_wheel_is_for_many_linuxes_and_brings_its_nghttp2(wheel: Path) -> None:
    assert re.search(r"-manylinux_\d+_\d+_(x86_64|aarch64)\.whl$", wheel.name)
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(f"waypointd-{__version__}.dist-info/METADATA").decode()
    libraries = sorted(name.partition("/")[2].partition("-")[0] for name in names if name.startswith("waypointd.libs/"))
    assert [name for name in libraries if name] == ["libnghttp2"]
    compiled = {re.sub(r"\.cpython-.*", "", name) for name in names if name.endswith(".so")}
    assert {str(path.with_suffix("").relative_to(ROOT)) for path in (ROOT / "proxy").rglob("*.pyx")} <= compiled
    assert not [name for name in names if name.startswith("tests/")]
    assert f"\nVersion: {__version__}\n" in metadata


def test_the_wheel_uses_the_library_it_brings(installed: Path) -> None:
    code = "import proxy.wire.http2.session; print(open('/proc/self/maps').read())"
    libraries = set(re.findall(r"\S*libnghttp2\S*", told(installed / "python", "-c", code)))
    assert libraries and all("waypointd.libs" in path for path in libraries)


def test_the_compiled_part_is_hardened(installed: Path) -> None:
    for module in ("wire/http/head", "wire/http2/session", "relay/relay"):
        library = the(f"lib/python*/site-packages/proxy/{module}.*.so", installed.parent)
        dynamic = told("readelf", "-dl", library)
        assert "GNU_RELRO" in dynamic and "BIND_NOW" in dynamic, library.name
        assert "__stack_chk_fail" in told("readelf", "-W", "--dyn-syms", library), library.name


def test_waypointctl_tells_its_version(installed: Path) -> None:
    assert __version__ in told(installed / "waypointctl", "--version")


@pytest.fixture
def demo(installed: Path, tmp_path: Path) -> Iterator[Path]:
    """What a demo of the installed wheel says; away from the checkout, with nothing of our environment."""
    out = tmp_path / "out"
    with out.open("w") as file:
        process = subprocess.Popen(
            [installed / "waypointd", "-w", "2", "--demo"], cwd=tmp_path, env=NEEDED, stdout=file, stderr=file
        )
    try:
        wait_until(lambda: "Ctrl-C" in out.read_text() or process.poll() is not None, 30, "what to type next")
        yield out
    finally:
        process.terminate()
        print(out.read_text())
        assert process.wait(30) == 0


def test_waypointd_shows_its_demo(demo: Path) -> None:
    answers = [get(8000, "/hostname") for _ in range(6)]
    assert [status for status, _ in answers] == [200] * 6
    assert len({name for _, name in answers}) == 3
