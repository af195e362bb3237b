"""Servers that nobody here wrote, as endpoints: each with a handful of answers that proxies have stumbled over.

Every server answers `/` with 200 `ok`; what else it has is in its configuration or program in this directory. A server
that is not on the machine is skipped with the reason.
"""

import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.rig import wait_until

HERE = Path(__file__).parent
Command = Callable[[Path, str, int], list[str]]


def _needs(program: str, package: str) -> str:
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/go/bin")
    if not found:
        pytest.skip(f"{program} is not installed ({package})")
    return found


def _module(name: str) -> None:
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed: scripts/prepare test")


def _filled(name: str, directory: Path, ip: str, port: int) -> Path:
    """A configuration of this directory with the names in it replaced."""
    text = (HERE / name).read_text()
    for key, value in (("@DIR@", str(directory)), ("@IP@", ip), ("@PORT@", str(port)), ("@HERE@", str(HERE))):
        text = text.replace(key, value)
    (directory / name).write_text(text)
    return directory / name


def _nginx(directory: Path, ip: str, port: int) -> list[str]:
    program = _needs("nginx", "Debian: nginx-light")
    return [program, "-e", "stderr", "-p", str(directory), "-c", str(_filled("nginx.conf", directory, ip, port))]


def _lighttpd(directory: Path, ip: str, port: int) -> list[str]:
    program = _needs("lighttpd", "Debian: lighttpd")
    (directory / "www").mkdir()
    (directory / "www" / "index.html").write_text("ok")
    return [program, "-D", "-f", str(_filled("lighttpd.conf", directory, ip, port))]


def _go(directory: Path, ip: str, port: int) -> list[str]:
    program = directory / "server"
    environment = os.environ | {"GO111MODULE": "off", "CGO_ENABLED": "0"}
    build = [_needs("go", "https://go.dev/dl"), "build", "-o", str(program), str(HERE / "server.go")]
    subprocess.run(build, check=True, env=environment, timeout=300, cwd=directory)
    return [str(program), f"{ip}:{port}"]


def _node(_: Path, ip: str, port: int) -> list[str]:
    return [_needs("node", "Debian: nodejs"), str(HERE / "server.js"), ip, str(port)]


def _aiohttp(_: Path, ip: str, port: int) -> list[str]:
    _module("aiohttp")
    return [sys.executable, str(HERE / "server_aiohttp.py"), ip, str(port)]


def _waitress(_: Path, ip: str, port: int) -> list[str]:
    _module("waitress")
    return [sys.executable, "-m", "waitress", f"--listen={ip}:{port}", "server_wsgi:app"]


def _gunicorn(directory: Path, ip: str, port: int) -> list[str]:
    _module("gunicorn")
    options = [
        "--bind",
        f"{ip}:{port}",
        "--worker-class",
        "gthread",
        "--threads",
        "4",
        "--worker-tmp-dir",
        str(directory),
    ]
    return [sys.executable, "-m", "gunicorn", "--no-control-socket", *options, "server_wsgi:app"]


SERVERS: dict[str, Command] = {
    "nginx": _nginx,
    "lighttpd": _lighttpd,
    "go": _go,
    "node": _node,
    "aiohttp": _aiohttp,
    "waitress": _waitress,
    "gunicorn": _gunicorn,
}


@contextlib.contextmanager
def serving(name: str, directory: Path, ip: str, port: int) -> Iterator[None]:
    """The server, from when it listens."""
    directory.mkdir(parents=True)
    command = SERVERS[name](directory, ip, port)
    with (directory / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=HERE, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        wait_until(lambda: _answers(ip, port), 30, f"{name} listens: {(directory / 'log').read_text()}")
        yield
    finally:
        process.terminate()
        process.wait(10)


def _answers(ip: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((ip, port), 5) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        return sock.recv(1000).startswith(b"HTTP/1.1 200 ")
    return False
