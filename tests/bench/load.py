"""One turn of load: wrk against one proxy, and what its report says."""

import os
import subprocess
from typing import NamedTuple

from tests.rig import search

_UNITS_US = {"us": 1.0, "ms": 1e3, "s": 1e6}


class Turn(NamedTuple):
    """What a turn gave. `cpu_us` is what the proxy's processes used for a request, `busy` the share of its core."""

    requests: int
    requests_per_second: float
    cpu_us: float
    busy: float
    p50_us: float
    p99_us: float


class Load(NamedTuple):
    """What wrk reports."""

    requests: int
    seconds: float
    p50_us: float
    p99_us: float


def run(ip: str, port: int, core: int, connections: int, seconds: float) -> Load:
    """Keeps `connections` busy for `seconds`. Raises RuntimeError if a request fails: such a figure says nothing."""
    command = ["wrk", "--latency", "-t1", f"-c{connections}", f"-d{seconds:g}s", "-H", "Host: in-ambient"]
    command.append(f"http://{ip}:{port}/hostname")
    report = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        timeout=seconds + 30,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    ).stdout
    if "Socket errors" in report or "Non-2xx" in report:
        raise RuntimeError(f"requests failed:\n{report}")
    requests, took = search(r"(\d+) requests in ([\d.]+)s", report).groups()
    return Load(int(requests), float(took), _percentile(report, 50), _percentile(report, 99))


def _percentile(report: str, percent: int) -> float:
    value, unit = search(rf"\b{percent}%\s+([\d.]+)(us|ms|s)", report).groups()
    return float(value) * _UNITS_US[unit]
