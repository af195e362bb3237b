"""Compiles and starts the endpoints, origin.c."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.bench.contestants import HERE
from tests.bench.processes import Process


def start(directory: Path, ips: Sequence[str], port: int, core: int | None, board: Path | None = None) -> Process:
    """Endpoints on `port` of each address, serving when this returns; `board` says what they answer."""
    program = directory / "origin"
    subprocess.run(["gcc", "-O2", "-Wall", "-o", program, HERE / "origin.c"], check=True)
    options: list[str | Path] = ["--board", board] if board else []
    process = Process([program, *options, *(f"{ip}:{port}" for ip in ips)], core, directory / "origin.log")
    process.await_listening(ips[-1], port)
    return process
